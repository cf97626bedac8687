//! Hours and days of UTC, as counts since the epoch.
//!
//! Times are `i64` milliseconds since 1970-01-01T00:00:00Z, always passed in. Calendar conversions are Howard Hinnant's
//! `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>), valid over the whole proleptic calendar.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Invalid;

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds in a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A UTC hour: hours since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Hour(i64);

impl Hour {
    /// The hour that holds this instant.
    pub fn of(at_ms: i64) -> Self {
        Self(at_ms.div_euclid(HOUR_MS))
    }

    /// From a count of hours since the epoch, as [`Self::number`] gives it; beyond what milliseconds can express it
    /// stops at the edge.
    pub fn from_number(hours: i64) -> Self {
        Self(hours.clamp(i64::MIN / HOUR_MS - 1, i64::MAX / HOUR_MS))
    }

    /// Hours since the epoch.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Its first millisecond.
    pub fn start_ms(self) -> i64 {
        self.0.saturating_mul(HOUR_MS)
    }

    /// The first millisecond after it.
    pub fn end_ms(self) -> i64 {
        self.start_ms().saturating_add(HOUR_MS)
    }

    /// Its last millisecond.
    pub fn last_ms(self) -> i64 {
        // Beyond the last hour there is none that could be one less.
        (self.0 + 1).checked_mul(HOUR_MS).map_or(i64::MAX, |end_ms| end_ms - 1)
    }

    /// The UTC day it lies in: an hour never spans two.
    pub fn day(self) -> Day {
        Day::of(self.start_ms())
    }
}

/// A UTC day: days since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The first day of a year of four digits: 0000-01-01.
    pub const FIRST: Self = Self(-719_528);
    /// The last one: 9999-12-31.
    pub const LAST: Self = Self(2_932_896);

    /// From a count of days since the epoch, as [`Self::number`] gives it; it stays between [`Self::FIRST`] and [`Self::LAST`].
    pub fn from_number(days: i32) -> Self {
        Self(days.clamp(Self::FIRST.0, Self::LAST.0))
    }

    /// The day that holds this instant.
    pub fn of(at_ms: i64) -> Self {
        // i64 milliseconds reach 106 million days either way: well inside i32.
        Self(at_ms.div_euclid(DAY_MS) as i32)
    }

    /// From a calendar date; `None` if there is no such date.
    pub fn from_civil(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(0..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        let y = year - i32::from(month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let shifted = (month as i32 + 9) % 12;
        let doy = (153 * shifted + 2) / 5 + day as i32 - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let this = Self(era * 146_097 + doe - 719_468);
        // A day that does not exist lands in another month.
        (this.civil() == (year, month, day)).then_some(this)
    }

    /// Year, month and day of the proleptic Gregorian calendar.
    pub fn civil(self) -> (i32, u32, u32) {
        let z = i64::from(self.0) + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let shifted = (5 * doy + 2) / 153;
        let day = doy - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        (year as i32, month as u32, day as u32)
    }

    /// Takes `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { field: "date", expected: "a date as YYYY-MM-DD" };
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(invalid);
        }
        let number = |part: &[u8]| {
            part.iter().try_fold(0_u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
        };
        let (Some(y), Some(m), Some(d)) = (number(&bytes[..4]), number(&bytes[5..7]), number(&bytes[8..]))
        else {
            return Err(invalid);
        };
        Self::from_civil(y as i32, m, d).ok_or(invalid)
    }

    /// Days since the epoch.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Its first millisecond.
    pub fn start_ms(self) -> i64 {
        i64::from(self.0) * DAY_MS
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(Day::parse("1970-01-01").unwrap().number(), 0);
        assert_eq!(Day::parse("2000-02-29").unwrap().number(), 11_016);
        assert_eq!(Day::parse("2026-02-13").unwrap().to_string(), "2026-02-13");
        assert_eq!(Day::of(-1).to_string(), "1969-12-31");
        for bad in
            ["2023-02-29", "2023-13-01", "2023-00-10", "2023-1-01", "2023/01/01", "20230101", "+023-01-01"]
        {
            assert!(Day::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_before_the_epoch_round_down_and_the_edges_hold() {
        assert_eq!(Hour::of(-1).number(), -1);
        assert_eq!(Hour::of(HOUR_MS).start_ms(), HOUR_MS);
        assert_eq!(Hour::of(HOUR_MS).last_ms(), 2 * HOUR_MS - 1);
        for edge in [i64::MIN, i64::MAX] {
            let hour = Hour::of(edge);
            assert_eq!(Hour::from_number(hour.number()), hour);
            assert!(hour.start_ms() <= hour.end_ms());
            assert_eq!(Hour::of(hour.last_ms()), hour);
        }
    }

    proptest! {
        #[test]
        fn civil_and_back(number in -719_528_i32..2_932_896) {
            let day = Day(number);
            prop_assert_eq!(Day::parse(&day.to_string()).unwrap(), day);
        }
    }
}
