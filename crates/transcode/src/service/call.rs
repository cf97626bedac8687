//! A call of REST: one message or a stream from the client, one message or a stream from the service.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, Limited};
use tower::{Service, ServiceExt as _};

use super::deadline::Deadline;
use super::frames::Frames;
use super::negotiate::{self, Written};
use super::{Body, Matched, body, headers, raw, stream, upload};
use crate::builder::Engine;
use crate::coding::Decoded;
use crate::error::{BoxError, Error, Result};
use crate::plan::Selection;
use crate::request::{Limits, Woven, form};
use crate::routing;
use crate::rule::BodyRule;

/// One call on its way.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) parts: &'a Arc<Parts>,
    pub(super) matched: &'a Matched,
}

impl Call<'_> {
    pub(super) async fn run<S, B>(&self, upstream: S, body: B) -> Result<Response<Body>>
    where
        S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let route = &self.matched.route;
        let engine = self.engine;
        let form =
            negotiate::answer(&self.parts.headers, route.rpc.is_server_streaming(), route.raw_response)?;
        let body = Decoded::new(body, negotiate::body_coding(&self.parts.headers)?);
        let query = self.parts.uri.query();
        let bindings = &self.matched.bindings;
        let resumed = headers::last_event_id(&self.parts.headers, route);
        let mut woven =
            Woven::new(&engine.plans, route, bindings, query, resumed, &engine.parse, &engine.limits)?;
        let selection = woven.selection.take();
        let params;
        let (body, fault) = if !route.rpc.is_client_streaming() || route.body == BodyRule::No {
            let frame = self.frame(&woven, body).await?;
            params = self.matched.params(|| Ok(&frame))?;
            (tonic::body::Body::new(Full::new(engine.pack(frame))), None)
        } else if route.raw_body {
            params = self.matched.params(|| woven.frame(0, |_| Ok(())))?;
            let upload = raw::Upload::new(engine.clone(), route.clone(), woven, body, self.content_type());
            let fault = upload.fault();
            (tonic::body::Body::new(upload), Some(fault))
        } else {
            params = self.matched.params(|| woven.frame(0, |_| Ok(())))?;
            let lines = negotiate::upload(&self.parts.headers, body.is_end_stream())?;
            let limit = engine.limits_of(self.parts).request_bytes;
            let upload = upload::Upload::new(engine.clone(), route.clone(), woven, body, lines, limit);
            let fault = upload.fault();
            (tonic::body::Body::new(upload), Some(fault))
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = http::Uri::from(route.grpc_path.clone());
        *request.headers_mut() = headers::metadata(&self.parts.headers, engine, route);
        if let Some(params) = params {
            request.headers_mut().insert(routing::HEADER, params);
        }
        *request.extensions_mut() = self.parts.extensions.clone();
        let deadline = Deadline::of(request.headers());
        let answer = upstream.oneshot(request).await;
        // A fault in what the client streams ends the call in many ways; the fault itself is what to tell.
        let told = |error| fault.as_ref().and_then(upload::Fault::take).unwrap_or(error);
        let response = answer.map_err(|error| told(Error::transport(error.into())))?;
        let (head, body) = response.into_parts();
        headers::check(&head).map_err(told)?;
        let frames = Frames::new(body, &head.headers, engine.limits.response_bytes, deadline)?;
        if route.rpc.is_server_streaming() {
            let response = stream::Stream {
                engine: engine.clone(),
                parts: self.parts.clone(),
                route: route.clone(),
                fault,
                frames,
                form,
                selection,
            };
            return response.respond(&head.headers).await;
        }
        self.unary(&head.headers, frames, selection.as_ref()).await.map_err(told)
    }

    fn content_type(&self) -> &[u8] {
        self.parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes)
    }

    /// The frame of a request that is one message.
    async fn frame<B>(&self, woven: &Woven, body: Decoded<B>) -> Result<Vec<u8>>
    where
        B: http_body::Body + Send + Unpin,
        B::Error: Into<BoxError>,
    {
        let route = &self.matched.route;
        let Engine { plans, parse, .. } = &**self.engine;
        let limits = self.engine.limits_of(self.parts);
        if body.is_end_stream() {
            return woven.json_frame(plans, route, b"", parse);
        }
        if route.raw_body {
            let bytes = read(body, &limits).await?;
            return woven.raw_frame(plans, route, &bytes, self.content_type());
        }
        let written = negotiate::written(&self.parts.headers);
        let takes_body = route.body != BodyRule::No;
        if takes_body && written == Written::Other && self.parts.headers.contains_key(header::CONTENT_TYPE) {
            return Err(negotiate::unsupported());
        }
        let bytes = read(body, &limits).await?;
        match written {
            // Boxed: other calls need not have room for it.
            Written::Multipart(boundary) if takes_body => {
                Box::pin(form::multipart(woven, plans, route, bytes, boundary, parse, &limits)).await
            }
            Written::Form if takes_body => form::urlencoded(woven, plans, route, &bytes, parse, &limits),
            Written::Other if takes_body && !bytes.is_empty() => Err(negotiate::unsupported()),
            _ => woven.json_frame(plans, route, &bytes, parse),
        }
    }

    async fn unary(
        &self,
        initial: &HeaderMap,
        mut frames: Frames,
        selection: Option<&Selection>,
    ) -> Result<Response<Body>> {
        let (message, status) = frames.one(initial).await?;
        let (engine, route) = (self.engine, &self.matched.route);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = route.success;
        for metadata in [initial, &status] {
            headers::expose(engine, metadata, &mut response);
        }
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(response);
        }
        let (content_type, body) = if route.raw_response {
            body::raw(&engine.plans, route, &message)?
        } else {
            let mut json = Vec::with_capacity(engine.plans.room(route.output, message.len()));
            body::append_json(engine, route, selection, &message, &mut json)?;
            (HeaderValue::from_static("application/json"), json.into())
        };
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = Body::full(body);
        Ok(response)
    }
}

/// Reads a body that is one value, within the limit.
pub(super) async fn read<B>(body: Decoded<B>, limits: &Limits) -> Result<Bytes>
where
    B: http_body::Body + Send + Unpin,
    B::Error: Into<BoxError>,
{
    let limit = limits.request_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::body_too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(bytes) => Ok(bytes.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Error::body_too_large(limit)),
        Err(error) => Err(Error::body_read(error)),
    }
}
