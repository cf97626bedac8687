//! Server streams: each message is printed as it arrives and only when the client takes it, so that back-pressure goes
//! through; nothing runs beside the body, so that dropping it ends the call.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;

use super::body::{self, Body};
use super::frames::Frames;
use super::headers;
use super::negotiate::Form;
use super::upload::Fault;
use crate::builder::Engine;
use crate::error::{BoxError, Error, Result};
use crate::plan::{Kind, Raw, Reader, Selection};
use crate::render::ErrorContext;
use crate::rule::RoutePlan;

/// Messages that are there already share a chunk up to about this many bytes.
const CHUNK: usize = 16 << 10;

pub(super) struct Stream {
    pub(super) engine: Arc<Engine>,
    pub(super) parts: Arc<Parts>,
    pub(super) route: Arc<RoutePlan>,
    pub(super) fault: Option<Fault>,
    pub(super) frames: Frames,
    pub(super) form: Form,
    /// What is wanted of each message.
    pub(super) selection: Option<Selection>,
}

/// A stream on its way to the client.
struct Running {
    stream: Stream,
    initial: HeaderMap,
    /// A message that was waited for, and is not printed yet.
    waiting: Option<Bytes>,
    first: bool,
    ended: bool,
}

impl Stream {
    /// The answer, whose body goes on as messages come. Only a stream of raw bodies waits for the first one: it brings the
    /// content type.
    pub(super) async fn respond(mut self, initial: &HeaderMap) -> Result<Response<Body>> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.route.success;
        headers::expose(&self.engine, initial, &mut response);
        let (mut content_type, mut waiting) = (self.form.content_type(), None);
        if self.route.raw_response {
            waiting = match poll_fn(|cx| self.frames.poll_message(cx)).await {
                Ok(message) => message,
                Err(error) => return Err(self.told(error)),
            };
            let Some(message) = &waiting else {
                let trailers = self.frames.status(initial).map_err(|error| self.told(error))?;
                headers::expose(&self.engine, &trailers, &mut response);
                return Ok(response);
            };
            content_type = body::raw(&self.engine.plans, &self.route, message)?.0;
        }
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        if !self.route.raw_response {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
        }
        // Only the status among the initial metadata matters to the end of the stream.
        let initial = initial.clone();
        *response.body_mut() =
            Body::stream(Running { stream: self, initial, waiting, first: true, ended: false });
        Ok(response)
    }

    /// A fault in what the client sends ends the call in many ways; the fault itself is what to tell.
    fn told(&self, error: Box<Error>) -> Box<Error> {
        self.fault.as_ref().and_then(Fault::take).unwrap_or(error)
    }
}

impl Running {
    /// Adds a message, in the form of the answer.
    fn message(&mut self, message: &Bytes, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        if self.stream.form == Form::Events {
            self.event_id(message, out);
        }
        self.before(out);
        let Stream { engine, route, selection, .. } = &self.stream;
        let printed = if route.raw_response {
            // A stream of raw bodies is their bytes, one after the other.
            out.truncate(start);
            return body::raw(&engine.plans, route, message).map(|(_, bytes)| out.extend_from_slice(&bytes));
        } else {
            body::append_json(engine, route, selection.as_ref(), message, out)
        };
        if let Err(error) = printed {
            out.truncate(start);
            return Err(error);
        }
        self.first = false;
        self.after(out);
        Ok(())
    }

    /// Writes the id of an event, where the message has one that fits on a line.
    fn event_id(&self, message: &[u8], out: &mut Vec<u8>) {
        let Some(resume) = &self.stream.route.resume else { return };
        let (mut reader, mut id) = (Reader::new(message), None);
        // What is no message is told when it is printed.
        while let Ok(Some((number, raw))) = reader.field() {
            if number == resume.event_id {
                id = Some(raw);
            }
        }
        let mut digits = itoa::Buffer::new();
        let id = match (id, resume.event_kind) {
            (Some(Raw::Len(text)), _) => text,
            (Some(Raw::Varint(value)), Kind::Uint32 | Kind::Uint64) => digits.format(value).as_bytes(),
            (Some(Raw::Varint(value)), _) => digits.format(value.cast_signed()).as_bytes(),
            _ => return,
        };
        let fits = !id.is_empty() && !id.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0));
        if fits && str::from_utf8(id).is_ok() {
            out.extend_from_slice(b"id: ");
            out.extend_from_slice(id);
            out.push(b'\n');
        }
    }

    fn before(&self, out: &mut Vec<u8>) {
        match self.stream.form {
            Form::Json => out.push(if self.first { b'[' } else { b',' }),
            Form::Lines => {}
            Form::Events => out.extend_from_slice(b"data: "),
        }
    }

    fn after(&self, out: &mut Vec<u8>) {
        match self.stream.form {
            Form::Json => {}
            Form::Lines => out.push(b'\n'),
            Form::Events => out.extend_from_slice(b"\n\n"),
        }
    }

    /// Ends the answer; an error becomes its last element, marked as such. A raw body has no place for it: it is cut, so that
    /// nobody takes it for whole.
    fn end(&mut self, result: Result<()>, out: &mut Vec<u8>) -> std::result::Result<(), BoxError> {
        self.ended = true;
        let error = result.err().map(|error| self.stream.told(error));
        if self.stream.route.raw_response {
            return error.map_or(Ok(()), |error| Err(error as BoxError));
        }
        if let Some(error) = error {
            self.error(&error, out);
        }
        if self.stream.form == Form::Json {
            if self.first {
                out.push(b'[');
            }
            out.push(b']');
        }
        Ok(())
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        let Stream { engine, parts, route, .. } = &self.stream;
        let context = ErrorContext {
            template: Some(&route.template),
            rpc: Some(&route.rpc),
            plans: Some(&engine.plans),
            ..ErrorContext::of(parts)
        };
        let rendered = engine.renderer.render_in_stream(&context, error);
        if self.stream.form == Form::Events {
            out.extend_from_slice(b"event: error\n");
        }
        self.before(out);
        out.extend_from_slice(&rendered);
        self.after(out);
        self.first = false;
    }
}

impl http_body::Body for Running {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let mut out = Vec::new();
        while !this.ended && out.len() < CHUNK {
            let message = match this.waiting.take() {
                Some(message) => Poll::Ready(Ok(Some(message))),
                None => this.stream.frames.poll_message(cx),
            };
            let ended = match message {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(Some(message))) => match this.message(&message, &mut out) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Poll::Ready(Ok(None)) => this.stream.frames.status(&this.initial).map(drop),
                Poll::Ready(Err(error)) => Err(error),
            };
            if let Err(error) = this.end(ended, &mut out) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        if out.is_empty() { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::data(out.into())))) }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
