//! The worker of one leased partition: fetch, hand over, move on.

use super::deliver::{Deliver, Stopped};
use super::{Delivered, Handler};
use crate::error::Error;
use crate::traits::{Bus, Fetch};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long one fetch waits for records; only so that a lost notification cannot hang a worker for ever.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The next offset to handle; everything below is done. Written by the worker, read by who commits it.
#[derive(Debug)]
pub(super) struct Progress(AtomicI64);

impl Progress {
    pub(super) fn new(offset: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(offset)))
    }

    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, offset: i64) {
        self.0.store(offset, Ordering::Release);
    }
}

/// Until when the lease is held for certain; `None` where there is nobody who could take it.
pub(super) type Held = Option<Instant>;

/// A worker.
pub(super) struct Worker<H> {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) deliver: Deliver<H>,
}

impl<H: Handler> Worker<H> {
    /// Works until it is stopped or the lease runs out, whatever comes first. In the second case the handler's future is dropped
    /// where it stands.
    pub(super) async fn run(self, held: watch::Receiver<Held>) {
        tokio::select! {
            biased;
            () = lost(held) => tracing::warn!(
                topic = %self.deliver.part.topic, partition = self.deliver.part.partition, "lease lost, work stopped"
            ),
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        let Deliver { part, progress, config, stop, .. } = &self.deliver;
        let mut pause = config.retry.first_pause;
        loop {
            let fetch = Fetch {
                topic: part.topic.clone(),
                partition: part.partition,
                offset: progress.get(),
                max_records: config.max_records,
                max_bytes: config.max_bytes,
                max_wait: MAX_WAIT,
            };
            let Some(fetched) = stop.run_until_cancelled(self.bus.fetch(fetch)).await else { return };
            match fetched {
                Ok(batch) => {
                    pause = config.retry.first_pause;
                    let delivered: Vec<_> = batch
                        .records
                        .into_iter()
                        .map(|stored| Delivered {
                            topic: part.topic.clone(),
                            partition: part.partition,
                            offset: stored.offset,
                            at: stored.at,
                            record: stored.record,
                        })
                        .collect();
                    if self.deliver.batch(&delivered).await == Err(Stopped) {
                        return;
                    }
                }
                Err(Error::OutOfRange { offset, low, high }) => {
                    let next = if offset < low { low } else { high };
                    tracing::error!(
                        topic = %part.topic, partition = part.partition, offset, next, "offset is gone, records are skipped"
                    );
                    progress.set(next);
                }
                Err(error) => {
                    tracing::warn!(topic = %part.topic, partition = part.partition, %error, "fetch failed");
                    if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                    pause = (pause * 2).min(config.retry.longest_pause);
                }
            }
        }
    }
}

/// Returns when the lease is not held any more for certain, or whoever renews it is gone.
async fn lost(mut held: watch::Receiver<Held>) {
    loop {
        let until = *held.borrow_and_update();
        let expired = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = held.changed() => if changed.is_err() {
                return;
            },
            () = expired => return,
        }
    }
}
