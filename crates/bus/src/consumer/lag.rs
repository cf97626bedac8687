//! How far a member is behind.

use crate::group::lease::Part;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The lag of a running consumer's partitions; a handle that can be cloned and read at any time.
#[derive(Clone, Debug, Default)]
pub struct Lag(Arc<Mutex<BTreeMap<Part, PartitionLag>>>);

/// The lag of one partition, as of about a second ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The committed offset: the next one to handle for whoever takes over.
    pub next_offset: i64,
    /// The next offset to be written.
    pub high_watermark: i64,
}

impl PartitionLag {
    /// Records that are not committed.
    pub fn records(&self) -> u64 {
        u64::try_from(self.high_watermark - self.next_offset).unwrap_or(0)
    }
}

impl Lag {
    /// The partitions that the member holds now.
    pub fn partitions(&self) -> Vec<PartitionLag> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Records that are not committed, over all of them.
    pub fn records(&self) -> u64 {
        self.partitions().iter().map(PartitionLag::records).sum()
    }

    pub(super) fn replace(&self, partitions: impl Iterator<Item = (Part, i64, i64)>) {
        let partitions = partitions.map(|(part, next_offset, high_watermark)| {
            let Part { topic, partition } = part.clone();
            (part, PartitionLag { topic, partition, next_offset, high_watermark })
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = partitions.collect();
    }
}
