//! How long a request may take: the least of what its method allows and what its caller asks.

use http::{HeaderMap, HeaderName, HeaderValue};
use riskmesh_core::{Detail, Error, Result};
use std::time::Duration;

/// gRPC's header: up to eight digits and a unit, `H`, `M`, `S`, `m`, `u` or `n`.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static(mesh::deadline::GRPC_TIMEOUT);
/// Connect's header: milliseconds.
const CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
/// REST's header: seconds (`2`, `0.5`), or with a unit (`500ms`, `2s`, `1m`).
pub(crate) const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");
/// What REST's header may hold: some time, because a request without any is a mistake.
pub(crate) const REQUEST_TIMEOUT_PATTERN: &str =
    "^([1-9][0-9]{0,8}(\\.[0-9]{1,3})?|0\\.[0-9]{0,2}[1-9])(ms|s|m)?$";

/// The time that a request has: at most `allowed`, less where its caller asks for less. `INVALID_INPUT` for headers that are none.
pub(crate) fn of(headers: &HeaderMap, allowed: Duration) -> Result<Duration> {
    let asked = [
        asked(headers, &GRPC_TIMEOUT, mesh::deadline::parse, "^[0-9]{1,8}[HMSmun]$")?,
        asked(headers, &REQUEST_TIMEOUT, plain, REQUEST_TIMEOUT_PATTERN)?,
        asked(headers, &CONNECT_TIMEOUT, milliseconds, "^[0-9]{1,10}$")?,
    ];
    Ok(asked.into_iter().flatten().fold(allowed, Duration::min))
}

/// What a header asks for, where it is there.
fn asked(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: fn(&str) -> Option<Duration>,
    expected: &'static str,
) -> Result<Option<Duration>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let time = value.to_str().ok().and_then(parse).ok_or_else(|| {
        Error::invalid(Detail::expected(name.to_string(), "must be a time", expected))
            .message(format!("The header {name} must be a time"))
    })?;
    Ok(Some(time))
}

/// The time left, as gRPC's header.
pub(crate) fn header(left: Duration) -> HeaderValue {
    // Digits and a letter are always a header.
    HeaderValue::from_str(&mesh::deadline::format(left)).unwrap_or(HeaderValue::from_static("0m"))
}

fn milliseconds(text: &str) -> Option<Duration> {
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).map(Duration::from_millis)
}

/// Reads what [`REQUEST_TIMEOUT_PATTERN`] takes, and nothing else.
fn plain(text: &str) -> Option<Duration> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let (number, factor) = units
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .unwrap_or((text, 1.0));
    let (whole, part) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    let fits = digits(whole, 9) && part.is_none_or(|part| digits(part, 3));
    let plain = match (whole, part) {
        ("0", part) => part.is_some_and(|part| part.ends_with(|c| c != '0')),
        (whole, _) => !whole.starts_with('0'),
    };
    let seconds = (fits && plain).then(|| number.parse::<f64>().ok())?? * factor;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_and_units_are_read() {
        for (text, millis) in [("2", 2000), ("0.5", 500), ("500ms", 500), ("2s", 2000), ("1m", 60_000)] {
            assert_eq!(plain(text).unwrap().as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for text in [
            "",
            "s",
            "-1",
            "1e9",
            "inf",
            "NaN",
            ".5",
            "1 s",
            "1h",
            "9999999999999999",
            "0",
            "0.0",
            "0ms",
            "01",
            "1.",
            "1.2345",
            "0.10",
            "1.2.3",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn a_caller_may_ask_for_less_and_not_for_more() {
        let allowed = Duration::from_secs(15);
        let asked = |name: HeaderName, value: &'static str| {
            of(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]), allowed)
        };
        assert_eq!(asked(GRPC_TIMEOUT, "1S").unwrap(), Duration::from_secs(1));
        assert_eq!(asked(REQUEST_TIMEOUT, "60").unwrap(), allowed);
        assert_eq!(asked(REQUEST_TIMEOUT, "soon").unwrap_err().details[0].field, "x-request-timeout");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = plain(&text);
        }
    }
}
