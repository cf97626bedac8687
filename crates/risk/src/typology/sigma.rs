//! How far a value lies above a mean, in standard deviations: by comparing squares, in integers.

/// Count, sum and sum of squares of a past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) count: u64,
    pub(super) sum: u128,
    pub(super) squares: u128,
    pub(super) max: u128,
}

impl Past {
    pub(super) fn add(&mut self, value: u128) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.squares = self.squares.saturating_add(value.saturating_mul(value));
        self.max = self.max.max(value);
    }

    /// Whether `value >= mean + sigmas * deviation` and above the mean: `(n x - S)^2 >= k^2 (n Q - S^2)`. Values are brought to at most
    /// 2^31 first, all by the same power of two, so that nothing overflows; the same values always by the same one.
    pub(super) fn is_exceeded(&self, value: u128, sigmas: u32) -> bool {
        if self.count == 0 {
            return false;
        }
        let largest = value.max(self.max);
        let shift = (u128::BITS - largest.leading_zeros()).saturating_sub(31);
        let count = u128::from(self.count.min(1 << 31));
        let (value, sum) = (value >> shift, self.sum >> shift);
        // A square loses two bits where its root loses one.
        let squares = self.squares.checked_shr(2 * shift).unwrap_or(0);
        let Some(above) = (count * value).checked_sub(sum).filter(|above| *above > 0) else { return false };
        let spread = count.saturating_mul(squares).saturating_sub(sum.saturating_mul(sum));
        let wanted = u128::from(sigmas).pow(2).saturating_mul(spread);
        above.saturating_mul(above) >= wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(values: &[u128]) -> Past {
        let mut past = Past::default();
        for value in values {
            past.add(*value);
        }
        past
    }

    #[test]
    fn three_standard_deviations_are_counted_exactly_where_nothing_is_scaled() {
        // Mean 5, deviation 2.
        let past = past(&[2, 4, 4, 4, 5, 5, 7, 9]);
        assert!(past.is_exceeded(11, 3));
        assert!(!past.is_exceeded(10, 3));
        assert!(past.is_exceeded(9, 2) && !past.is_exceeded(8, 2));
        assert!(!past.is_exceeded(4, 3), "below the mean");
    }

    #[test]
    fn a_past_without_spread_is_exceeded_by_anything_above_it() {
        let past = past(&[100; 10]);
        assert!(past.is_exceeded(101, 3) && !past.is_exceeded(100, 3));
        assert!(!Past::default().is_exceeded(1, 3));
    }

    #[test]
    fn the_largest_amounts_do_not_overflow() {
        let big = 1_000_000_000_000_000_u128;
        let past = past(&[big, big / 2, big, big / 2]);
        assert!(past.is_exceeded(2 * big, 3));
        assert!(!past.is_exceeded(big, 3));
    }
}
