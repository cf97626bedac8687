//! Connect (<https://connectrpc.com/docs/protocol>) in front, gRPC behind: unary calls are plain HTTP, streams are envelopes.

mod envelopes;
mod error;
mod get;
mod grpc;
mod stream;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::Full;
use tower::{Service, ServiceExt as _};

pub(super) use error::failed;
pub(super) use grpc::json;

use super::deadline::Deadline;
use super::frames::Frames;
use super::protocol::{self, CONNECT_PROTOCOL_VERSION};
use super::{Body, body, headers, negotiate};
use crate::builder::Engine;
use crate::coding::{self, Coding};
use crate::error::{BoxError, Error, Kind, Result};
use crate::framing::PREFIX;
use crate::render::ErrorContext;
use crate::request::Woven;
use crate::routing;
use crate::rule::RoutePlan;

const CONNECT_TIMEOUT_MS: &str = "connect-timeout-ms";
const CONTENT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// What messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Json,
    Proto,
}

impl Codec {
    fn of(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "proto" => Some(Self::Proto),
            _ => None,
        }
    }
}

/// How a request is framed, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// One message is the body.
    Unary(Codec),
    /// Messages in envelopes.
    Stream(Codec),
}

impl Framing {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = negotiate::content_type(headers)?;
        let name = content_type.strip_prefix("application/")?;
        match name.strip_prefix("connect+") {
            Some(name) => Codec::of(name).map(Self::Stream),
            None => Codec::of(name).map(Self::Unary),
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Unary(Codec::Json) => "application/json",
            Self::Unary(Codec::Proto) => "application/proto",
            Self::Stream(Codec::Json) => "application/connect+json",
            Self::Stream(Codec::Proto) => "application/connect+proto",
        })
    }
}

/// One call on its way.
struct Call {
    engine: Arc<Engine>,
    parts: Parts,
    route: Arc<RoutePlan>,
}

/// Answers a request of Connect whose method was found.
pub(super) async fn call<S, B>(
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
    let call = Call { engine, parts, route };
    match call.framing() {
        Err(error) => {
            let mut response = failed(&call.engine, &call.context(), &error);
            response.headers_mut().insert(HeaderName::from_static("accept-post"), call.accepted());
            response
        }
        Ok(Framing::Stream(codec)) => stream::answer(call, codec, upstream, body).await,
        Ok(Framing::Unary(codec)) => {
            let response = unary::answer(&call, codec, upstream, body).await;
            if call.parts.method == Method::HEAD { body::without(response) } else { response }
        }
    }
}

impl Call {
    /// What errors of the call are told in.
    fn context(&self) -> ErrorContext<'_> {
        self.route.context(&self.parts)
    }

    /// The framing, if it is one for the method.
    fn framing(&self) -> Result<Framing> {
        if protocol::is_get(&self.parts.method) {
            // GET has a codec in its query, and no body.
            return Ok(Framing::Unary(Codec::Json));
        }
        let framing = Framing::of(&self.parts.headers);
        framing.filter(|framing| matches!(framing, Framing::Stream(_)) == self.streams()).ok_or_else(|| {
            let message = if self.streams() {
                "a stream must be application/connect+json or application/connect+proto"
            } else {
                "the body must be application/json, in UTF-8, or application/proto"
            };
            Error::boxed(Kind::UnsupportedMediaType, message)
        })
    }

    fn streams(&self) -> bool {
        self.route.rpc.is_client_streaming() || self.route.rpc.is_server_streaming()
    }

    /// The content types that the method takes, for `Accept-Post`.
    fn accepted(&self) -> HeaderValue {
        HeaderValue::from_static(if self.streams() {
            "application/connect+json, application/connect+proto"
        } else {
            "application/json, application/proto"
        })
    }

    fn check_version(&self) -> Result<()> {
        match self.parts.headers.get(CONNECT_PROTOCOL_VERSION) {
            Some(version) if version != "1" => Err(invalid("connect-protocol-version must be 1")),
            _ => Ok(()),
        }
    }

    /// The gRPC frame of a request message.
    fn frame(&self, codec: Codec, message: &[u8]) -> Result<Bytes> {
        Ok(self.engine.pack(self.plain_frame(codec, message)?))
    }

    /// The body of a call of one message, and its routing header, where there is to be one.
    fn single(&self, codec: Codec, message: &[u8]) -> Result<(tonic::body::Body, Option<HeaderValue>)> {
        let frame = self.plain_frame(codec, message)?;
        let routing = self.route.routing.as_ref();
        let params = routing.and_then(|routing| routing.value(std::iter::empty(), &frame[PREFIX..]));
        Ok((tonic::body::Body::new(Full::new(self.engine.pack(frame))), params))
    }

    fn plain_frame(&self, codec: Codec, message: &[u8]) -> Result<Vec<u8>> {
        Woven::default().frame(message.len(), |out| {
            match codec {
                Codec::Json => {
                    self.engine.plans.parse(self.route.input, message, &self.engine.parse, out)?;
                }
                Codec::Proto => out.extend_from_slice(message),
            }
            Ok(())
        })
    }

    /// Adds a response message as the client reads it.
    fn print(&self, codec: Codec, message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match codec {
            Codec::Json => body::append_json(&self.engine, &self.route, None, message, out),
            Codec::Proto => {
                out.extend_from_slice(message);
                Ok(())
            }
        }
    }

    /// Makes the gRPC call, and returns the metadata that it begins with and its messages.
    async fn upstream<S>(
        &self,
        upstream: S,
        body: tonic::body::Body,
        params: Option<HeaderValue>,
    ) -> Result<(HeaderMap, Frames)>
    where
        S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
        S::Error: Into<BoxError>,
    {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = Uri::from(self.route.grpc_path.clone());
        let mut metadata = headers::connect_metadata(&self.parts.headers, &self.engine, &self.route);
        if let Some(timeout) = connect_timeout(&self.parts.headers)? {
            // Where a layer above has set a time already, that is the one.
            metadata.entry("grpc-timeout").or_insert(grpc_timeout(timeout));
        }
        if let Some(params) = params {
            metadata.insert(routing::HEADER, params);
        }
        *request.headers_mut() = metadata;
        *request.extensions_mut() = self.parts.extensions.clone();
        let deadline = Deadline::of(request.headers());
        let response = upstream.oneshot(request).await.map_err(|error| Error::transport(error.into()))?;
        let (head, body) = response.into_parts();
        headers::check(&head)?;
        let frames = Frames::new(body, &head.headers, self.engine.limits.response_bytes, deadline)?;
        Ok((head.headers, frames))
    }

    /// The coding of the answer, if there is to be one: the first that the client lists of those that it likes best, which may be
    /// `identity`. Who lists none understands the one that he sends.
    fn answer_coding(&self, name: &HeaderName, sent: Option<Coding>) -> Option<Coding> {
        self.engine.compression.answers_from?;
        if !self.parts.headers.contains_key(name) {
            return sent;
        }
        let values = self.parts.headers.get_all(name).iter();
        let mut best = (0, None);
        for range in values.flat_map(|value| value.to_str().unwrap_or_default().split(',')) {
            let (name, quality) = negotiate::media_range(range);
            let coding = Coding::of(&name);
            if (coding.is_some() || name == "identity") && quality > best.0 {
                best = (quality, coding);
            }
        }
        best.1
    }

    /// The bytes coded, if they are to be and it pays.
    fn coded(&self, coding: Option<Coding>, bytes: &[u8]) -> Option<Vec<u8>> {
        let smallest = self.engine.compression.answers_from?;
        let coded = coding::encode(coding.filter(|_| bytes.len() >= smallest)?, bytes).ok()?;
        Some(coded).filter(|coded| coded.len() < bytes.len())
    }
}

/// The coding that a request names by one of its headers.
fn sent_coding(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Coding>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => coding_of(value.to_str().unwrap_or("?")),
        (Some(_), Some(_)) => coding_of("?"),
    }
}

fn coding_of(name: &str) -> Result<Option<Coding>> {
    match name.trim() {
        "" => Ok(None),
        name if name.eq_ignore_ascii_case("identity") => Ok(None),
        name => Coding::of(name).map(Some).ok_or_else(|| {
            Error::boxed(
                Kind::ContentCoding,
                "unknown compression: supported are zstd, br, gzip and identity",
            )
        }),
    }
}

/// The time that a client of Connect allows, by `Connect-Timeout-Ms`. The transcoder itself sends it on as `grpc-timeout`,
/// unless that is in the head already.
///
/// # Errors
/// What is no whole number of at most ten digits.
pub fn connect_timeout(headers: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = headers.get(CONNECT_TIMEOUT_MS) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = text.parse().ok().filter(|_| digits).map(Duration::from_millis);
    time.map(Some).ok_or_else(|| invalid("connect-timeout-ms must be a whole number of at most ten digits"))
}

/// At most eight digits and a unit.
fn grpc_timeout(time: Duration) -> HeaderValue {
    let millis = time.as_millis();
    let text =
        if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", millis.div_ceil(1000)) };
    // Digits and a letter: always a header value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0m"))
}

fn invalid(message: &'static str) -> Box<Error> {
    Error::boxed(Kind::Query, message)
}
