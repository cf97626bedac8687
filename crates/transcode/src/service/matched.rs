//! A request whose route is known, for whoever stands between finding it and calling.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use prost_reflect::MethodDescriptor;

use super::Protocol;
use crate::builder::Engine;
use crate::error::Result;
use crate::framing::PREFIX;
use crate::rule::RoutePlan;

/// A request that found its route.
#[derive(Debug, Clone)]
pub struct Matched {
    /// What was there when the route was found is there until the answer, whatever [`Transcoder::replace`] does.
    pub(super) engine: Arc<Engine>,
    pub(super) route: Arc<RoutePlan>,
    pub(super) bindings: Vec<String>,
    pub(super) protocol: Protocol,
    /// That by which the route was found: of a WebSocket not the handshake's.
    pub(super) method: Method,
}

impl Matched {
    /// The method that the route leads to.
    pub fn rpc(&self) -> &MethodDescriptor {
        &self.route.rpc
    }

    /// The template of the route: a label of few values for logs and metrics.
    pub fn template(&self) -> &str {
        &self.route.template
    }

    /// The protocol that the client speaks: that of the answer.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The gRPC path, `/pkg.Service/Method`.
    pub fn grpc_path(&self) -> &str {
        self.route.grpc_path.path()
    }

    /// The values that the path binds, decoded: the field's path in proto names (`book.id`) and the value, in the
    /// order of the template.
    pub fn bindings(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.route.variable_names.iter().map(String::as_str);
        names.zip(self.bindings.iter().map(String::as_str))
    }

    /// Adds to an answer what [`Builder::policy`](crate::Builder::policy) says of the method: `Deprecation`, `Sunset`, `Link`, `RateLimit-Policy`.
    /// [`Transcoder::call_matched`](crate::Transcoder::call_matched) does so by itself; this is for answers of those who stand between it and
    /// [`Transcoder::route`](crate::Transcoder::route), such as a limiter:
    ///
    /// ```ignore
    /// let matched = transcoder.route(request.method(), request.uri().path())?;
    /// let left = limiter.take(caller, matched.grpc_path());    // yours: the transcoder counts nothing
    /// let mut response = match left {
    ///     Some(_) => transcoder.call_matched(matched.clone(), request).await,
    ///     None => {
    ///         let mut refused = too_many_requests();           // 429, with Retry-After
    ///         matched.annotate(refused.headers_mut());         // RateLimit-Policy: "default";q=100;w=60
    ///         refused
    ///     }
    /// };
    /// let left = format!("\"default\";r={};t=60", left.unwrap_or(0));
    /// response.headers_mut().insert("ratelimit", left.parse()?);
    /// ```
    pub fn annotate(&self, headers: &mut HeaderMap) {
        let names = self.route.variable_names.iter().map(String::as_str);
        self.route.policy.annotate(&names.zip(self.bindings.iter().map(String::as_str)), headers);
    }

    /// The routing header of a call that begins with this frame, where there is to be one.
    pub(super) fn params<F: AsRef<[u8]>>(
        &self,
        frame: impl FnOnce() -> Result<F>,
    ) -> Result<Option<HeaderValue>> {
        let Some(routing) = &self.route.routing else { return Ok(None) };
        Ok(routing.value(self.bindings(), &frame()?.as_ref()[PREFIX..]))
    }
}
