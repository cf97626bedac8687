//! Client streams: the values of a JSON array, or of lines, become gRPC frames as they arrive and as the service takes
//! them. Memory is bounded by the largest value allowed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use tonic::Status;

use crate::builder::Engine;
use crate::error::{BoxError, Error, Kind, Result};
use crate::request::Woven;
use crate::rule::RoutePlan;

/// What went wrong with the client's part, for whoever answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<Box<Error>>>>);

impl Fault {
    pub(super) fn take(&self) -> Option<Box<Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn set(&self, error: Box<Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// A frame for the service, or a status after which the fault itself is kept here.
    pub(super) fn pass(
        &self,
        next: Result<Option<Bytes>>,
    ) -> Option<std::result::Result<Frame<Bytes>, Status>> {
        match next {
            Ok(frame) => frame.map(|frame| Ok(Frame::data(frame))),
            Err(error) => {
                let status = Status::new(error.code, error.message.clone());
                self.set(error);
                Some(Err(cancelling(status)))
            }
        }
    }
}

/// A status that ends a request's body and, over HTTP/2, its stream with the reset CANCEL: the client's part is over before its end,
/// and nothing is wrong with us, which INTERNAL_ERROR would say (gRPC's doc/PROTOCOL-HTTP2.md). hyper looks for the reason among the
/// causes.
pub(super) fn cancelling(mut status: Status) -> Status {
    status.set_source(Arc::new(h2::Error::from(h2::Reason::CANCEL)));
    status
}

/// The request body of a client-streaming call.
pub(super) struct Upload<B> {
    engine: Arc<Engine>,
    route: Arc<RoutePlan>,
    woven: Woven,
    body: B,
    values: Values,
    fault: Fault,
    ended: bool,
}

impl<B> Upload<B> {
    pub(super) fn new(
        engine: Arc<Engine>,
        route: Arc<RoutePlan>,
        woven: Woven,
        body: B,
        lines: bool,
        limit: usize,
    ) -> Self {
        let values = Values::new(lines, limit);
        Self { engine, route, woven, body, values, fault: Fault::default(), ended: false }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl<B> Upload<B>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            if let Some(value) = self.values.next()? {
                let Engine { plans, parse, .. } = &*self.engine;
                let frame = self.woven.json_frame(plans, &self.route, &value, parse);
                let frame = frame.map_err(|error| self.values.placed(error));
                return Poll::Ready(frame.map(|frame| Some(self.engine.pack(frame))));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => {
                    self.ended = true;
                    self.values.end()?;
                }
                Some(Ok(frame)) => {
                    if let Ok(mut data) = frame.into_data() {
                        self.values.push(&data.copy_to_bytes(data.remaining()));
                    }
                }
                Some(Err(source)) => return Poll::Ready(Err(Error::body_read(source))),
            }
        }
    }
}

impl<B> http_body::Body for Upload<B>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        let next = ready!(self.poll_next(cx));
        self.ended |= next.is_err();
        Poll::Ready(self.fault.pass(next))
    }
}

#[allow(clippy::struct_excessive_bools, reason = "the state of a scanner")]
/// Cuts a text that arrives in pieces into its values, without looking into them.
#[derive(Debug)]
struct Values {
    buffer: BytesMut,
    /// How much of the buffer was looked at.
    seen: usize,
    /// What lies before the value that was given last, and before the buffer.
    given: Before,
    before: Before,
    shape: Shape,
    limit: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// An element was taken from the array.
    begun: bool,
    /// All bytes have come.
    complete: bool,
}

/// How much of a text lies before a place in it: lines, characters of its last line, bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    lines: usize,
    characters: usize,
    bytes: usize,
}

impl Before {
    fn pass(&mut self, text: &[u8]) {
        self.bytes += text.len();
        let mut line = text;
        if let Some(end) = memchr::memrchr(b'\n', text) {
            self.lines += memchr::memchr_iter(b'\n', text).count();
            self.characters = 0;
            line = &text[end + 1..];
        }
        self.characters += line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Lines,
    /// An array, or one value: not known before the first byte.
    Unknown,
    One,
    Array,
    /// Behind the array's end.
    Closed,
}

impl Values {
    fn new(lines: bool, limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            seen: 0,
            given: Before::default(),
            before: Before::default(),
            shape: if lines { Shape::Lines } else { Shape::Unknown },
            limit,
            depth: 0,
            in_string: false,
            escaped: false,
            begun: false,
            complete: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes so many bytes off the buffer.
    fn take(&mut self, length: usize) -> BytesMut {
        let taken = self.buffer.split_to(length);
        self.given = self.before;
        self.before.pass(&taken);
        taken
    }

    /// An error in the value that was given last, which is where it is in the whole.
    fn placed(&self, mut error: Box<Error>) -> Box<Error> {
        if let Some(place) = &mut error.location {
            let within = place.to_string();
            if place.line == 1 {
                place.column += self.given.characters;
            }
            place.line += self.given.lines;
            place.offset += self.given.bytes;
            if let Some(what) = error.message.strip_prefix(&within) {
                error.message = format!("{place}{what}");
            }
        }
        error
    }

    fn end(&mut self) -> Result<()> {
        self.complete = true;
        match self.shape {
            Shape::Array => Err(Error::boxed(Kind::Body, "the array does not end")),
            _ => Ok(()),
        }
    }

    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.shape == Shape::Unknown {
            let Some(start) = self.buffer.iter().position(|b| !b.is_ascii_whitespace()) else {
                self.take(self.buffer.len());
                return Ok(None);
            };
            self.shape = if self.buffer[start] == b'[' { Shape::Array } else { Shape::One };
            self.take(start + usize::from(self.shape == Shape::Array));
        }
        let value = match self.shape {
            Shape::Lines => self.line(),
            Shape::Array => self.element()?,
            Shape::Closed if self.buffer.iter().all(u8::is_ascii_whitespace) => {
                self.buffer.clear();
                None
            }
            Shape::Closed => return Err(Error::boxed(Kind::Body, "text after the end of the array")),
            Shape::One | Shape::Unknown if self.complete && !self.buffer.is_empty() => {
                Some(self.take(self.buffer.len()).freeze())
            }
            Shape::One | Shape::Unknown => None,
        };
        let held = value.as_ref().map_or(self.buffer.len(), Bytes::len);
        if held > self.limit && (value.is_some() || self.seen >= self.limit || self.shape == Shape::One) {
            let message = format!("a message is larger than {} bytes", self.limit);
            return Err(Error::boxed(Kind::BodyTooLarge, message));
        }
        Ok(value)
    }

    /// The next line that is not blank.
    fn line(&mut self) -> Option<Bytes> {
        loop {
            let line = match memchr::memchr(b'\n', &self.buffer[self.seen..]) {
                Some(end) => self.take(self.seen + end + 1).freeze(),
                None if self.complete && !self.buffer.is_empty() => self.take(self.buffer.len()).freeze(),
                None => {
                    self.seen = self.buffer.len();
                    return None;
                }
            };
            self.seen = 0;
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(line);
            }
        }
    }

    /// The next element of the array.
    fn element(&mut self) -> Result<Option<Bytes>> {
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => self.depth -= 1,
                b',' | b']' if self.depth == 0 => return self.cut(byte == b']'),
                _ => {}
            }
        }
        Ok(None)
    }

    fn cut(&mut self, last: bool) -> Result<Option<Bytes>> {
        let mut value = self.take(self.seen);
        value.truncate(self.seen - 1);
        self.seen = 0;
        // `[]` has no elements; `[1,]` and `[,1]` are not JSON.
        if last {
            self.shape = Shape::Closed;
        }
        let begun = std::mem::replace(&mut self.begun, true);
        if value.iter().all(u8::is_ascii_whitespace) {
            if last && !begun {
                return self.next();
            }
            return Err(Error::boxed(Kind::Body, "an element of the array is missing"));
        }
        Ok(Some(value.freeze()))
    }
}
