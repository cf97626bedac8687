//! The task behind a shared cache: heartbeats, news of changes, and the epochs that are owed.

use super::contact::LEASE;
use super::{EPOCH, Inner, PREFIX};
use crate::redis::{Redis, SILENCE};
use fred::interfaces::{EventInterface as _, TrackingInterface as _};
use fred::types::client::Invalidation;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// How often a heartbeat is sent: several in a lease.
const BEAT: Duration = Duration::from_millis(250);
/// How often while the cache is not in use.
const BEAT_AWAY: Duration = Duration::from_millis(100);

/// Keeps the contact of a cache to Redis, until it is aborted.
pub(super) async fn keep(inner: Arc<Inner>, redis: Arc<Redis>) {
    let mut news = redis.client.invalidation_rx();
    let mut losses = redis.client.error_rx();
    let mut answered = Instant::now();
    let mut in_use = false;
    loop {
        let sent = Instant::now();
        let beat = inner.beat(sent);
        let there = {
            let mut beat = std::pin::pin!(beat);
            loop {
                tokio::select! {
                    biased;
                    told = news.recv() => inner.hear(told),
                    result = &mut beat => break result,
                }
            }
        };
        // What Redis told before it answered is here by now.
        if there.tracked && inner.catch_up(&mut news) {
            inner.extend(sent + LEASE);
        }
        let now = Instant::now();
        if there.answered {
            answered = now;
        } else if now > answered + SILENCE {
            // The client itself takes a connection for good as long as something can be written to it.
            inner.remote.reconnect().await;
            answered = Instant::now();
        }
        let is_in_use = inner.contact.is_leased(now);
        if is_in_use != in_use {
            in_use = is_in_use;
            if in_use {
                tracing::info!("cache in Redis is used");
            } else {
                tracing::warn!("cache in Redis is not used");
            }
        }
        let next = tokio::time::sleep_until((sent + if in_use { BEAT } else { BEAT_AWAY }).into());
        let mut next = std::pin::pin!(next);
        loop {
            tokio::select! {
                biased;
                told = news.recv() => inner.hear(told),
                _ = losses.recv() => inner.lost(),
                () = inner.wake.notified() => break,
                () = &mut next => break,
            }
        }
    }
}

/// What a heartbeat found.
struct There {
    /// The server answered.
    answered: bool,
    /// And tells of every change, on the connection that it answered on.
    tracked: bool,
}

impl Inner {
    async fn beat(&self, sent: Instant) -> There {
        if self.contact.owes() {
            // A number that was never one before, also where Redis forgot what the last one was.
            let epoch = rand::random::<u64>().max(1);
            match self.remote.renew(epoch).await {
                Ok(()) => {
                    self.lost();
                    self.epoch.store(epoch, Ordering::SeqCst);
                    self.contact.renewed(sent);
                    tracing::info!("all that was cached in redis is void");
                }
                Err(error) => tracing::debug!(%error, "cache cannot be renewed"),
            }
        }
        let tracks = async {
            if self.local.is_none() {
                return false;
            }
            match self.remote.is_tracking().await {
                Ok(tracks) => tracks || self.track().await,
                Err(_) => false,
            }
        };
        let (beat, tracked) = tokio::join!(self.remote.beat(), tracks);
        let now = Instant::now();
        match beat {
            Ok(epoch) => {
                self.epoch.store(epoch, Ordering::SeqCst);
                self.contact.answered(sent, now);
                There { answered: true, tracked }
            }
            Err(super::Refusal::Strange) => {
                self.strange();
                There { answered: true, tracked: false }
            }
            Err(super::Refusal::Failed(error)) => {
                tracing::debug!(%error, "no heartbeat");
                self.contact.failed(sent, now);
                There { answered: false, tracked: false }
            }
        }
    }

    /// Has changes told from now on. What was changed until now was not, so that the lease begins with the next heartbeat.
    async fn track(&self) -> bool {
        if let Err(error) = self.remote.track().await {
            tracing::warn!(%error, "changes in Redis are not told: nothing of it is kept in this process");
        }
        self.lost();
        false
    }

    fn lost(&self) {
        if let Some(local) = &self.local {
            local.drop_all();
        }
    }

    fn extend(&self, lease: Instant) {
        if let Some(local) = &self.local {
            local.extend(lease);
        }
    }

    fn hear(&self, told: Result<Invalidation, RecvError>) {
        let (Some(local), Ok(told)) = (&self.local, told) else {
            // There were more than could be kept.
            return self.lost();
        };
        for key in told.keys {
            match key.as_str() {
                Some(EPOCH) | None => local.drop_all(),
                Some(key) => {
                    if let Some(key) = key.strip_prefix(PREFIX).and_then(|key| key.strip_prefix(':')) {
                        local.drop_one(key);
                    }
                }
            }
        }
    }

    /// Hears what was told; false if something was missed.
    fn catch_up(&self, news: &mut Receiver<Invalidation>) -> bool {
        loop {
            match news.try_recv() {
                Ok(told) => self.hear(Ok(told)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => {
                    self.lost();
                    return false;
                }
            }
        }
    }
}
