//! Which partition a key belongs to: murmur2 as Kafka's Java clients compute it, so that a producer in any language that uses
//! the default partitioner puts a key where we do.

use crate::record::Record;
use crate::traits::Position;

/// A publication cut into partitions.
pub(crate) struct Spread {
    /// The partition of each record.
    places: Vec<u32>,
    /// The records of each partition, in their order.
    pub(crate) parts: Vec<Vec<Record>>,
}

impl Spread {
    /// Records without a key go to the partition `keyless`.
    pub(crate) fn new(records: Vec<Record>, partitions: u32, keyless: u32) -> Self {
        let mut places = Vec::with_capacity(records.len());
        let mut parts: Vec<Vec<Record>> = vec![Vec::new(); partitions as usize];
        for record in records {
            let place = if record.key.is_empty() { keyless } else { of(&record.key, partitions) };
            places.push(place);
            parts[place as usize].push(record);
        }
        Self { places, parts }
    }

    /// Where each record is, given the offsets of each partition's records.
    pub(crate) fn positions(self, offsets: Vec<Vec<i64>>) -> Vec<Position> {
        let mut offsets: Vec<_> = offsets.into_iter().map(Vec::into_iter).collect();
        let positions = self.places.into_iter().filter_map(|partition| {
            let offset = offsets[partition as usize].next()?;
            Some(Position { partition, offset })
        });
        positions.collect()
    }
}

/// The partition of a key among `partitions` (at least 1): `toPositive(murmur2(key)) % partitions`, Kafka's
/// `BuiltInPartitioner.partitionForKey`.
pub fn of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// The 32-bit MurmurHash2 of `org.apache.kafka.common.utils.Utils.murmur2`; Java's `int` as its bits.
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    let mut hash = SEED ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_what_kafka_s_own_test_expects() {
        // From UtilsTest.testMurmur2 of Apache Kafka.
        let vectors: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key) as i32, hash, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn a_negative_hash_still_has_a_partition() {
        // Java masks the sign bit instead of taking an absolute value: -973932308 & 0x7fffffff = 1173551340.
        assert_eq!(of(b"21", 7), 1_173_551_340 % 7);
        assert!((0..1000_u32).all(|key| of(&key.to_le_bytes(), 3) < 3));
        assert_eq!(of(b"any", 1), 0);
    }
}
