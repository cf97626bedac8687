//! The well-known types that have a JSON form of their own, and the texts of those that are strings.

use std::borrow::Cow;

use super::paths::{characters, divide};
use super::scalar::TextError;
use super::wire::{VARINT, put_len, put_tag, put_varint};

/// Which JSON form a message type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// An object with a key a field.
    No,
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    /// The value of its only field.
    Wrapper,
}

impl Known {
    pub(crate) fn of(full_name: &str) -> Self {
        match full_name.strip_prefix("google.protobuf.").unwrap_or_default() {
            "Any" => Self::Any,
            "Timestamp" => Self::Timestamp,
            "Duration" => Self::Duration,
            "FieldMask" => Self::FieldMask,
            "Struct" => Self::Struct,
            "Value" => Self::Value,
            "ListValue" => Self::ListValue,
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue" => Self::Wrapper,
            _ => Self::No,
        }
    }
}

/// Seconds from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, the range of a Timestamp.
const TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// The seconds of the longest Duration, about 10,000 years.
const LONGEST: i64 = 315_576_000_000;
const TIMESTAMP: &str = "an RFC 3339 date and time, as in 2025-07-30T14:15:00Z";
const DURATION: &str = "seconds with up to nine decimals and the suffix s, as in 1.5s";
const MASK: &str = "lowerCamelCase field paths, separated by commas";

/// Writes the fields of a Timestamp given in RFC 3339.
pub(crate) fn put_timestamp(text: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let (seconds, nanos) =
        timestamp(text).ok_or_else(|| TextError::new("not an RFC 3339 date and time", TIMESTAMP))?;
    if !TIMESTAMPS.contains(&seconds) {
        return Err(TextError::new("out of range", TIMESTAMP));
    }
    put_seconds(seconds, nanos, out);
    Ok(())
}

/// Writes the fields of a Duration given as seconds with an `s`.
pub(crate) fn put_duration(text: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let (seconds, nanos) = duration(text).ok_or_else(|| TextError::new("not a duration", DURATION))?;
    if !(-LONGEST..=LONGEST).contains(&seconds) {
        return Err(TextError::new("out of range", DURATION));
    }
    put_seconds(seconds, nanos, out);
    Ok(())
}

fn put_seconds(seconds: i64, nanos: i32, out: &mut Vec<u8>) {
    if seconds != 0 {
        put_tag(out, 1, VARINT);
        put_varint(out, seconds.cast_unsigned());
    }
    if nanos != 0 {
        put_tag(out, 2, VARINT);
        put_varint(out, i64::from(nanos).cast_unsigned());
    }
}

/// Writes the paths of a FieldMask.
pub(crate) fn put_field_mask(text: &[u8], proto_names: bool, out: &mut Vec<u8>) -> Result<(), TextError> {
    let text = str::from_utf8(text).map_err(|_| TextError::new("not UTF-8", MASK))?;
    for path in field_mask_paths(text, proto_names)? {
        put_len(out, 1, path.as_bytes());
    }
    Ok(())
}

/// The paths of a FieldMask, in proto names. JSON has them in lowerCamelCase; a query (`proto_names`) may also have them as the
/// proto file does.
pub(crate) fn field_mask_paths(text: &str, proto_names: bool) -> Result<Vec<String>, TextError> {
    let path = |path: &str| {
        check_path(path)?;
        if !proto_names && unquoted(path).any(|c| c == '_') {
            return Err(TextError::new("an underscore in a field mask", MASK));
        }
        Ok(snake_case(path).into_owned())
    };
    mask_texts(text).map(path).collect()
}

/// The paths of a FieldMask in a text, as they are there.
pub(crate) fn mask_texts(text: &str) -> impl Iterator<Item = &str> {
    divide(text, ',').filter(move |_| !text.is_empty())
}

/// Refuses what is no path.
pub(crate) fn check_path(path: &str) -> Result<(), TextError> {
    if path.is_empty() {
        return Err(TextError::new("an empty path in a field mask", MASK));
    }
    if unquoted(path).any(char::is_whitespace) {
        return Err(TextError::new("white space in a field mask", MASK));
    }
    if path.matches('`').count() % 2 == 1 {
        return Err(TextError::new("a backtick in a field mask does not close", MASK));
    }
    Ok(())
}

/// The characters of a path but for those in backticks.
fn unquoted(path: &str) -> impl Iterator<Item = char> {
    characters(path).filter(|(.., quoted)| !quoted).map(|(_, c, _)| c)
}

/// From lowerCamelCase to the names of a proto file. What has an underscore is such a name already.
pub(crate) fn snake_case(path: &str) -> Cow<'_, str> {
    if unquoted(path).any(|c| c == '_') || !unquoted(path).any(|c| c.is_ascii_uppercase()) {
        return path.into();
    }
    let mut snake = String::with_capacity(path.len() + 4);
    for (_, c, quoted) in characters(path) {
        match c {
            'A'..='Z' if !quoted => snake.extend(['_', c.to_ascii_lowercase()]),
            _ => snake.push(c),
        }
    }
    snake.into()
}

/// A path of a FieldMask in lowerCamelCase; `None` if that would not lead back to it.
pub(crate) fn camel_case(path: &str) -> Option<String> {
    check_path(path).ok()?;
    let mut camel = String::with_capacity(path.len());
    let mut chars = characters(path);
    while let Some((_, c, quoted)) = chars.next() {
        match c {
            _ if quoted => camel.push(c),
            '_' => {
                let (_, next, _) = chars.next().filter(|(_, next, _)| next.is_ascii_lowercase())?;
                camel.push(next.to_ascii_uppercase());
            }
            'A'..='Z' | ',' => return None,
            _ => camel.push(c),
        }
    }
    Some(camel)
}

/// Appends a Timestamp in RFC 3339; false if it is out of range.
pub(crate) fn write_timestamp(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    if !TIMESTAMPS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return false;
    }
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400) as u32;
    let mut text = *b"0000-00-00T00:00:00";
    let parts = [year / 100, year % 100, month, day, time / 3600, time / 60 % 60, time % 60];
    for (at, part) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
        text[at] += (part / 10) as u8;
        text[at + 1] += (part % 10) as u8;
    }
    out.extend_from_slice(&text);
    write_fraction(nanos, out);
    out.push(b'Z');
    true
}

/// Appends a Duration; false if it is out of range or its parts differ in sign.
pub(crate) fn write_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    let signs_differ = seconds < 0 && nanos > 0 || seconds > 0 && nanos < 0;
    if !(-LONGEST..=LONGEST).contains(&seconds) || nanos.unsigned_abs() >= 1_000_000_000 || signs_differ {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.unsigned_abs()).as_bytes());
    write_fraction(nanos.abs(), out);
    out.push(b's');
    true
}

/// 0, 3, 6 or 9 digits, as few as are exact.
fn write_fraction(nanos: i32, out: &mut Vec<u8>) {
    let length = match nanos {
        0 => return,
        _ if nanos % 1_000_000 == 0 => 3,
        _ if nanos % 1000 == 0 => 6,
        _ => 9,
    };
    let mut text = *b".000000000";
    let mut rest = nanos.unsigned_abs();
    for digit in text[1..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[..=length]);
}

fn digits(text: &[u8]) -> Option<i64> {
    let digit = |value: i64, d: &u8| d.is_ascii_digit().then(|| value * 10 + i64::from(d - b'0'));
    if text.is_empty() || text.len() > 18 { None } else { text.iter().try_fold(0, digit) }
}

/// Up to nine decimals, as billionths.
fn billionths(text: &[u8]) -> Option<i32> {
    let value = digits(text).filter(|_| text.len() <= 9)?;
    Some((value * 10_i64.pow(9 - text.len() as u32)) as i32)
}

fn timestamp(text: &[u8]) -> Option<(i64, i32)> {
    let (date, rest) = text.split_first_chunk::<19>()?;
    let marks =
        date[4] == b'-' && date[7] == b'-' && date[10] == b'T' && date[13] == b':' && date[16] == b':';
    let mut digits_only = true;
    let mut two = |at: usize| {
        let (tens, ones) = (date[at].wrapping_sub(b'0'), date[at + 1].wrapping_sub(b'0'));
        digits_only &= tens <= 9 && ones <= 9;
        i64::from(tens) * 10 + i64::from(ones)
    };
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if !marks || !digits_only {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let (nanos, zone) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => {
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            (billionths(&rest[..length])?, &rest[length..])
        }
    };
    let offset = match zone {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    Some((days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset, nanos))
}

fn duration(text: &[u8]) -> Option<(i64, i32)> {
    let text = text.strip_suffix(b"s")?;
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let point = memchr::memchr(b'.', unsigned);
    let seconds = digits(&unsigned[..point.unwrap_or(unsigned.len())])?;
    let nanos = match point {
        Some(point) => billionths(&unsigned[point + 1..])?,
        None => 0,
    };
    Some(if unsigned.len() < text.len() { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// Days since 1970-01-01 of a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day since 1970-01-01 that is not before the year 0, by the same source.
fn civil(days: i64) -> (u32, u32, u32) {
    let days = (days + 719_468) as u32;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timestamps_are_rfc_3339_and_no_other_text() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("0001-01-01T00:00:00Z", *TIMESTAMPS.start(), 0),
            ("9999-12-31T23:59:59.999999999Z", *TIMESTAMPS.end(), 999_999_999),
            ("2000-02-29T12:00:00.5+01:30", 951_820_200, 500_000_000),
            ("1969-12-31T23:59:59.1Z", -1, 100_000_000),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Some((seconds, nanos)), "{text}");
        }
        for text in [
            "",
            "1970-01-01",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00",
            "1970-1-1T0:0:0Z",
            "1970-02-29T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.0000000001Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00ZZ",
            "+970-01-01T00:00:00Z",
        ] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
        assert!(put_timestamp(b"9999-12-31T23:59:59-01:00", &mut Vec::new()).is_err());
        assert!(put_timestamp(b"0000-12-31T23:59:59Z", &mut Vec::new()).is_err());
    }

    #[test]
    fn durations_are_seconds_with_an_s() {
        for (text, value) in [
            ("1.5s", Some((1, 500_000_000))),
            ("-0.000000001s", Some((0, -1))),
            ("0s", Some((0, 0))),
            ("-3s", Some((-3, 0))),
            ("1", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("+1s", None),
            ("1.0000000001s", None),
            ("--1s", None),
            ("1 s", None),
        ] {
            assert_eq!(duration(text.as_bytes()), value, "{text}");
        }
        assert!(put_duration(b"315576000000s", &mut Vec::new()).is_ok());
        assert!(put_duration(b"315576000001s", &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn timestamps_and_durations_come_back(seconds in TIMESTAMPS, nanos in 0..1_000_000_000) {
            let mut text = Vec::new();
            prop_assert!(write_timestamp(seconds, nanos, &mut text));
            prop_assert_eq!(timestamp(&text), Some((seconds, nanos)));
            let nanos = if seconds < 0 { -nanos } else { nanos };
            text.clear();
            prop_assert!(write_duration(seconds, nanos, &mut text));
            prop_assert_eq!(duration(&text), Some((seconds, nanos)));
        }
    }
}
