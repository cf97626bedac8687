//! A perfect hash from names to small numbers, built at start-up: one hash, one comparison a look-up, whatever the input.
//!
//! Names fall into buckets; each bucket has a displacement, found by trial, that puts all its names into free slots
//! ("hash, displace and compress", Belazzougui, Botelho and Dietzfelbinger, 2009, without the compression).

/// What names map to.
pub(crate) type Index = u32;

const FREE: u32 = u32::MAX;
/// Displacements tried for a bucket before the table is rebuilt with another seed.
const TRIALS: u32 = 1 << 12;

#[derive(Debug, Default)]
pub(crate) struct Names {
    entries: Box<[(Box<[u8]>, Index)]>,
    displacements: Box<[u32]>,
    slots: Box<[u32]>,
    seed: u64,
}

impl Names {
    /// Builds the table; of equal names the first one counts.
    pub(crate) fn new(names: impl IntoIterator<Item = (String, Index)>) -> Self {
        let mut entries: Vec<(Box<[u8]>, Index)> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (name, index) in names {
            if known.insert(name.clone()) {
                entries.push((name.into_bytes().into(), index));
            }
        }
        if entries.is_empty() {
            return Self::default();
        }
        let mut size = (entries.len() * 2).next_power_of_two();
        for seed in 1_u64.. {
            if let Some((displacements, slots)) = place(&entries, size, seed) {
                return Self { entries: entries.into(), displacements, slots, seed };
            }
            // Distinct names almost always fit at the first size; growing makes the end certain.
            size = if seed % 8 == 0 { size * 2 } else { size };
        }
        Self::default()
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<Index> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = hash(name, self.seed);
        let displacement = self.displacements[bucket(hash, self.displacements.len())];
        let entry = self.slots[slot(hash, displacement, self.slots.len())];
        let (known, index) = self.entries.get(entry as usize)?;
        (**known == *name).then_some(*index)
    }
}

type Placed = (Box<[u32]>, Box<[u32]>);

fn place(entries: &[(Box<[u8]>, Index)], size: usize, seed: u64) -> Option<Placed> {
    let count = (entries.len() / 2).next_power_of_two();
    let mut buckets = vec![Vec::new(); count];
    for (entry, (name, _)) in entries.iter().enumerate() {
        let hash = hash(name, seed);
        buckets[bucket(hash, count)].push((entry as u32, hash));
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|b| std::cmp::Reverse(buckets[*b].len()));
    let mut slots = vec![FREE; size];
    let mut displacements = vec![0; count];
    for b in order {
        let fits = |d: u32, slots: &[u32]| {
            let mut taken = Vec::with_capacity(buckets[b].len());
            for (_, hash) in &buckets[b] {
                let at = slot(*hash, d, size);
                if slots[at] != FREE || taken.contains(&at) {
                    return false;
                }
                taken.push(at);
            }
            true
        };
        let displacement = (0..TRIALS).find(|d| fits(*d, &slots))?;
        for (entry, hash) in &buckets[b] {
            slots[slot(*hash, displacement, size)] = *entry;
        }
        displacements[b] = displacement;
    }
    Some((displacements.into(), slots.into()))
}

fn bucket(hash: u64, count: usize) -> usize {
    hash as usize & (count - 1)
}

fn slot(hash: u64, displacement: u32, size: usize) -> usize {
    let (base, step) = (hash >> 40, hash >> 16 | 1);
    base.wrapping_add(u64::from(displacement).wrapping_mul(step)) as usize & (size - 1)
}

fn hash(name: &[u8], seed: u64) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = (name.len() as u64 ^ seed.wrapping_mul(K)).wrapping_mul(K);
    let mix = |state: u64, word: u64| {
        let state = (state ^ word).wrapping_mul(K);
        state ^ state >> 32
    };
    let (words, tail) = name.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    let last = tail.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(mix(state, last), K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 7, 60, 1000, 20_000] {
            let names = Names::new((0..count).map(|i| (format!("fieldName{i}"), i)));
            for i in 0..count {
                assert_eq!(names.get(format!("fieldName{i}").as_bytes()), Some(i));
            }
            assert_eq!(names.get(format!("fieldName{count}").as_bytes()), None);
            assert_eq!(names.get(b""), None);
        }
    }

    #[test]
    fn of_equal_names_the_first_counts() {
        let names = Names::new([("a".to_owned(), 1), ("b".to_owned(), 2), ("a".to_owned(), 3)]);
        assert_eq!((names.get(b"a"), names.get(b"b"), names.entries.len()), (Some(1), Some(2), 2));
    }
}
