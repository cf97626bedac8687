//! How many different counterparties: exact to 256, then a canonical dense HyperLogLog.
//!
//! The form depends on the set alone: up to 256 different hashes are kept as they are, sorted; beyond that, 4,096 registers
//! (Flajolet et al., 2007; standard error 1.6 %). Both are functions of the set and merging is union, so neither order nor
//! grouping nor repetition can show. The estimate is Ertl's (arXiv:1702.01284, algorithm 6), which needs no bias tables and no
//! logarithm, in fixed point. Hashes of counterparties are kept, not the counterparties.

use smallvec::SmallVec;

use super::{
    Error,
    codec::{Reader, canonical, put_len},
};

const EXACT: usize = 256;
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// The largest register: all 52 remaining bits zero.
const MAX_RANK: u8 = (u64::BITS - PRECISION + 1) as u8;

/// A set of counterparties that can only be counted and merged.
#[derive(Clone, PartialEq, Eq)]
pub struct Distinct(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Exact(SmallVec<[u64; 4]>),
    Dense(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self(Form::Exact(SmallVec::new()))
    }
}

impl std::fmt::Debug for Distinct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let form = if self.is_exact() { "exact" } else { "dense" };
        write!(f, "Distinct({form}, {})", self.count())
    }
}

fn raise_all(registers: &mut [u8], hashes: &[u64]) {
    for hash in hashes {
        raise(registers, *hash);
    }
}

fn raise(registers: &mut [u8], hash: u64) {
    let at = (hash >> (u64::BITS - PRECISION)) as usize;
    // The sentinel bit bounds the rank when the rest of the hash is zero.
    let rank = (hash << PRECISION | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
    registers[at] = registers[at].max(rank);
}

impl Distinct {
    /// Adds a counterparty by its hash.
    pub(super) fn add(&mut self, hash: u64) {
        match &mut self.0 {
            Form::Dense(registers) => raise(registers, hash),
            Form::Exact(hashes) => {
                let Err(at) = hashes.binary_search(&hash) else { return };
                hashes.insert(at, hash);
                if hashes.len() > EXACT {
                    let mut registers = vec![0; REGISTERS].into_boxed_slice();
                    raise_all(&mut registers, hashes);
                    self.0 = Form::Dense(registers);
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, Form::Exact(hashes)) => hashes.iter().for_each(|hash| self.add(*hash)),
            (Form::Dense(mine), Form::Dense(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
            }
            (Form::Exact(hashes), Form::Dense(theirs)) => {
                let mut registers = theirs.clone();
                raise_all(&mut registers, hashes);
                self.0 = Form::Dense(registers);
            }
        }
    }

    /// The least hash, while all are kept.
    pub(super) fn first(&self) -> Option<u64> {
        match &self.0 {
            Form::Exact(hashes) => hashes.first().copied(),
            Form::Dense(_) => None,
        }
    }

    /// Whether [`Self::count`] is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self.0, Form::Exact(_))
    }

    /// How many: exact to 256, an estimate with a standard error of 1.6 % beyond.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Form::Exact(hashes) => hashes.len() as u64,
            Form::Dense(registers) => estimate(registers),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Exact(hashes) => {
                put_len(out, hashes.len());
                for hash in hashes {
                    out.extend_from_slice(&hash.to_be_bytes());
                }
            }
            Form::Dense(registers) => {
                put_len(out, EXACT + 1);
                out.extend_from_slice(registers);
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let n = from.len(8)?;
        if n == EXACT + 1 {
            let registers = from.take(REGISTERS)?;
            canonical(registers.iter().all(|rank| *rank <= MAX_RANK))?;
            return Ok(Self(Form::Dense(registers.into())));
        }
        canonical(n <= EXACT)?;
        let mut hashes: SmallVec<[u64; 4]> = SmallVec::with_capacity(n);
        for _ in 0..n {
            let hash = u64::from_be_bytes(from.array()?);
            canonical(hashes.last().is_none_or(|last| *last < hash))?;
            hashes.push(hash);
        }
        Ok(Self(Form::Exact(hashes)))
    }
}

/// Ertl's improved raw estimator: `m^2 / (2 ln 2 * (m sigma(C0/m) + sum C_k 2^-k))`.
///
/// In fixed point with 53 fractional bits, where every `2^-k` is exact. His tau term is left out: it corrects for saturated
/// registers, which take some 2^52 counterparties.
fn estimate(registers: &[u8]) -> u64 {
    const ONE: u128 = 1 << MAX_RANK;
    /// `1 / (2 ln 2)`, scaled by 2^32.
    const ALPHA: u128 = 3_098_164_009;
    let m = REGISTERS as u128;
    let (mut zeros, mut occupied) = (0_u128, 0_u128);
    for rank in registers {
        match rank {
            0 => zeros += 1,
            rank => occupied += ONE >> rank,
        }
    }
    // sigma(x) = x + sum over k >= 1 of x^(2^k) 2^(k-1), with x = zeros / m < 1: at most 256 of 4,096 hashes can meet, so
    // a dense set has registers in use and the series dies out by repeated squaring.
    let mut power = zeros * ONE / m;
    let mut sigma = power;
    let mut factor = 1_u128;
    while power > 0 && power < ONE {
        power = power * power / ONE;
        sigma += power * factor;
        factor <<= 1;
    }
    let denominator = m * sigma + occupied;
    // m^2 * ALPHA / 2^32 / (denominator / ONE), rounded half up.
    let numerator = (m * m * ALPHA) << (MAX_RANK - 32);
    ((numerator + denominator / 2) / denominator.max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::xxh64;

    fn of(names: impl IntoIterator<Item = u64>) -> Distinct {
        let mut set = Distinct::default();
        names.into_iter().for_each(|n| set.add(xxh64(&n.to_le_bytes())));
        set
    }

    #[test]
    fn exact_up_to_256_and_repeats_do_not_count() {
        let set = of((0..256).chain(0..256));
        assert!(set.is_exact());
        assert_eq!(set.count(), 256);
        assert!(!of(0..257).is_exact());
    }

    #[test]
    fn estimates_stay_within_four_standard_errors_at_every_size() {
        for n in [257_u64, 500, 1_000, 3_000, 8_000, 10_240, 15_000, 40_000, 200_000] {
            let got = of(0..n).count();
            assert!(got.abs_diff(n) * 1_000 <= n * 65, "{got} for {n}");
        }
    }

    #[test]
    fn any_grouping_of_a_union_gives_the_same_bytes() {
        let bytes = |set: &Distinct| {
            let mut out = Vec::new();
            set.encode(&mut out);
            out
        };
        for n in [10, 255, 256, 257, 2_000] {
            let whole = bytes(&of(0..n));
            for parts in [1, 2, 3, 7, n] {
                let mut folded = Distinct::default();
                for part in (0..parts).rev() {
                    // Parts overlap: union is idempotent.
                    folded.merge(&of((0..n).filter(|i| i % parts == part || i % 5 == 0)));
                }
                assert_eq!(bytes(&folded), whole, "{n} in {parts}");
            }
            let mut tree = of(0..n / 2);
            let mut right = of(n / 2..n);
            right.merge(&of(0..n / 3));
            tree.merge(&right);
            assert_eq!(bytes(&tree), whole);
        }
    }

    #[test]
    fn unsorted_hashes_and_impossible_registers_are_refused() {
        let mut bytes = Vec::new();
        of([1, 2]).encode(&mut bytes);
        bytes[1..].rotate_left(8);
        assert_eq!(Distinct::decode(&mut Reader::new(&bytes)), Err(Error::NotCanonical));
        bytes.clear();
        of(0..300).encode(&mut bytes);
        bytes[10] = MAX_RANK + 1;
        assert_eq!(Distinct::decode(&mut Reader::new(&bytes)), Err(Error::NotCanonical));
    }
}
