//! Partition tokens: Cassandra's Murmur3 of the serialized partition key. They spread partitions evenly over the ring, and
//! give a table scan its order; the embedded store uses the same, so that chunk bounds of a job mean the same on every backend.

use std::fmt;

/// Where a partition stands on the ring. Never `i64::MIN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub i64);

impl Token {
    /// The token of a serialized partition key: the first half of MurmurHash3 x64 128 with seed 0, as Cassandra's
    /// `Murmur3Partitioner` computes it. It differs from the reference in that the bytes of the tail are sign-extended.
    pub fn of(key: &[u8]) -> Self {
        // i64::MIN means "before everything" on the ring, so the partitioner maps it away.
        Self(match murmur3(key) {
            i64::MIN => i64::MAX,
            hash => hash,
        })
    }

    /// Eight bytes that sort as the tokens do.
    pub const fn to_ordered_bytes(self) -> [u8; 8] {
        (self.0 as u64 ^ (1 << 63)).to_be_bytes()
    }

    /// Back from [`Token::to_ordered_bytes`].
    pub const fn from_ordered_bytes(bytes: [u8; 8]) -> Self {
        Self((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

fn murmur3(key: &[u8]) -> i64 {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let (blocks, tail) = key.as_chunks::<16>();
    for block in blocks {
        let block = u128::from_le_bytes(*block);
        h1 ^= scramble_1(block as u64);
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= scramble_2((block >> 64) as u64);
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (low, high) = tail.split_at(tail.len().min(8));
    h2 ^= scramble_2(signed_little_endian(high));
    h1 ^= scramble_1(signed_little_endian(low));

    let len = key.len() as u64;
    h1 ^= len;
    h2 ^= len;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finalize(h1).wrapping_add(finalize(h2)) as i64
}

/// Java's `((long) byte) << 8 * i`, combined by xor: a negative byte flips every bit above it.
fn signed_little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().enumerate().fold(0, |acc, (i, byte)| acc ^ (i64::from(*byte as i8) as u64) << (8 * i))
}

const fn scramble_1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

const fn scramble_2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

const fn finalize(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test suites of the DataStax drivers.
    #[test]
    fn tokens_equal_those_of_cassandra() {
        let vectors: [(&[u8], i64); 5] = [
            (b"123", -7_468_325_962_851_647_638),
            (&[0x00, 0xff, 0x10, 0xfa, 0x99].repeat(10), 5_837_342_703_291_459_765),
            (&[0xfe; 8], -8_927_430_733_708_461_935),
            (&[0x10; 8], 1_446_172_840_243_228_796),
            (b"9223372036854775807", 7_162_290_910_810_015_547),
        ];
        for (key, token) in vectors {
            assert_eq!(Token::of(key), Token(token), "{key:?}");
        }
    }

    #[test]
    fn ordered_bytes_sort_as_tokens() {
        let tokens = [i64::MIN, -1, 0, 1, i64::MAX].map(Token);
        assert!(tokens.map(Token::to_ordered_bytes).is_sorted());
        assert_eq!(tokens.map(|token| Token::from_ordered_bytes(token.to_ordered_bytes())), tokens);
    }
}
