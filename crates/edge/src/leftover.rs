//! What an answer leaves of its request. A connection of HTTP/1 can be used again only when all of a request was read; where it was not,
//! as when a caller is refused before the body is looked at, little is read off, and much ends the connection.

use bytes::Bytes;
use http::{HeaderMap, Request, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;

/// What is read off for the sake of a connection, and for how long an answer waits for that.
const BYTES: usize = 64 << 10;
const TIME: Duration = Duration::from_millis(250);

/// Where a request's body is.
#[derive(Debug)]
enum State {
    /// Somebody reads it, or has it to read.
    Lent,
    /// Whoever had it did not read it to its end.
    Back(Body),
    /// It was read.
    Read,
}

/// The rest of a request's body.
#[derive(Debug)]
pub(crate) struct Leftover {
    state: Arc<Mutex<State>>,
    /// The caller sends no body before he is told to.
    waits: bool,
}

/// Lends a request's body to whoever is to read it. The streams of HTTP/2 end without harm to each other: of those there is none.
pub(crate) fn lend(request: Request<Body>) -> (Request<Body>, Option<Leftover>) {
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return (request, None);
    }
    let leftover = Leftover { state: Arc::new(Mutex::new(State::Lent)), waits: expects(request.headers()) };
    let state = Arc::clone(&leftover.state);
    (request.map(|body| Body::new(Borrowed { body, read: false, state })), Some(leftover))
}

fn expects(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

impl Leftover {
    /// Reads off what is little; whether the body is now read to its end.
    pub(crate) async fn read_off(self) -> bool {
        let state = std::mem::replace(&mut *lock(&self.state), State::Lent);
        match state {
            State::Read => true,
            State::Lent => false,
            // A body that is polled is a body that is told to come.
            State::Back(body) if self.waits || body.size_hint().lower() > BYTES as u64 => false,
            State::Back(body) => timeout(TIME, drained(body)).await.unwrap_or(false),
        }
    }
}

async fn drained(mut body: Body) -> bool {
    let mut left = BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that goes back when whoever reads it has enough.
struct Borrowed {
    body: Body,
    read: bool,
    state: Arc<Mutex<State>>,
}

impl http_body::Body for Borrowed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.read = true;
            // Now: whoever has it may keep it for as long as the answer takes.
            *lock(&self.state) = State::Read;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !self.read {
            *lock(&self.state) = State::Back(std::mem::take(&mut self.body));
        }
    }
}
