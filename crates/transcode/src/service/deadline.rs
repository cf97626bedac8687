//! The time that a call has, by its `grpc-timeout`, for those who wait for its messages. Whoever makes the call keeps to it until the
//! answer begins, as `tonic`'s channel does.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::{Instant, Sleep};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// When the time is over, where there is an end to it.
pub(super) struct Deadline {
    at: Option<Instant>,
    /// Made when there is something to wait for: most messages are there already.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// That of a call which begins now, with this metadata.
    pub(super) fn of(metadata: &HeaderMap) -> Self {
        let time = metadata.get(GRPC_TIMEOUT).and_then(|value| parse(value.as_bytes()));
        Self { at: time.and_then(|time| Instant::now().checked_add(time)), sleep: None }
    }

    /// Ready when the time is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        sleep.as_mut().poll(cx)
    }
}

/// At most eight digits and a unit; what is none sets no end.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0, |amount, digit| amount * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_grpc_writes_them() {
        for (text, time) in [
            ("1H", Some(Duration::from_hours(1))),
            ("2M", Some(Duration::from_mins(2))),
            ("3S", Some(Duration::from_secs(3))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("05u", Some(Duration::from_micros(5))),
            ("0n", Some(Duration::ZERO)),
            ("123456789m", None),
            ("m", None),
            ("5", None),
            ("5s", None),
            ("-1m", None),
            ("1 m", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), time, "{text}");
        }
        // The longest that can be said is still a time.
        assert!(parse(b"99999999H").and_then(|time| Instant::now().checked_add(time)).is_some());
    }
}
