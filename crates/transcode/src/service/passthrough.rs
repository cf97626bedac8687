//! gRPC and gRPC-Web: the call is what the service understands already, so that it goes through as it is; but for messages in JSON,
//! which it seldom understands.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use tonic::Status;
use tonic::metadata::MetadataMap;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::upload::{Fault, cancelling};
use super::{Body, connect, frames, headers, protocol, status};
use crate::builder::Engine;
use crate::coding::Decoded;
use crate::error::{BoxError, Error, Kind, Result};
use crate::rule::RoutePlan;

/// Answers a call of gRPC.
pub(super) async fn grpc<S, B>(
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
    if protocol::is_json(&parts.headers) {
        return connect::json(engine, route, upstream, parts, body).await;
    }
    let fault = Fault::default();
    let body = tonic::body::Body::new(sent(Decoded::new(body, None), fault.clone()));
    forward(&engine, &route, upstream, Request::from_parts(parts, body), fault).await.map(Body::stream)
}

/// Answers a call of gRPC-Web.
pub(super) async fn web<S, B>(
    engine: Arc<Engine>,
    route: Arc<RoutePlan>,
    upstream: S,
    mut parts: Parts,
    body: B,
) -> Response<Body>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let json = protocol::is_json(&parts.headers);
    // `tonic_web` knows one spelling of each form, and no JSON.
    for (name, types) in [
        (header::CONTENT_TYPE, protocol::grpc_web_type(&parts.headers, &header::CONTENT_TYPE)),
        (header::ACCEPT, protocol::grpc_web_type(&parts.headers, &header::ACCEPT)),
    ] {
        if let Some(known) = types {
            parts.headers.insert(name, known);
        }
    }
    let inner = service_fn(move |request: Request<tonic::body::Body>| {
        let (engine, route, upstream) = (engine.clone(), route.clone(), upstream.clone());
        async move {
            if json {
                let (parts, body) = request.into_parts();
                return Ok::<_, Infallible>(connect::json(engine, route, upstream, parts, body).await);
            }
            let fault = Fault::default();
            let request = request.map(|body| tonic::body::Body::new(sent(body, fault.clone())));
            Ok(forward(&engine, &route, upstream, request, fault).await.map(Body::stream))
        }
    });
    // Neither side is as long on the wire as what it stands for: what says so would cut it.
    let body = tonic::body::Body::new(StreamBody::new(BodyStream::new(Decoded::new(body, None))));
    let answer = tonic_web::GrpcWebLayer::new().layer(inner).oneshot(Request::from_parts(parts, body)).await;
    let Ok(mut response) = answer;
    if json && let Some(known) = response.headers_mut().get_mut(header::CONTENT_TYPE) {
        *known = protocol::in_json(known);
    }
    response.map(|body| Body::stream(StreamBody::new(BodyStream::new(body.map_err(Into::into)))))
}

/// What the client sends; where it breaks off, the call behind is cancelled, and why is kept.
fn sent<B>(body: B, fault: Fault) -> impl http_body::Body<Data = Bytes, Error = Status> + Send + 'static
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(move |source| {
        let status = Status::from_error(source.into());
        let error = Error::boxed(Kind::BodyRead, "the body could not be read").with_code(status.code());
        fault.set(error.with_source(status.to_string()));
        cancelling(status)
    })
}

async fn forward<S>(
    engine: &Engine,
    route: &RoutePlan,
    upstream: S,
    request: Request<tonic::body::Body>,
    fault: Fault,
) -> Response<Ending>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(route.grpc_path.clone());
    *request.headers_mut() = headers::grpc_headers(&parts.headers, engine, route);
    *request.extensions_mut() = parts.extensions;
    let answer = upstream.oneshot(request).await;
    let answer = answer.map_err(|error| fault.take().unwrap_or_else(|| Error::transport(error.into())));
    let response = answer.and_then(checked).unwrap_or_else(|error| told(&error).into_http());
    let ends = status::is_there(response.headers());
    response.map(|body| Ending { body, fault, told: ends, ended: false })
}

/// An answer of gRPC, with what may go on of its head.
fn checked(response: Response<tonic::body::Body>) -> Result<Response<tonic::body::Body>> {
    let (mut head, body) = response.into_parts();
    if !status::is_there(&head.headers) {
        headers::is_grpc(&head)?;
    }
    status::mend(&mut head.headers);
    // gRPC has neither, and its clients would go by them.
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::CONTENT_ENCODING);
    Ok(Response::from_parts(head, body))
}

/// The status of an error, as gRPC sends it.
fn told(error: &Error) -> Status {
    Status::new(error.code, error.message.clone())
}

/// The status of an error, with all that came with it.
pub(super) fn status(error: &Error) -> Status {
    let metadata = MetadataMap::from_headers(error.metadata.clone());
    Status::with_details_and_metadata(error.code, error.message.clone(), error.details.clone(), metadata)
}

/// The answer to a call of gRPC that failed here: a status and nothing else.
pub(super) fn failed(error: &Error) -> Response<Body> {
    status(error).into_http::<tonic::body::Body>().map(|_| Body::empty())
}

/// The same for gRPC-Web, whose clients read a status without messages from the headers too.
pub(super) fn failed_web(error: &Error) -> Response<Body> {
    let mut response = failed(error);
    let content_type = HeaderValue::from_static("application/grpc-web+proto");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A body that ends with a status even where the service forgets it, or the connection behind it breaks.
struct Ending {
    body: tonic::body::Body,
    /// What was wrong with the client's part, which ends the service's too.
    fault: Fault,
    /// The status is out.
    told: bool,
    ended: bool,
}

impl Ending {
    /// The end that the service did not send.
    fn end(&mut self, error: &Error) -> std::result::Result<Frame<Bytes>, BoxError> {
        (self.told, self.ended) = (true, true);
        let mut trailers = HeaderMap::new();
        told(error).add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            None if self.told => None,
            None => Some(self.end(&frames::no_status())),
            Some(Err(broken)) => {
                let fault = self.fault.take();
                Some(self.end(&fault.unwrap_or_else(|| Error::transport(Box::new(broken)))))
            }
            Some(Ok(frame)) => Some(match frame.into_trailers() {
                Ok(trailers) if !self.told && !status::is_there(&trailers) => self.end(&frames::no_status()),
                Ok(mut trailers) => {
                    self.told = true;
                    status::mend(&mut trailers);
                    Ok(Frame::trailers(trailers))
                }
                Err(frame) => Ok(frame),
            }),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.told && self.body.is_end_stream()
    }
}
