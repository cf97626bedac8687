//! Sliding windows: the one place where "n of them within t" is worked out.
//!
//! A window starts at an entry and takes in all that follow within its length, both ends included. It qualifies if what is
//! in it does. Qualifying windows that share an entry are one finding: so a finding does not depend on where one starts to
//! look, and no entry is in two.

use std::ops::Range;

use crate::entry::Entry;

/// What a window holds, kept while it slides: each entry is added once and removed once.
pub(super) trait Tally {
    fn add(&mut self, at: usize);
    fn remove(&mut self, at: usize);
    fn qualifies(&self) -> bool;
}

/// The findings among `entries`, which are in canonical order, as ranges of them. Linear in their number.
pub(super) fn findings(entries: &[&Entry], length_ms: i64, tally: &mut impl Tally) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for (start, first) in entries.iter().enumerate() {
        let last_ms = first.at_ms.saturating_add(length_ms);
        while end < entries.len() && entries[end].at_ms <= last_ms {
            tally.add(end);
            end += 1;
        }
        if tally.qualifies() {
            match found.last_mut() {
                Some(last) if start < last.end => last.end = end,
                _ => found.push(start..end),
            }
        }
        tally.remove(start);
    }
    found
}

/// Whether a window may hold `many` entries at all: if none does, none needs a closer look.
pub(super) fn is_dense(entries: &[&Entry], length_ms: i64, many: usize) -> bool {
    let many = many.max(1);
    entries.windows(many).any(|window| window[many - 1].at_ms.saturating_sub(length_ms) <= window[0].at_ms)
}

/// Counts entries.
pub(super) struct AtLeast {
    pub(super) min: usize,
    count: usize,
}

impl AtLeast {
    pub(super) fn new(min: u32) -> Self {
        Self { min: min as usize, count: 0 }
    }
}

impl Tally for AtLeast {
    fn add(&mut self, _: usize) {
        self.count += 1;
    }

    fn remove(&mut self, _: usize) {
        self.count -= 1;
    }

    fn qualifies(&self) -> bool {
        self.count >= self.min
    }
}
