//! Hands records to the handler until each of them is done or quarantined.

use super::worker::Progress;
use super::{Config, Delivered, Handler, HandlerError, quarantine};
use crate::error::Error;
use crate::group::lease::Part;
use crate::topic::quarantine_of;
use crate::traits::Bus;
use futures::FutureExt as _;
use riskmesh_core::Clock;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Delivery to the handler for one partition.
pub(super) struct Deliver<H> {
    pub(super) handler: Arc<H>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: Arc<Config>,
    pub(super) part: Part,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: CancellationToken,
}

/// The consumer is to stop; what was not handled stays for later.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// Growing pauses.
struct Backoff<'a> {
    next: Duration,
    longest: Duration,
    stop: &'a CancellationToken,
}

impl Backoff<'_> {
    async fn pause(&mut self) -> Result<(), Stopped> {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.ok_or(Stopped)
    }
}

impl<H: Handler> Deliver<H> {
    /// Delivers consecutive records. When this returns `Ok` all of them are done or quarantined.
    pub(super) async fn batch(&self, batch: &[Delivered]) -> Result<(), Stopped> {
        let Some(last) = batch.last() else { return Ok(()) };
        if let [single] = batch {
            return self.single(single).await;
        }
        let mut backoff = self.backoff();
        let mut tries = 0;
        loop {
            match self.call(batch).await? {
                Ok(()) => {
                    self.progress.set(last.offset + 1);
                    return Ok(());
                }
                Err(HandlerError::Unavailable(source)) => self.unavailable(&*source),
                Err(HandlerError::Poison(_)) => break,
                Err(HandlerError::Failed(_)) => {
                    tries += 1;
                    if tries >= self.config.retry.batch_tries {
                        break;
                    }
                }
            }
            backoff.pause().await?;
        }
        for record in batch {
            self.single(record).await?;
        }
        Ok(())
    }

    async fn single(&self, record: &Delivered) -> Result<(), Stopped> {
        let mut backoff = self.backoff();
        let mut tries = 0;
        loop {
            match self.call(std::slice::from_ref(record)).await? {
                Ok(()) => break,
                Err(HandlerError::Unavailable(source)) => self.unavailable(&*source),
                Err(error @ HandlerError::Poison(_)) => {
                    self.quarantine(record, &error).await?;
                    break;
                }
                Err(error @ HandlerError::Failed(_)) => {
                    tries += 1;
                    if tries >= self.config.retry.tries {
                        self.quarantine(record, &error).await?;
                        break;
                    }
                }
            }
            backoff.pause().await?;
        }
        self.progress.set(record.offset + 1);
        Ok(())
    }

    /// One attempt. A panic counts as a failure: one record must not take the process, nor its partition for ever.
    async fn call(&self, batch: &[Delivered]) -> Result<Result<(), HandlerError>, Stopped> {
        if self.stop.is_cancelled() {
            return Err(Stopped);
        }
        let handled = AssertUnwindSafe(self.handler.handle(batch)).catch_unwind();
        let overdue = async {
            self.stop.cancelled().await;
            tokio::time::sleep(self.config.drain).await;
        };
        tokio::select! {
            biased;
            handled = handled => Ok(handled.unwrap_or_else(|_| Err(HandlerError::Failed("the handler panicked".into())))),
            () = overdue => Err(Stopped),
        }
    }

    /// Sets a record aside, durably, before the offset moves past it.
    async fn quarantine(&self, record: &Delivered, error: &HandlerError) -> Result<(), Stopped> {
        let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
        let (group, reason) = (&self.config.group, quarantine::reason(error));
        tracing::error!(%topic, partition, offset, reason, %group, "record quarantined");
        let mut poison = quarantine::set_aside(record, error, group, self.clock.now());
        let quarantine = quarantine_of(topic);
        let mut backoff = self.backoff();
        loop {
            let published = self.bus.publish(&quarantine, vec![poison.clone()]).await;
            let Err(error) = published else { return Ok(()) };
            tracing::error!(topic = quarantine, %error, "quarantine failed");
            if matches!(error, Error::TooLarge { .. })
                && let Some(less) = quarantine::less(&poison)
            {
                poison = less;
                continue;
            }
            backoff.pause().await?;
        }
    }

    fn unavailable(&self, source: &(dyn std::error::Error + Send + Sync)) {
        let Part { topic, partition } = &self.part;
        tracing::warn!(%topic, partition, group = %self.config.group, error = %source, "handler is waiting for a dependency");
    }

    fn backoff(&self) -> Backoff<'_> {
        let retry = &self.config.retry;
        Backoff { next: retry.first_pause, longest: retry.longest_pause, stop: &self.stop }
    }
}
