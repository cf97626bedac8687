//! Wakes those who watch clients: one reader of the log for all streams of the process, outside of any consumer group. A wake says
//! that there is something to see and not what, so it is never queued: who is slow finds the latest when he looks.

use bus::{Bus, Fetch, kinds};
use bytes::Bytes;
use riskmesh_core::{ClientId, Error, ErrorCode, TenantId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Where changes of clients and of scores are told, under the same key.
const TOPIC: &str = kinds::RISK_SCORE_CHANGED.topic.name;
/// How long one read of the log waits for news.
const WAIT: Duration = Duration::from_secs(30);
/// After a failure of the bus.
const PAUSE: Duration = Duration::from_secs(1);
/// When to ask again for a place, where all are taken.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The watchers of a process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    bus: Arc<dyn Bus>,
    /// Places for each tenant.
    places: usize,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    /// By the key of events. The value counts changes of the client's master data.
    clients: HashMap<Bytes, watch::Sender<u64>>,
    /// Places taken.
    taken: HashMap<TenantId, usize>,
}

/// A watcher's place: given back when it is dropped.
pub(crate) struct Place {
    hub: Hub,
    tenant: TenantId,
    key: Bytes,
    wakes: watch::Receiver<u64>,
    masters: u64,
}

impl Hub {
    /// Nobody watches yet; each tenant has so many places.
    pub(crate) fn new(bus: Arc<dyn Bus>, places: usize) -> Self {
        Self(Arc::new(Inner { bus, places, watched: Mutex::default() }))
    }

    /// A place, from which no later event about this client goes unnoticed. `RATE_LIMITED` where the tenant's places are taken.
    pub(crate) fn join(&self, tenant: &TenantId, client: &ClientId) -> Result<Place, Error> {
        let key = Bytes::from(format!("{tenant}/{client}"));
        let mut watched = self.watched();
        let taken = watched.taken.entry(tenant.clone()).or_default();
        if *taken >= self.0.places {
            return Err(Error::new(ErrorCode::RateLimited)
                .message("Too many streams of this tenant are open")
                .hint("End a stream, or ask again after Retry-After.")
                .retry_after(RETRY_AFTER));
        }
        *taken += 1;
        let wakes = watched.clients.entry(key.clone()).or_default().subscribe();
        let masters = *wakes.borrow();
        drop(watched);
        Ok(Place { hub: self.clone(), tenant: tenant.clone(), key, wakes, masters })
    }

    /// Follows the log for ever. Dropping it at any point is safe.
    pub(crate) async fn run(&self) {
        let partitions = loop {
            match self.0.bus.partitions(TOPIC).await {
                Ok(partitions) => break partitions,
                Err(error) => pause(&error).await,
            }
        };
        futures::future::join_all((0..partitions).map(|partition| self.follow(partition))).await;
    }

    async fn follow(&self, partition: u32) {
        let mut next = None;
        loop {
            match self.read(partition, next).await {
                Ok(after) => next = Some(after),
                Err(error) => {
                    pause(&error).await;
                    next = None;
                }
            }
        }
    }

    /// Reads on from an offset, or finds the end of the log. Gives where to read on.
    async fn read(&self, partition: u32, next: Option<i64>) -> Result<i64, bus::Error> {
        let Some(next) = next else {
            let end = self.0.bus.bounds(TOPIC, partition).await?.high;
            // What came before may have been missed: let everybody look.
            self.watched().clients.values().for_each(|client| wake(client, true));
            return Ok(end);
        };
        let batch = self.0.bus.fetch(Fetch::new(TOPIC, partition, next).wait(WAIT)).await?;
        let watched = self.watched();
        for stored in &batch.records {
            if let Some(client) = watched.clients.get(&stored.record.key) {
                wake(client, kinds::CLIENT_CHANGED.is(&stored.record));
            }
        }
        Ok(batch.records.last().map_or(next, |last| last.offset + 1))
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(client: &watch::Sender<u64>, master: bool) {
    client.send_modify(|masters| *masters += u64::from(master));
}

async fn pause(error: &bus::Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "watchers wait for the bus");
    tokio::time::sleep(PAUSE).await;
}

impl Place {
    /// Waits for something to see; at once if there was something since the last time.
    pub(crate) async fn woken(&mut self) {
        if self.wakes.changed().await.is_err() {
            // The sender lives as long as its receivers.
            std::future::pending::<()>().await;
        }
    }

    /// Whether the client's master data may have changed since this was last asked.
    pub(crate) fn master_changed(&mut self) -> bool {
        let masters = *self.wakes.borrow();
        std::mem::replace(&mut self.masters, masters) != masters
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut watched = self.hub.watched();
        // This one is still counted.
        if watched.clients.get(&self.key).is_some_and(|client| client.receiver_count() <= 1) {
            watched.clients.remove(&self.key);
        }
        if let Some(taken) = watched.taken.get_mut(&self.tenant) {
            *taken -= 1;
            if *taken == 0 {
                watched.taken.remove(&self.tenant);
            }
        }
    }
}
