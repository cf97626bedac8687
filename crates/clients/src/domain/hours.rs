//! How many entries a month's partition has in each UTC hour: a short sorted list, kept in one static column beside the rows it
//! counts. It makes totals and offsets exact without reading rows.

use std::collections::BTreeMap;

/// Counts by hour since the epoch; hours without entries are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hours(BTreeMap<i64, u32>);

impl Hours {
    /// One entry more in this hour.
    pub(crate) fn add(&mut self, hour: i64) {
        let count = self.0.entry(hour).or_default();
        *count = count.saturating_add(1);
    }

    /// All hours of the other list too, their counts added.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (hour, count) in &other.0 {
            let sum = self.0.entry(*hour).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// How many entries in all.
    pub(crate) fn total(&self) -> u64 {
        self.0.values().map(|count| u64::from(*count)).sum()
    }

    /// The hours.
    pub(crate) fn ascending(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.keys().copied()
    }

    /// The hours with their counts, the latest first.
    pub(crate) fn latest_first(&self) -> impl Iterator<Item = (i64, u32)> + '_ {
        self.0.iter().rev().map(|(hour, count)| (*hour, *count))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pairs of (distance from the hour before, count) as LEB128 varints; the first distance is zigzag-coded.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 3 + 4);
        let mut before = None;
        for (hour, count) in &self.0 {
            let distance = match before {
                None => ((hour << 1) ^ (hour >> 63)) as u64,
                Some(before) => hour.abs_diff(before),
            };
            prost::encoding::encode_varint(distance, &mut bytes);
            prost::encoding::encode_varint(u64::from(*count), &mut bytes);
            before = Some(*hour);
        }
        bytes
    }

    /// Reads what [`Hours::encode`] wrote; `None` for anything else.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut hours = BTreeMap::new();
        let mut before: Option<i64> = None;
        while !bytes.is_empty() {
            let distance = prost::encoding::decode_varint(&mut bytes).ok()?;
            let count = u32::try_from(prost::encoding::decode_varint(&mut bytes).ok()?).ok()?;
            let hour = match before {
                None => (distance >> 1) as i64 ^ -((distance & 1) as i64),
                Some(before) if distance > 0 => before.checked_add_unsigned(distance)?,
                Some(_) => return None,
            };
            hours.insert(hour, count);
            before = Some(hour);
        }
        Some(Self(hours))
    }
}

impl FromIterator<i64> for Hours {
    fn from_iter<I: IntoIterator<Item = i64>>(hours: I) -> Self {
        let mut all = Self::default();
        for hour in hours {
            all.add(hour);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encoded_decodes(hours in proptest::collection::btree_map(-1_000_000i64..1_000_000, 1u32.., 0..800)) {
            let hours = Hours(hours);
            prop_assert_eq!(Hours::decode(&hours.encode()), Some(hours));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Hours::decode(&bytes);
        }

        #[test]
        fn counting_is_merging(a in proptest::collection::vec(-50i64..50, 0..50), b in proptest::collection::vec(-50i64..50, 0..50)) {
            let mut merged: Hours = a.iter().copied().collect();
            merged.merge(&b.iter().copied().collect());
            let all: Hours = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged.total(), (a.len() + b.len()) as u64);
            prop_assert_eq!(merged, all);
        }
    }
}
