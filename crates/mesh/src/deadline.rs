//! Deadlines: how long a call may still take, handed from hop to hop in `grpc-timeout` and shrinking on the way.
//!
//! Instants are tokio's: monotonic, so a clock that is set does not end calls.

use crate::body::{Watch, watched};
use crate::layer::Inner;
use crate::status::{answer, deadline_exceeded};
use api::Method;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

/// The header that carries what is left.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The longest that a call may take where its method does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What cannot be done in less: a call with less time left is refused before it costs anybody anything.
pub(crate) const MIN_BUDGET: Duration = Duration::from_millis(1);

/// Reads a `grpc-timeout` value: 1 to 8 digits and a unit (`H M S m u n`), as the gRPC protocol has it.
pub fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Writes a `grpc-timeout` value, in the finest unit that fits 8 digits, rounded down: a hop never gets more than there is.
pub fn format(timeout: Duration) -> String {
    const LIMIT: u128 = 100_000_000;
    let units = [
        (timeout.as_nanos(), 'n'),
        (timeout.as_micros(), 'u'),
        (timeout.as_millis(), 'm'),
        (u128::from(timeout.as_secs()), 'S'),
        (u128::from(timeout.as_secs() / 60), 'M'),
    ];
    let fits = units.into_iter().find(|(amount, _)| *amount < LIMIT);
    let (amount, unit) = fits.unwrap_or_else(|| (u128::from(timeout.as_secs() / 3600).min(LIMIT - 1), 'H'));
    format!("{amount}{unit}")
}

/// What the headers leave; one that is malformed counts as absent.
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    headers.get(GRPC_TIMEOUT).and_then(|value| value.to_str().ok()).and_then(parse)
}

/// Replaces what the headers leave.
pub(crate) fn write(headers: &mut HeaderMap, left: Duration) {
    if let Ok(value) = HeaderValue::from_str(&format(left)) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

/// The longest that a call to this path may take, whatever its caller allows.
fn cap(path: &str, default: Duration) -> Duration {
    Method::find(path).and_then(Method::timeout).unwrap_or(default)
}

/// When a request must be answered: the earliest of what its headers leave, its method's cap and `outer`.
pub(crate) fn of<B>(request: &Request<B>, default: Duration, outer: Option<Instant>) -> Instant {
    let cap = cap(request.uri().path(), default);
    let left = read(request.headers()).map_or(cap, |left| left.min(cap));
    let own = Instant::now() + left;
    outer.map_or(own, |outer| outer.min(own))
}

/// When a request must be answered, told to the layers further in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

/// Holds a call to its deadline, to the last frame of its answer. What is late is dropped where it stands, and answered with
/// `DEADLINE_EXCEEDED` (tonic's own timeout would say CANCELLED).
pub(crate) async fn enforce<S: Inner>(
    next: S,
    mut request: Request<Body>,
    deadline: Instant,
) -> Response<Body> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < MIN_BUDGET {
        return answer(&deadline_exceeded());
    }
    request.extensions_mut().insert(Deadline(deadline));
    match timeout_at(deadline, next.oneshot(request)).await {
        Ok(Ok(response)) => {
            response.map(|body| watched(body, Until { sleep: Box::pin(tokio::time::sleep_until(deadline)) }))
        }
        Err(_elapsed) => answer(&deadline_exceeded()),
    }
}

struct Until {
    sleep: Pin<Box<Sleep>>,
}

impl Watch for Until {
    fn poll(
        &mut self,
        body: Pin<&mut Body>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // The clock first, and not the timer's word for it: a stream that always has another frame never lets the timer run.
        if self.sleep.deadline() <= Instant::now() || self.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Status::from(&deadline_exceeded()))));
        }
        body.poll_frame(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_protocol_allows_and_nothing_else() {
        assert_eq!(parse("1S"), Some(Duration::from_secs(1)));
        assert_eq!(parse("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(parse("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "1", "123456789S", "-1S", "+1S", "1.5S", "1 S", "1s", "1h", "S1", "١S", "1é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_earliest_limit_holds() {
        let mut request = Request::new(());
        let default = Duration::from_secs(10);
        let left = |request: &Request<()>, outer| of(request, default, outer) - Instant::now();
        assert!(left(&request, None) > Duration::from_secs(9));
        request.headers_mut().insert(GRPC_TIMEOUT, HeaderValue::from_static("5S"));
        assert!(left(&request, None) <= Duration::from_secs(5));
        assert!(left(&request, Some(Instant::now() + Duration::from_secs(2))) <= Duration::from_secs(2));
        request.headers_mut().insert(GRPC_TIMEOUT, HeaderValue::from_static("99999999H"));
        assert!(left(&request, None) <= default);
    }

    proptest! {
        #[test]
        fn a_written_timeout_reads_back_and_never_grows(nanos in any::<u64>()) {
            let timeout = Duration::from_nanos(nanos);
            let read = parse(&format(timeout)).unwrap();
            prop_assert!(read <= timeout);
            // At the most a hundred-millionth is lost, or less than the finest unit that fits.
            prop_assert!(timeout.saturating_sub(read) <= timeout / 1_000_000 + Duration::from_nanos(1));
        }

        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
