//! Unary calls: one message each way, in plain HTTP.

use http::{HeaderMap, HeaderValue, Request, Response, header};
use tower::Service;

use super::{Call, Codec, Framing, error, get, sent_coding};
use crate::coding::Decoded;
use crate::error::{BoxError, Result};
use crate::service::call::read;
use crate::service::{Body, etag, protocol};

pub(super) async fn answer<S, B>(call: &Call, codec: Codec, upstream: S, body: B) -> Response<Body>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut initial = HeaderMap::new();
    let answer = run(call, codec, upstream, body, &mut initial).await;
    answer.unwrap_or_else(|error| error::unary(&call.engine, &call.context(), &initial, &error))
}

/// `initial` receives the metadata that the service begins with, whatever comes after.
async fn run<S, B>(
    call: &Call,
    codec: Codec,
    upstream: S,
    body: B,
    initial: &mut HeaderMap,
) -> Result<Response<Body>>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    call.check_version()?;
    let (codec, sent, message) = if protocol::is_get(&call.parts.method) {
        get::read(call)?
    } else {
        let sent = sent_coding(&call.parts.headers, &header::CONTENT_ENCODING)?;
        let body = Decoded::new(body, sent);
        (codec, sent, read(body, &call.engine.limits_of(&call.parts)).await?)
    };
    let (body, params) = call.single(codec, &message)?;
    let (metadata, mut frames) = call.upstream(upstream, body, params).await?;
    *initial = metadata;
    let (message, trailers) = frames.one(initial).await?;
    let mut out =
        Vec::with_capacity(if codec == Codec::Json { message.len() * 2 + 64 } else { message.len() });
    call.print(codec, &message, &mut out)?;

    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    error::leading(initial, headers);
    error::trailing(&trailers, headers);
    headers.insert(header::CONTENT_TYPE, Framing::Unary(codec).content_type());
    if call.engine.compression.answers_from.is_some_and(|smallest| out.len() >= smallest) {
        headers.append(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
    }
    *response.body_mut() = Body::full(out);
    if protocol::is_get(&call.parts.method) {
        // What it says of codings is said already.
        response = etag::finish(&call.route, &call.parts, response, None);
    }
    let coding = call.answer_coding(&header::ACCEPT_ENCODING, sent);
    let coded = response.body().as_full().and_then(|bytes| call.coded(coding, bytes));
    if let (Some(coding), Some(coded)) = (coding, coded) {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        *response.body_mut() = Body::full(coded);
    }
    Ok(response)
}
