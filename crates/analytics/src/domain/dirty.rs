//! Which hours of an account must be read again, as few ranges of time.

use risk::Hour;
use std::collections::BTreeSet;

/// How far apart two dirty hours may be and still be read in one go. A call costs as much as some dozens of entries; and where entries
/// are many, new ones tend to lie in neighbouring hours or all over the place, so little that is clean is read in between.
const GAP_HOURS: i64 = 7 * 24;

/// A stretch of an account's time that holds dirty hours, to be read in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The dirty hours, ascending; never empty.
    pub(crate) hours: Vec<Hour>,
}

impl Stretch {
    /// The first millisecond.
    pub(crate) fn start_ms(&self) -> i64 {
        self.hours.first().map_or(0, |hour| hour.start_ms())
    }

    /// The first millisecond after it.
    pub(crate) fn end_ms(&self) -> i64 {
        self.hours.last().map_or(0, |hour| hour.end_ms())
    }
}

/// Groups dirty hours into stretches that hold at most `most` of them each, in order.
pub(crate) fn stretches(hours: &BTreeSet<i64>, most: usize) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for hour in hours.iter().copied().map(Hour::from_number) {
        match all.last_mut() {
            Some(Stretch { hours }) if hours.len() < most && near(hours.last(), hour) => hours.push(hour),
            _ => all.push(Stretch { hours: vec![hour] }),
        }
    }
    all
}

fn near(last: Option<&Hour>, hour: Hour) -> bool {
    last.is_some_and(|last| hour.number().saturating_sub(last.number()) <= GAP_HOURS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn numbers(hours: &[i64], most: usize) -> Vec<Vec<i64>> {
        let hours = hours.iter().copied().collect();
        stretches(&hours, most)
            .iter()
            .map(|one| one.hours.iter().map(|hour| hour.number()).collect())
            .collect()
    }

    #[test]
    fn hours_of_about_a_week_are_read_together() {
        assert_eq!(numbers(&[0, 168, 336, 505], 100), vec![vec![0, 168, 336], vec![505]]);
        assert_eq!(numbers(&[1, 2, 3], 2), vec![vec![1, 2], vec![3]]);
        assert!(numbers(&[], 2).is_empty());
    }

    proptest! {
        #[test]
        fn every_hour_is_in_one_stretch_and_stretches_do_not_overlap(
            hours in proptest::collection::btree_set(-5_000i64..5_000, 0..200), most in 1usize..50,
        ) {
            let all = stretches(&hours, most);
            let found: Vec<i64> = all.iter().flat_map(|one| one.hours.iter().map(|hour| hour.number())).collect();
            prop_assert_eq!(found, hours.into_iter().collect::<Vec<_>>());
            prop_assert!(all.iter().all(|one| (1..=most).contains(&one.hours.len())));
            prop_assert!(all.windows(2).all(|pair| pair[0].end_ms() <= pair[1].start_ms()));
        }
    }
}
