//! The positions of a block that are taken, as a set of 4096 bits. A block that was only ever filled from the front, which is
//! most of them, is stored in three bytes.

use super::BLOCK;

const WORDS: usize = BLOCK as usize / 64;

/// A prefix of the block: its length follows, as u16.
const PREFIX: u8 = 0;
/// The bits follow, without trailing zeros.
const BITS: u8 = 1;

/// A set of positions in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bitmap([u64; WORDS]);

impl Default for Bitmap {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl Bitmap {
    pub(super) fn get(&self, pos: u16) -> bool {
        self.0[usize::from(pos / 64)] >> (pos % 64) & 1 == 1
    }

    pub(super) fn set(&mut self, pos: u16, taken: bool) {
        let bit = 1 << (pos % 64);
        let word = &mut self.0[usize::from(pos / 64)];
        *word = if taken { *word | bit } else { *word & !bit };
    }

    /// How many positions are taken.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The taken position that has `rank` taken ones before it.
    pub(super) fn select(&self, mut rank: u32) -> Option<u16> {
        for (index, word) in self.0.iter().enumerate() {
            let ones = word.count_ones();
            if rank < ones {
                let mut rest = *word;
                for _ in 0..rank {
                    rest &= rest - 1;
                }
                return Some((index as u32 * 64 + rest.trailing_zeros()) as u16);
            }
            rank -= ones;
        }
        None
    }

    /// The one stored form of this set; `None` for the empty one. Sets are compared by it.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        if self.select(count - 1).is_some_and(|last| u32::from(last) + 1 == count) {
            let [high, low] = (count as u16).to_be_bytes();
            return Some(vec![PREFIX, high, low]);
        }
        let mut bytes = vec![BITS];
        bytes.extend(self.0.iter().flat_map(|word| word.to_le_bytes()));
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end);
        Some(bytes)
    }

    /// Reads a stored form; `None` if it is none.
    pub(super) fn decode(bytes: Option<&[u8]>) -> Option<Self> {
        let mut set = Self::default();
        match bytes {
            None => {}
            Some([PREFIX, high, low]) => {
                let count = u16::from_be_bytes([*high, *low]);
                if u64::from(count) > BLOCK {
                    return None;
                }
                (0..count).for_each(|pos| set.set(pos, true));
            }
            Some([BITS, bits @ ..]) if bits.len() <= WORDS * 8 => {
                for (index, byte) in bits.iter().enumerate() {
                    set.0[index / 8] |= u64::from(*byte) << (index % 8 * 8);
                }
            }
            Some(_) => return None,
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn taken() -> impl Strategy<Value = BTreeSet<u16>> {
        let any_set = prop::collection::btree_set(0..BLOCK as u16, 0..200);
        let prefix = (0..=BLOCK as u16).prop_map(|count| (0..count).collect());
        prop_oneof![any_set, prefix]
    }

    proptest! {
        #[test]
        fn a_bitmap_is_a_set(taken in taken(), probe in 0..BLOCK as u16) {
            let mut bitmap = Bitmap::default();
            for pos in &taken {
                bitmap.set(*pos, true);
            }
            prop_assert_eq!(bitmap.count() as usize, taken.len());
            prop_assert_eq!(bitmap.get(probe), taken.contains(&probe));
            for (rank, pos) in taken.iter().enumerate() {
                prop_assert_eq!(bitmap.select(rank as u32), Some(*pos));
            }
            prop_assert_eq!(bitmap.select(taken.len() as u32), None);
            let stored = bitmap.encode();
            prop_assert_eq!(Bitmap::decode(stored.as_deref()).unwrap(), bitmap.clone());
            prop_assert_eq!(stored.is_none(), taken.is_empty());
            bitmap.set(probe, false);
            prop_assert!(!bitmap.get(probe));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Bitmap::decode(Some(&bytes));
        }
    }

    #[test]
    fn a_full_block_takes_three_bytes() {
        let full = Bitmap([u64::MAX; WORDS]);
        assert_eq!(full.encode(), Some(vec![0, 0x10, 0]));
        assert_eq!(full.select(4095), Some(4095));
    }
}
