//! Sums over amounts: what merges by addition, minimum and maximum.

use super::{
    Error,
    codec::{Reader, canonical, put_u64, put_u128},
};

/// How many, and how much in minor units.
///
/// Sums are of positive amounts of at most 10^15, so they stay below 2^127 for 10^23 entries; additions saturate all the
/// same, which keeps them commutative and associative without a panic path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Entries.
    pub count: u64,
    /// Their sum in minor units.
    pub sum: u128,
}

impl Flow {
    pub(super) fn add(&mut self, minor: u64) {
        self.merge(&Self { count: 1, sum: u128::from(minor) });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        // Nothing, which most are.
        if self.count == 0 {
            return out.push(0);
        }
        put_u64(out, self.count);
        put_u128(out, self.sum);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let count = from.u64()?;
        let sum = if count > 0 { from.u128()? } else { 0 };
        canonical(sum >= u128::from(count))?;
        Ok(Self { count, sum })
    }
}

/// A [`Flow`] with its spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// Count and sum.
    pub flow: Flow,
    /// Sum of the squares of minor units.
    pub squares: u128,
    /// The smallest amount; 0 when there is none.
    pub min: u64,
    /// The largest amount; 0 when there is none.
    pub max: u64,
}

impl Moments {
    pub(super) fn add(&mut self, minor: u64) {
        let square = u128::from(minor) * u128::from(minor);
        self.merge(&Self {
            flow: Flow { count: 1, sum: u128::from(minor) },
            squares: square,
            min: minor,
            max: minor,
        });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.flow.count == 0 {
            return;
        }
        self.min = if self.flow.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.squares = self.squares.saturating_add(other.squares);
        self.flow.merge(&other.flow);
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.flow.encode(out);
        if self.flow.count > 0 {
            put_u128(out, self.squares);
            put_u64(out, self.min);
            put_u64(out, self.max);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let flow = Flow::decode(from)?;
        if flow.count == 0 {
            return Ok(Self::default());
        }
        let this = Self { flow, squares: from.u128()?, min: from.u64()?, max: from.u64()? };
        canonical(this.min > 0 && this.min <= this.max && this.squares >= flow.sum)?;
        Ok(this)
    }
}
