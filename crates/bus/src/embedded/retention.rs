//! Drops old segments.

use super::log::{Log, Segment};
use super::{Embedded, RETENTION_EVERY};
use crate::error::Error;
use crate::group;
use riskmesh_core::{Clock, Timestamp};
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::Store;
use tokio_util::sync::CancellationToken;

/// Looks for segments to drop every now and then, until the bus is closed or dropped.
pub(super) async fn run(
    bus: Weak<Embedded>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(RETENTION_EVERY)).await.is_some() {
        let Some(bus) = bus.upgrade() else { return };
        match bus.drop_old_segments(&*store, clock.now()).await {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, "old segments dropped"),
            Err(error) => tracing::warn!(%error, "retention failed"),
        }
    }
}

impl Embedded {
    /// One pass over all partitions; gives the number of segments that are gone.
    pub(crate) async fn drop_old_segments(&self, store: &dyn Store, now: Timestamp) -> Result<usize, Error> {
        let mut count = 0;
        for (name, topic) in &self.topics {
            let groups = group::groups_of(store, name).await?;
            for partition in &topic.partitions {
                let old = old_segments(&partition.log, topic.retention, now);
                if old.is_empty() {
                    continue;
                }
                let handled = group::slowest(store, &groups, name, partition.log.index).await?;
                for segment in old {
                    if handled.is_some_and(|offset| offset < partition.log.base_of(segment.number + 1)) {
                        break;
                    }
                    partition.log.drop_segment(segment).await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

/// The segments that only hold records older than the retention time. The next segment's first record is not older than a
/// segment's last one; the last segment, which is still written to, stays.
fn old_segments(log: &Log, retention: Duration, now: Timestamp) -> Vec<Segment> {
    let segments = log.segments();
    let next = segments.iter().skip(1);
    segments
        .iter()
        .zip(next)
        .take_while(|(_, next)| next.first_at.plus(retention) <= now)
        .map(|(segment, _)| *segment)
        .collect()
}
