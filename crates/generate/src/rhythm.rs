//! When things happen: quiet nights, busy Fridays, slow Sundays.
//!
//! Each UTC hour of the plan weighs what its hour of the day and day of the week say. Transaction `i` of `n` falls into the
//! i-th of `n` slices of equal weight, so time follows the index: in order, with the rhythm, and computable alone.

use risk::time::{DAY_MS, HOUR_MS};

use crate::rng::Draw;

const BY_HOUR: [u64; 24] =
    [4, 3, 2, 2, 3, 6, 14, 30, 52, 66, 72, 76, 80, 74, 70, 68, 70, 76, 72, 58, 42, 28, 16, 8];
/// From Thursday on, the day of the epoch.
const BY_WEEKDAY: [u64; 7] = [100, 120, 78, 52, 100, 98, 100];

/// Fractional bits of positions in the cumulative weight.
const FRACTION: u32 = 32;

/// The cumulative weight of the plan's hours.
#[derive(Clone, Debug)]
pub(crate) struct Rhythm {
    start_ms: i64,
    slices: u64,
    /// Weight before each hour, and of all at the end.
    before: Vec<u64>,
}

impl Rhythm {
    /// `days` from `start_ms` on, cut into `slices`.
    pub(crate) fn new(start_ms: i64, days: u32, slices: u64) -> Self {
        let mut before = vec![0];
        let mut sum = 0;
        for hour in 0..i64::from(days) * 24 {
            let at_ms = start_ms + hour * HOUR_MS;
            let of_day = at_ms.rem_euclid(DAY_MS) / HOUR_MS;
            let weekday = at_ms.div_euclid(DAY_MS).rem_euclid(7);
            sum += BY_HOUR[of_day as usize] * BY_WEEKDAY[weekday as usize];
            before.push(sum);
        }
        Self { start_ms, slices, before }
    }

    fn total(&self) -> u128 {
        u128::from(self.before[self.before.len() - 1])
    }

    /// The time at a position in the weight.
    fn at(&self, position: u128) -> i64 {
        let whole = (position >> FRACTION) as u64;
        let hour = (self.before.partition_point(|before| *before <= whole) - 1).min(self.before.len() - 2);
        let (from, to) = (self.before[hour], self.before[hour + 1]);
        let within = position - (u128::from(from) << FRACTION);
        let ms = (within * HOUR_MS as u128 / u128::from(to - from)) >> FRACTION;
        self.start_ms + hour as i64 * HOUR_MS + ms as i64
    }

    /// A time in slice `i`; times of later slices are never earlier.
    pub(crate) fn in_slice(&self, i: u64, draw: &mut Draw) -> i64 {
        let place = (u128::from(i) << FRACTION) + u128::from(draw.next() >> FRACTION);
        self.at(self.total() * place / u128::from(self.slices))
    }

    /// The first and last time of slice `i`.
    pub(crate) fn bounds(&self, i: u64) -> (i64, i64) {
        let edge = |place: u128| self.at(self.total() * place / u128::from(self.slices));
        let from = u128::from(i) << FRACTION;
        (edge(from), edge(from + (1 << FRACTION) - 1))
    }

    /// The slice that holds a time.
    pub(crate) fn slice_at(&self, at_ms: i64) -> u64 {
        let ms = (at_ms - self.start_ms).clamp(0, (self.before.len() as i64 - 1) * HOUR_MS - 1);
        let (hour, within) = ((ms / HOUR_MS) as usize, (ms % HOUR_MS) as u128);
        let (from, to) = (u128::from(self.before[hour]), u128::from(self.before[hour + 1]));
        let position = (from << FRACTION) + ((to - from) << FRACTION) * within / HOUR_MS as u128;
        ((position * u128::from(self.slices) / self.total()) >> FRACTION) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    const START: i64 = 1_767_225_600_000; // Thursday, 2026-01-01

    #[test]
    fn times_are_in_order_and_inside_their_slice() {
        for slices in [1, 7, 1_000, 50_000] {
            let rhythm = Rhythm::new(START, 14, slices);
            let mut last = START;
            for i in 0..slices {
                let at = rhythm.in_slice(i, &mut Draw::new(3, Stream::Time, i));
                let (from, to) = rhythm.bounds(i);
                assert!(last <= at && from <= at && at <= to, "{i} of {slices}: {last} {from} {at} {to}");
                last = at;
            }
            assert!(last < START + 14 * DAY_MS);
        }
    }

    #[test]
    fn the_slice_of_a_time_holds_it() {
        let rhythm = Rhythm::new(START, 14, 5_000);
        for at in (START..START + 14 * DAY_MS).step_by(1_234_567) {
            let (from, to) = rhythm.bounds(rhythm.slice_at(at));
            assert!(from - 2 <= at && at <= to + 2, "{from} {at} {to}");
        }
    }

    #[test]
    fn days_and_nights_differ() {
        let rhythm = Rhythm::new(START, 28, 100_000);
        let (mut by_hour, mut by_day) = ([0_u32; 24], [0_u32; 7]);
        for i in 0..100_000 {
            let at = rhythm.in_slice(i, &mut Draw::new(3, Stream::Time, i));
            by_hour[(at.rem_euclid(DAY_MS) / HOUR_MS) as usize] += 1;
            by_day[(at.div_euclid(DAY_MS).rem_euclid(7)) as usize] += 1;
        }
        assert!(by_hour[12] > 20 * by_hour[2]);
        // Friday is the busiest, Sunday the slowest.
        assert!(by_day[1] > 2 * by_day[3]);
    }
}
