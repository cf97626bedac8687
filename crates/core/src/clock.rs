//! Time as a dependency: code takes a [`Clock`], so that every behaviour can be replayed and simulated.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds in a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

const EPOCH: jiff::civil::Date = jiff::civil::Date::constant(1970, 1, 1);

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest instant that an API message may carry: 0001-01-01T00:00:00Z, as `google.protobuf.Timestamp` has it.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// The latest instant that an API message may carry: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded towards the past.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The number of whole UTC hours since the epoch.
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(HOUR_MS)
    }

    /// This instant moved by `duration` into the future, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Parses RFC 3339, or a bare `YYYY-MM-DD` date (midnight UTC); finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        // Not jiff's own instants, which end a day before ours.
        let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
        let (time, offset) = match pieces.time() {
            None if text.len() == 10 => (jiff::civil::Time::midnight(), jiff::tz::Offset::UTC),
            None => return None,
            Some(time) => (time, pieces.to_numeric_offset()?),
        };
        let days = i64::from(pieces.date().since(EPOCH).ok()?.get_days());
        let seconds = i64::from(time.second()) - i64::from(offset.seconds());
        let in_day = i64::from(time.hour()) * HOUR_MS + i64::from(time.minute()) * 60_000;
        let millis = Self(days * DAY_MS + in_day + seconds * 1000 + i64::from(time.millisecond()));
        (Self::MIN..=Self::MAX).contains(&millis).then_some(millis)
    }

    /// The UTC year and month, as `year * 12 + month0`: the bucket of a transaction.
    pub fn month(self) -> i32 {
        let date = self.date();
        i32::from(date.year()) * 12 + i32::from(date.month()) - 1
    }

    /// The first instant of a month as [`Timestamp::month`] numbers them.
    pub fn of_month(month: i32) -> Option<Self> {
        let (year, month0) = (i16::try_from(month.div_euclid(12)).ok()?, month.rem_euclid(12));
        let date = jiff::civil::Date::new(year, i8::try_from(month0 + 1).ok()?, 1).ok()?;
        Some(Self(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()))
    }

    fn date(self) -> jiff::civil::Date {
        let days = self.0.clamp(Self::MIN.0, Self::MAX.0).div_euclid(DAY_MS);
        EPOCH.checked_add(jiff::Span::new().days(days)).unwrap_or(EPOCH)
    }
}

/// RFC 3339 in UTC, with milliseconds only where there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let clamped = self.0.clamp(Self::MIN.0, Self::MAX.0);
        let second = clamped.rem_euclid(DAY_MS) / 1000;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            second / 3600,
            second / 60 % 60,
            second % 60
        )?;
        match clamped.rem_euclid(1000) {
            0 => f.write_str("Z"),
            millis => write!(f, ".{millis:03}Z"),
        }
    }
}

/// Where code takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved: for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_rfc_3339() {
        let at = Timestamp::parse("2025-07-30T14:15:00Z").unwrap();
        assert_eq!(at.to_string(), "2025-07-30T14:15:00Z");
        assert_eq!(Timestamp(at.0 + 7).to_string(), "2025-07-30T14:15:00.007Z");
        assert_eq!(Timestamp::parse("2025-07-30T16:15:00+02:00"), Some(at));
        assert_eq!(Timestamp::parse("2025-07-30").unwrap().to_string(), "2025-07-30T00:00:00Z");
        assert_eq!(Timestamp::parse("2025-02-30"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::parse("2025-07-30T14:15:00"), None, "a time without an offset is no instant");
        let before_epoch = Timestamp::parse("1969-12-31T23:59:59.9999Z").unwrap();
        assert_eq!(before_epoch, Timestamp(-1), "finer than a millisecond is cut off towards the past");
        for (text, at) in [("9999-12-31T23:59:59.999Z", Timestamp::MAX), ("0001-01-01", Timestamp::MIN)] {
            assert_eq!(Timestamp::parse(text), Some(at));
        }
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59-00:01"), None);
    }

    #[test]
    fn extremes_print_without_panic() {
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        let _ = Timestamp(i64::MIN).to_string();
        let _ = Timestamp(i64::MAX).to_string();
    }

    #[test]
    fn months_are_half_open_ranges() {
        let last = Timestamp::parse("2025-12-31T23:59:59.999Z").unwrap();
        let first = Timestamp(last.0 + 1);
        assert_eq!(last.month() + 1, first.month());
        assert_eq!(Timestamp::of_month(first.month()), Some(first));
        let before_epoch = Timestamp::parse("1969-12-31T23:00:00Z").unwrap();
        assert_eq!(before_epoch.month(), 1969 * 12 + 11);
        assert_eq!(before_epoch.hour(), -1);
    }
}
