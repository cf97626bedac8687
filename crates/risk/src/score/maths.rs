//! Integer arithmetic of scores: half-up division, shares, and parts that sum to the whole.

/// `numerator / denominator`, halves up; 0 for a denominator of 0.
pub(super) fn half_up(numerator: u128, denominator: u128) -> u128 {
    numerator.saturating_add(denominator / 2).checked_div(denominator).unwrap_or(0)
}

/// `part` of `whole` in basis points, halves up, at most 10,000; 0 of nothing.
pub(super) fn share_bp(part: u128, whole: u128) -> u32 {
    // Scaled down together where the product would not fit into 128 bits.
    let scale = (u128::BITS - part.max(whole).leading_zeros()).saturating_sub(112);
    half_up((part >> scale) * 10_000, whole >> scale).min(10_000) as u32
}

/// Splits `total` in proportion to `weights` so that the parts sum to it exactly: each gets the whole part of its quota,
/// the rest goes one by one to the largest remainders, to the first among equals (Hamilton's method).
pub(super) fn apportion(total: u8, weights: &[u64]) -> Vec<u8> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let quotas = weights.iter().map(|weight| u128::from(total) * u128::from(*weight));
    let (mut parts, remainders): (Vec<u8>, Vec<u128>) =
        quotas.map(|quota| ((quota / sum) as u8, quota % sum)).unzip();
    let rest = total - parts.iter().sum::<u8>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(remainders[*at]));
    order.into_iter().take(usize::from(rest)).for_each(|at| parts[at] += 1);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_round_up() {
        assert_eq!(half_up(5, 10), 1);
        assert_eq!(half_up(4, 10), 0);
        assert_eq!(half_up(1, 0), 0);
        assert_eq!(share_bp(1, 3), 3_333);
        assert_eq!(share_bp(2, 3), 6_667);
        assert_eq!(share_bp(u128::MAX, u128::MAX), 10_000);
        assert_eq!(share_bp(u128::MAX / 4, u128::MAX / 2), 5_000);
        assert_eq!(share_bp(0, 0), 0);
    }

    #[test]
    fn largest_remainders_get_the_rest() {
        // Quotas 2.5, 2.5 and 5: the first of the equal remainders gets the point.
        assert_eq!(apportion(10, &[1, 1, 2]), [3, 2, 5]);
        assert_eq!(apportion(7, &[0, 0]), [0, 0]);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_stay_within_one_of_their_quota(
            total in 0_u8..=100,
            weights in prop::collection::vec(0_u64..1 << 60, 1..12),
        ) {
            let parts = apportion(total, &weights);
            let sum: u128 = weights.iter().map(|w| u128::from(*w)).sum();
            prop_assume!(sum > 0);
            prop_assert_eq!(parts.iter().map(|p| u32::from(*p)).sum::<u32>(), u32::from(total));
            for (part, weight) in parts.iter().zip(&weights) {
                let quota = u128::from(total) * u128::from(*weight);
                prop_assert!(u128::from(*part) * sum < quota + sum && quota < (u128::from(*part) + 1) * sum);
            }
        }
    }
}
