//! JSON over gRPC (`application/grpc+json`). gRPC's frames are the envelopes of Connect's streams, but for the end, which is in trailers;
//! so the messages take the same way. The service gets Protobuf, as most know nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::Frame;
use tonic::Status;
use tower::{Service, ServiceExt as _};

use super::envelopes::{Envelopes, Upload, seal};
use super::{Call, Codec, error, sent_coding};
use crate::builder::Engine;
use crate::coding::Decoded;
use crate::error::{BoxError, Error, Result};
use crate::rule::RoutePlan;
use crate::service::deadline::Deadline;
use crate::service::frames::Frames;
use crate::service::upload::Fault;
use crate::service::{Body, headers, passthrough};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Answers a call of gRPC whose messages are JSON.
pub(in crate::service) async fn json<S, B>(
    engine: Arc<Engine>,
    route: Arc<RoutePlan>,
    upstream: S,
    parts: Parts,
    body: B,
) -> Response<Body>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let call = Arc::new(Call { engine, parts, route });
    let answer = run(call.clone(), upstream, body).await;
    let mut response = answer
        .unwrap_or_else(|error| call.status(&error).into_http::<tonic::body::Body>().map(|_| Body::empty()));
    let json = HeaderValue::from_static("application/grpc+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

async fn run<S, B>(call: Arc<Call>, upstream: S, body: B) -> Result<Response<Body>>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let Call { engine, parts, route } = &*call;
    let sent = sent_coding(&parts.headers, &ENCODING)?;
    let envelopes = Envelopes::new(Decoded::new(body, None), sent, engine.limits_of(parts).request_bytes);
    let upload = Upload::new(call.clone(), Codec::Json, envelopes);
    let fault = upload.fault();
    let mut request = Request::new(tonic::body::Body::new(upload));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(route.grpc_path.clone());
    *request.headers_mut() = headers::json_metadata(&parts.headers, engine, route);
    *request.extensions_mut() = parts.extensions.clone();
    let deadline = Deadline::of(request.headers());
    let told = |error| fault.take().unwrap_or(error);
    let response = upstream.oneshot(request).await.map_err(|error| told(Error::transport(error.into())))?;
    let (head, body) = response.into_parts();
    headers::check(&head).map_err(told)?;
    let frames = Frames::new(body, &head.headers, engine.limits.response_bytes, deadline)?;
    let mut response = Response::new(Body::empty());
    error::leading(&head.headers, response.headers_mut());
    let answer = Answer { call: call.clone(), fault, frames, initial: head.headers, ended: false };
    *response.body_mut() = Body::stream(answer);
    Ok(response)
}

impl Call {
    /// An error as gRPC tells it.
    fn status(&self, error: &Error) -> Status {
        let told = self.engine.told(&self.context(), error);
        let mut status = passthrough::status(&told);
        // Where gRPC and HTTP differ about what happened here, it is gRPC's code.
        if error::code(&told) != status.code() {
            status = Status::new(error::code(&told), status.message());
        }
        status
    }
}

/// The messages on their way to the client, and how the call ended.
struct Answer {
    call: Arc<Call>,
    fault: Fault,
    frames: Frames,
    initial: HeaderMap,
    ended: bool,
}

impl Answer {
    /// The end of the call. A fault in what the client sends ends it in many ways: the fault itself is what to tell.
    fn end(&mut self, result: Result<HeaderMap>) -> std::result::Result<Frame<Bytes>, BoxError> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        match self.fault.take().map_or(result, Err) {
            Ok(metadata) => {
                Status::new(tonic::Code::Ok, "").add_header(&mut trailers)?;
                error::leading(&metadata, &mut trailers);
            }
            Err(error) => self.call.status(&error).add_header(&mut trailers)?,
        }
        Ok(Frame::trailers(trailers))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(this.frames.poll_message(cx)) {
            Ok(Some(message)) => {
                let mut out = Vec::new();
                match seal(&mut out, |out| this.call.print(Codec::Json, &message, out)) {
                    Ok(()) => Ok(Frame::data(out.into())),
                    Err(error) => this.end(Err(error)),
                }
            }
            Ok(None) => {
                let status = this.frames.status(&this.initial);
                this.end(status)
            }
            Err(error) => this.end(Err(error)),
        };
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
