//! Counter-based random numbers.
//!
//! A [`Draw`] is keyed by (seed, stream, index) and yields SplitMix64's sequence from that key (Steele, Lea and Flood, "Fast
//! splittable pseudorandom number generators", 2014). The key is two rounds of its finaliser, so neighbouring indices share
//! nothing. This is a promise: changing a constant or a stream's number changes every byte that was ever generated.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What numbers are drawn for. Numbers are for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Layout = 1,
    Client = 2,
    Name = 3,
    Account = 4,
    Transaction = 5,
    Time = 6,
    Party = 7,
    Partner = 8,
    Pattern = 9,
    Member = 10,
    Fault = 11,
    Instrument = 20,
    Level = 21,
    Market = 22,
    Price = 23,
    Trade = 24,
    #[cfg(test)]
    Test = 99,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A short sequence of random numbers that belongs to one thing.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, stream: Stream, index: u64) -> Self {
        let keyed = mix(seed.wrapping_add(GAMMA.wrapping_mul(stream as u64)));
        Self(mix(keyed.wrapping_add(GAMMA.wrapping_mul(index.wrapping_add(1)))))
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number in `0..n`, by multiplication (Lemire); its bias of n / 2^64 is beyond notice. `n` is not 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `ppm` of a million cases.
    pub(crate) fn chance(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// One of a table, in proportion to its weight.
    pub(crate) fn pick<T: Copy>(&mut self, table: &[(T, u32)]) -> T {
        let mut at = self.below(table.iter().map(|(_, weight)| u64::from(*weight)).sum());
        for (one, weight) in table {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return *one,
            }
        }
        // `at` is below the sum of the weights: the loop has returned.
        table[table.len() - 1].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64() {
        // The first outputs of the published SplitMix64 for state 1234567.
        let mut draw = Draw(1_234_567);
        let got: Vec<u64> = (0..5).map(|_| draw.next()).collect();
        assert_eq!(
            got,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn keys_are_pinned() {
        assert_eq!(Draw::new(0, Stream::Client, 0).next(), 9_271_759_356_047_530_030);
        assert_ne!(Draw::new(0, Stream::Client, 0).next(), Draw::new(0, Stream::Client, 1).next());
        assert_ne!(Draw::new(0, Stream::Client, 0).next(), Draw::new(0, Stream::Account, 0).next());
        assert_ne!(Draw::new(0, Stream::Client, 0).next(), Draw::new(1, Stream::Client, 0).next());
    }

    #[test]
    fn picks_follow_their_weights() {
        let mut draw = Draw::new(1, Stream::Test, 0);
        let table = [('a', 1), ('b', 0), ('c', 3)];
        let seen: Vec<char> = (0..8_000).map(|_| draw.pick(&table)).collect();
        let count = |which| seen.iter().filter(|one| **one == which).count();
        assert_eq!(count('b'), 0);
        assert!(count('a').abs_diff(2_000) < 200, "{}", count('a'));
    }
}
