//! One request and its answer: who asked, in which trace, and how it ended. Its end is where the request log and the metrics are
//! written: when the last byte of the answer has gone, or nobody waits for it any more.

use crate::budget::Share;
use crate::edge::Core;
use crate::fault::{self, Asked, Failure};
use crate::headers;
use crate::limiter::Decision;
use crate::pace::Turn;
use crate::request_info;
use crate::routes::Route;
use crate::translate;
use authn::Claims;
use bytes::Bytes;
use futures::FutureExt as _;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body as _, Frame, SizeHint};
use riskmesh_core::{Error, ErrorCode, Timestamp};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use telemetry::metrics::{Call, Side};
use telemetry::request_log::Entry;
use telemetry::{RequestId, TraceContext, request_id};
use tonic::body::Body;
use tonic::{Code, Status};
use transcode::{ErrorContext, Protocol};

/// What a request that found no route is called, in logs and metrics: never by a path that its caller chose.
const UNMATCHED: &str = "unmatched";
/// The role under which the edge measures.
const ROLE: &str = "edge";
/// How much of an answer is given out at once: one frame of HTTP/2.
const PIECE: usize = 16 << 10;

/// A request on its way.
pub(crate) struct Exchange {
    core: Arc<Core>,
    at: Timestamp,
    started: Instant,
    http_method: Method,
    /// The request's headers as they came, for how to answer.
    asked: HeaderMap,
    /// The id for people.
    pub(crate) request_id: RequestId,
    /// The trace, at the edge's own span.
    pub(crate) trace: TraceContext,
    /// What memory it takes.
    pub(crate) share: Arc<Share>,
    /// Whether the answer is gRPC's.
    pub(crate) grpc: bool,
    /// Whether it is Connect's.
    pub(crate) connect: bool,
    /// `/api`, where the caller used it.
    pub(crate) prefix: &'static str,
    /// Which method is called, once that is known.
    pub(crate) route: Option<Arc<Route>>,
    /// What is counted where no method of the contract is called: a page, or a kind of request.
    pub(crate) page: Option<&'static str>,
    /// What that is called in logs, where there is more to say.
    pub(crate) place: Option<String>,
    /// The values that the path binds.
    pub(crate) bindings: Vec<String>,
    /// Who calls, once that is known.
    pub(crate) caller: Option<Arc<Claims>>,
    /// What quota there is.
    pub(crate) quota: Option<Decision>,
    call: Option<Call>,
    ended: bool,
}

impl Exchange {
    /// Begins the answer to a request, in this trace.
    pub(crate) fn open<B>(core: Arc<Core>, request: &Request<B>, trace: TraceContext) -> Self {
        let headers = request.headers();
        Self {
            at: core.clock.now(),
            started: Instant::now(),
            http_method: request.method().clone(),
            asked: answer_headers(headers),
            request_id: RequestId::from_headers(headers),
            trace,
            share: core.budget.share(),
            grpc: is_grpc(request),
            connect: false,
            prefix: "",
            route: None,
            page: None,
            place: None,
            bindings: Vec::new(),
            caller: None,
            quota: None,
            call: None,
            ended: false,
            core,
        }
    }

    /// Starts to measure: the method is known, or is known not to be one.
    pub(crate) fn measure(&mut self) {
        let name = self.route.as_ref().map(|route| route.method.path).or(self.page).unwrap_or(UNMATCHED);
        let mut call = self.core.metrics.start(Side::Http, ROLE, name);
        call.in_trace(self.trace.clone());
        self.call = Some(call);
    }

    /// What was asked for, in logs and spans: the path in JSON names, the gRPC path, a page.
    pub(crate) fn name(&self) -> &str {
        let route = self.route.as_ref().map(|route| &*route.name);
        route.or(self.place.as_deref()).or(self.page).unwrap_or(UNMATCHED)
    }

    /// The answer to a failure.
    pub(crate) fn fail(&self, failure: &Failure) -> Response<Body> {
        if self.grpc {
            return fault::grpc(failure);
        }
        if self.connect {
            let uri = Uri::default();
            let (method, headers) = (&self.http_method, &self.asked);
            let (template, rpc, plans, extensions) = (None, None, None, &Extensions::new());
            let context = ErrorContext { method, uri: &uri, headers, extensions, template, rpc, plans };
            return fault::connect(failure, |error| {
                self.core.transcoder.render_as(Protocol::Connect, &context, error).map(Body::new)
            });
        }
        let asked = Asked { at: self.core.clock.now(), trace_id: self.trace.trace_id, headers: &self.asked };
        fault::rest(failure, &asked).map(|body| Body::new(http_body_util::Full::new(body)))
    }

    /// Puts on the answer what all answers carry, and lets it go; the exchange ends with it.
    pub(crate) fn answer(mut self, mut response: Response<Body>) -> Response<Body> {
        if self.caller.is_none() && !response.body().is_end_stream() && self.share.begin().is_err() {
            // An answer that nobody takes is held. There is no memory for what more a stranger might not take: he gets the head alone.
            response = fault::speechless();
        }
        let status = response.status();
        let headers = response.headers_mut();
        headers.insert(request_id::HEADER, self.request_id.to_header());
        self.trace.inject(headers);
        if let Some(route) = &self.route {
            headers::deprecation(route, self.prefix, &self.bindings, headers);
            if !self.grpc && (status.is_success() || status == StatusCode::NOT_MODIFIED) {
                headers::surrogate_keys(route, headers);
            }
        }
        if let Some(quota) = &self.quota {
            headers::quota(quota, headers);
        }
        if self.grpc {
            self.finish_status(headers);
        } else {
            headers::security(headers);
        }
        self.core.cors.decorate(self.asked.get(header::ORIGIN), headers);
        if self.http_method == Method::HEAD {
            let length = response.body().size_hint().exact().filter(|length| *length > 0);
            if let Some(length) = length {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            *response.body_mut() = Body::empty();
        }
        if self.call.is_none() {
            self.measure();
        }
        let status = Status::from_header_map(response.headers()).map(|status| status.code());
        let (head, inner) = response.into_parts();
        let outcome = Outcome { http: head.status, grpc: status };
        self.hold(inner.size_hint().exact().unwrap_or(0) as usize);
        let (turn, exchange) = (Turn::current(), Some(Box::new(self)));
        let recorded = Recorded { inner, rest: Bytes::new(), outcome, turn, exchange };
        Response::from_parts(head, Body::new(recorded))
    }

    /// Makes a gRPC status, at the head or at the end, what callers are told: one of ours, which names the request. Health and reflection
    /// have their own.
    fn finish_status(&self, headers: &mut HeaderMap) {
        if self.route.is_some() {
            translate::own(headers);
        }
        request_info::add(headers, self.request_id.as_str());
    }

    /// So many bytes of the answer are held until they are taken. Those of a page are everybody's.
    fn hold(&self, bytes: usize) {
        if self.route.is_some() {
            self.share.settle(bytes);
        }
    }

    /// Writes down how it ended.
    fn end(&mut self, status: StatusCode) {
        self.ended = true;
        self.core.request_log.record(&Entry {
            at: self.at,
            request_id: self.request_id.as_str(),
            method: self.http_method.as_str(),
            path: self.name(),
            status: status.as_u16(),
            latency: self.started.elapsed(),
            client_id: self.caller.as_ref().and_then(|claims| claims.client_id.as_deref()),
            trace_id: Some(self.trace.trace_id),
        });
        if let Some(call) = self.call.take() {
            call.finish(status.as_str().to_owned());
        }
    }
}

/// A caller that goes away takes the call with it, wherever that stands.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            self.end(gone());
        }
    }
}

/// The request's headers that its answer depends on.
fn answer_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [header::ACCEPT, header::CONTENT_TYPE, header::ORIGIN] {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Whether the request is gRPC (gRPC-Web comes here translated).
fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|text| text.strip_prefix(b"application/grpc"));
    request.method() == Method::POST
        && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

#[derive(Clone, Copy)]
struct Outcome {
    http: StatusCode,
    /// Known at the head for failures, at the trailers for others.
    grpc: Option<Code>,
}

impl Outcome {
    /// The HTTP status that says it, for gRPC too: an operator has one scale.
    fn status(self) -> StatusCode {
        match self.grpc {
            None | Some(Code::Ok) => self.http,
            Some(code) => StatusCode::from_u16(ErrorCode::from_grpc(code).http()).unwrap_or(self.http),
        }
    }
}

/// An answer's body, which ends its exchange. It is given out in pieces: what is given out is held by the connection, and nobody counts it.
struct Recorded {
    inner: Body,
    /// What is to be given out before there is more.
    rest: Bytes,
    turn: Option<Turn>,
    outcome: Outcome,
    exchange: Option<Box<Exchange>>,
}

impl Recorded {
    /// The next piece of what is at hand.
    fn piece(&mut self) -> Option<Frame<Bytes>> {
        if self.rest.is_empty() {
            return None;
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        if let Some(exchange) = &self.exchange {
            exchange.hold(self.rest.len());
        }
        Some(Frame::data(piece))
    }

    fn end(&mut self, status: StatusCode) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.end(status);
        }
    }
}

/// What nginx calls a caller that did not wait for the answer.
fn gone() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(turn) = &this.turn {
            turn.asked();
        }
        let polled = match this.piece() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => this.poll_inner(cx),
        };
        if let (Poll::Ready(Some(_)), Some(turn)) = (&polled, &this.turn) {
            turn.given();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, inner) = (self.rest.len() as u64, self.inner.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Recorded {
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // The head has gone: all that is left to do about a panic is to end the stream as failed.
        let inner = Pin::new(&mut self.inner);
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx)));
        let polled = polled.unwrap_or_else(|_| {
            let error = Error::internal("the answer's stream panicked");
            Poll::Ready(Some(Err(Status::from(error))))
        });
        let Poll::Ready(polled) = polled else { return Poll::Pending };
        match &polled {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.end(StatusCode::INTERNAL_SERVER_ERROR),
            None => self.end(self.outcome.status()),
        }
        Poll::Ready(polled.map(|frame| Ok(self.pass(frame?))))
    }

    /// A frame as it goes on: a large one in pieces, trailers with a status that is ours.
    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let mut trailers = match frame.into_data() {
            Ok(data) if data.len() <= PIECE => return Frame::data(data),
            Ok(data) => {
                self.rest = data;
                return self.piece().unwrap_or(Frame::data(Bytes::new()));
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(frame) => return frame,
            },
        };
        if let Some(exchange) = self.exchange.as_ref().filter(|exchange| exchange.grpc) {
            exchange.finish_status(&mut trailers);
        }
        if let Some(status) = Status::from_header_map(&trailers) {
            self.outcome.grpc = Some(status.code());
            self.end(self.outcome.status());
        }
        Frame::trailers(trailers)
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // A body of known length is dropped once its bytes are taken, without a last look.
        let whole = self.rest.is_empty() && self.inner.is_end_stream();
        let status = if whole { self.outcome.status() } else { gone() };
        self.end(status);
    }
}

/// Runs what answers a request; a panic becomes `INTERNAL`.
pub(crate) async fn shielded<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(answer)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Error::internal("answer a request").because("a panic").into()))
}
