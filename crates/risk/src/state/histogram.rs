//! Quantiles of amounts by an integer log-linear histogram.
//!
//! Buckets are those of HdrHistogram (<https://hdrhistogram.org>): exact below 64, then 32 to an octave, so a bucket is at most
//! 1/32 of its value wide. The index is shifts and masks only: DDSketch's logarithm, t-digest and KLL are not stable bit
//! for bit. Merging is addition per bucket.

use smallvec::SmallVec;

use super::{
    Error,
    codec::{Reader, canonical, put_len, put_u64},
};

const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;

/// Counts per bucket, sparse, in the order of the buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: SmallVec<[(u16, u64); 4]>,
}

/// Which bucket a value belongs to: the octave above the linear part, then its top five bits below the leading one.
pub(super) fn bucket(value: u64) -> u16 {
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(SUB_BITS + 1);
    (u64::from(octave) * SUB + (value >> octave)) as u16
}

/// The largest value of a bucket.
fn upper(bucket: u16) -> u64 {
    let octave = (u64::from(bucket) / SUB).saturating_sub(1);
    let top = u64::from(bucket) - octave * SUB;
    // The last bucket's end is one past u64: wrapping lands on its largest value.
    ((top + 1) << octave).wrapping_sub(1)
}

const LAST: u16 = ((u64::BITS - SUB_BITS - 1) as u16) * SUB as u16 + 2 * SUB as u16 - 1;

impl Histogram {
    pub(super) fn add(&mut self, minor: u64) {
        self.add_to(bucket(minor), 1);
    }

    fn add_to(&mut self, bucket: u16, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(at, _)| *at) {
            Ok(i) => self.buckets[i].1 = self.buckets[i].1.saturating_add(count),
            Err(i) => self.buckets.insert(i, (bucket, count)),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.add_to(*bucket, *count);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |n, (_, count)| n.saturating_add(*count))
    }

    /// The least bucket end that at least `bp` of 10,000 values do not exceed (nearest rank): never below the true
    /// quantile, and above it by 1/32 at most. `None` when nothing was counted.
    pub fn quantile_bp(&self, bp: u16) -> Option<u64> {
        let rank = (u128::from(self.count()) * u128::from(bp.min(10_000))).div_ceil(10_000).max(1);
        let mut seen = 0_u128;
        self.buckets.iter().find_map(|(at, count)| {
            seen += u128::from(*count);
            (seen >= rank).then(|| upper(*at))
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.buckets.len());
        for (bucket, count) in &self.buckets {
            put_u64(out, u64::from(*bucket));
            put_u64(out, *count);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let n = from.len(2)?;
        let mut buckets: SmallVec<[(u16, u64); 4]> = SmallVec::with_capacity(n);
        for _ in 0..n {
            let at = u16::try_from(from.u64()?).map_err(|_| Error::NotCanonical)?;
            let count = from.u64()?;
            canonical(at <= LAST && count > 0 && buckets.last().is_none_or(|(last, _)| *last < at))?;
            buckets.push((at, count));
        }
        Ok(Self { buckets })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_tile_the_numbers() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(63), 63);
        assert_eq!(bucket(64), bucket(65));
        assert_ne!(bucket(65), bucket(66));
        assert_eq!(bucket(u64::MAX), LAST);
        for at in 0..LAST {
            assert_eq!(bucket(upper(at)), at);
            assert_eq!(bucket(upper(at) + 1), at + 1);
        }
    }

    proptest! {
        #[test]
        fn quantiles_bound_the_true_ones(mut values in prop::collection::vec(1_u64..1 << 50, 1..200), bp in 0_u16..=10_000) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.add(*value);
            }
            values.sort_unstable();
            let rank = (values.len() * usize::from(bp)).div_ceil(10_000).max(1);
            let (truth, got) = (values[rank - 1], histogram.quantile_bp(bp).unwrap());
            prop_assert!(got >= truth && got - truth <= truth / 32, "{got} for {truth}");
        }
    }
}
