//! Replay: what is on a topic is given to its consumers again.
//!
//! [`Replay::step`] publishes records of a range again as they are, event id included: everybody who reads the topic gets them, behind
//! what is there, and nothing else comes again. A record of a quarantine topic goes back to the topic it came from.
//! [`Replay::rewind`] moves the offset of one group back instead: this group alone handles everything again from there.
//!
//! Neither loses anything, whenever it ends: what was done is done, the rest can be asked for again, and a repeat is a repeat, which
//! consumers do not mind.

#[cfg(test)]
mod tests;

use crate::consumer::quarantine;
use crate::error;
use crate::group::lease::{self, Part};
use crate::record::Record;
use crate::topic::QUARANTINE_SUFFIX;
use crate::traits::{Bounds, Bus, Fetch};
use riskmesh_core::Timestamp;
use std::sync::Arc;
use store::Store;

pub use crate::group::lease::Rewound;

/// Gives records to consumers again.
#[derive(Clone)]
pub struct Replay {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
}

/// Where a replay begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// An offset, which counts within one partition.
    Offset(i64),
    /// The first record that was appended then or later.
    Time(Timestamp),
}

/// Offsets of a partition, `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: u32,
    /// The first offset.
    pub from: i64,
    /// The offset after the last one.
    pub to: i64,
}

/// What one step has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Where the next step begins: the end of the range, or before it.
    pub next: i64,
    /// Records that were published again.
    pub published: usize,
    /// Records that were not, and never can be.
    pub left_out: Vec<LeftOut>,
}

/// A record that cannot be published again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its offset.
    pub offset: i64,
    /// Why not.
    pub reason: String,
}

/// Why something cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An offset for all partitions of a topic that has several.
    #[error("an offset counts within one partition, and {topic} has {partitions}")]
    AnyPartition {
        /// The topic.
        topic: String,
        /// How many it has.
        partitions: u32,
    },
    /// The end comes before the beginning.
    #[error("the replay ends before it begins")]
    Backwards,
    /// The group has no offset: it has never consumed this partition.
    #[error("group {group} has never consumed {topic}/{partition}")]
    UnknownGroup {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The bus.
    #[error(transparent)]
    Bus(#[from] error::Error),
}

impl Replay {
    /// On this bus; the groups' offsets are in the store.
    pub fn new(bus: Arc<dyn Bus>, store: Arc<dyn Store>) -> Self {
        Self { bus, store }
    }

    /// What a replay covers: of one partition or of each, the records from a point up to another, or up to what is the end now. Offsets
    /// must be there; of times everything counts that is kept.
    pub async fn plan(
        &self,
        topic: &str,
        partition: Option<u32>,
        from: Point,
        to: Option<Point>,
    ) -> Result<Vec<Range>, Error> {
        let count = self.bus.partitions(topic).await?;
        let mut points = [Some(from), to].into_iter().flatten();
        if partition.is_none() && count > 1 && points.any(|point| matches!(point, Point::Offset(_))) {
            return Err(Error::AnyPartition { topic: topic.to_owned(), partitions: count });
        }
        if let (Point::Time(from), Some(Point::Time(to))) = (from, to)
            && to < from
        {
            return Err(Error::Backwards);
        }
        let partitions: Vec<u32> = partition.map_or_else(|| (0..count).collect(), |one| vec![one]);
        let mut ranges = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let bounds = self.bus.bounds(topic, partition).await?;
            let begin = self.find(topic, partition, from, bounds).await?;
            let end = match to {
                Some(to) => self.find(topic, partition, to, bounds).await?,
                None => bounds.high,
            };
            if end < begin {
                return Err(Error::Backwards);
            }
            ranges.push(Range { partition, from: begin, to: end });
        }
        Ok(ranges)
    }

    async fn find(
        &self,
        topic: &str,
        partition: u32,
        point: Point,
        bounds: Bounds,
    ) -> Result<i64, error::Error> {
        match point {
            Point::Offset(offset) => within(offset, bounds),
            Point::Time(at) => {
                // Records may have come, and gone, since the bounds were asked for.
                let found = self.bus.offset_at(topic, partition, at).await?;
                Ok(found.clamp(bounds.low, bounds.high))
            }
        }
    }

    /// Publishes the next records of a range again, as many as one fetch gives. They are durable when this returns; after an error
    /// any of them may be there, and the same step can be taken again.
    pub async fn step(&self, topic: &str, range: Range) -> Result<Step, error::Error> {
        let mut step = Step { next: range.to, ..Step::default() };
        if range.from >= range.to {
            return Ok(step);
        }
        let batch = self.bus.fetch(Fetch::new(topic, range.partition, range.from)).await?;
        let target = topic.strip_suffix(QUARANTINE_SUFFIX);
        let mut records = Vec::with_capacity(batch.records.len());
        // Whoever ends the range is behind what is left of it, where offsets have gaps.
        for stored in batch.records.into_iter().take_while(|stored| stored.offset < range.to) {
            step.next = stored.offset + 1;
            match again(stored.record, topic, target) {
                Ok(record) => records.push(record),
                Err(reason) => step.left_out.push(LeftOut { offset: stored.offset, reason }),
            }
        }
        step.published = records.len();
        self.bus.publish(target.unwrap_or(topic), records).await?;
        Ok(step)
    }

    /// Has a group handle a partition again from an offset on, at the latest: what it has committed beyond is undone under a new epoch,
    /// so that no member can commit it once more, and whoever works on the partition begins there within about a second. Offsets are
    /// never moved forward: nothing is left out.
    pub async fn rewind(
        &self,
        group: &str,
        topic: &str,
        partition: u32,
        offset: i64,
    ) -> Result<Rewound, Error> {
        within(offset, self.bus.bounds(topic, partition).await?)?;
        let part = Part { topic: topic.into(), partition };
        let rewound = lease::rewind(&*self.store, group, &part, offset).await?;
        let (group, topic) = (group.to_owned(), topic.to_owned());
        rewound.ok_or(Error::UnknownGroup { group, topic, partition })
    }
}

fn within(offset: i64, Bounds { low, high }: Bounds) -> Result<i64, error::Error> {
    if (low..=high).contains(&offset) {
        Ok(offset)
    } else {
        Err(error::Error::OutOfRange { offset, low, high })
    }
}

/// The record as it is to be published again, or why it cannot be.
fn again(record: Record, topic: &str, target: Option<&str>) -> Result<Record, String> {
    let record = match target {
        Some(_) => quarantine::restore(&record).ok_or(
            "it was too large for the quarantine and was cut: it is whole where it came from, if anywhere",
        )?,
        None => record,
    };
    record.check(target.unwrap_or(topic)).map_err(|error| error.to_string())?;
    Ok(record)
}
