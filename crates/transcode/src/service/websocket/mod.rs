//! WebSocket (RFC 6455, over HTTP/2 RFC 8441) for streams: a text message is a JSON message, in both directions and at once.
//!
//! The handshake is a GET of the method's path, over HTTP/2 a CONNECT, whatever HTTP method its rule has, since browsers send
//! nothing else. What can be told before the socket opens, as a bad query, is told over HTTP.

mod ahead;
mod life;
mod origin;
mod session;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tower::Service;

use super::headers::names;
use super::{Body, Matched};
use crate::builder::Engine;
use crate::error::{BoxError, Error, Kind, Result};
use crate::request::Woven;
use life::{Life, Watched};
use session::Session;

const VERSION: &str = "13";
/// Streams are many, and their messages small: sockets keep no more than this for either direction.
const BUFFER: usize = 4 << 10;
/// In this order methods are looked for at the path of a handshake.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// How WebSockets are served.
///
/// A text message holds the JSON of one message; the empty one ends what the client sends, as half-closing does elsewhere, and is
/// needed only by methods that wait for that end. Path and query belong to each of the client's messages. Messages of
/// `google.api.HttpBody` are binary, without their type. When the call is over, the socket is closed: with 1000 after a success; otherwise, after a
/// last text message that is the error as it ends other streams (see
/// [`ErrorRenderer::render_in_stream`](crate::ErrorRenderer::render_in_stream)), with 4000 plus the gRPC code, and
/// its message as the reason. What breaks WebSocket's own rules is closed with 1002, 1003, 1007 or 1009. The limits of request and response messages hold here too.
///
/// It needs tokio, and a server that lets go of connections, as hyper's `serve_connection_with_upgrades` and `axum::serve` do. Over
/// HTTP/2, clients may use it (RFC 8441) where the server says so, by `enable_connect_protocol()` of hyper's builder; `axum::serve`
/// does.
///
/// A browser cannot send headers of its own here, as `Authorization`, or the `Idempotency-Key` that a
/// [`MethodPolicy`](crate::MethodPolicy) may ask for: who needs them lets a layer above read a cookie, a ticket or another parameter of
/// the query, and put the header there.
///
/// A service that takes nothing holds the client back. Some 16 kB of messages are read ahead of it, so that a client that pings, closes or is gone
/// is heard nevertheless; one that has sent more is heard again when the service goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocket {
    /// Origins whose pages may open sockets, as browsers send them: `https://app.example`. A browser sends cookies along from any page; so
    /// only pages of the same origin may do it besides, and who sends no `Origin`, which is no browser. Default: none.
    ///
    /// The same origin is the same scheme, host and port (RFC 6454). The scheme is what the request's extensions have as
    /// [`http::uri::Scheme`], for layers that know where TLS ends; otherwise that of the request's URI, which is there over HTTP/2, and if
    /// there is none, that of the page.
    pub origins: Vec<String>,
    /// After how much silence the client is asked for a sign of life; a second such time later it is taken for gone. Every byte that it
    /// sends is such a sign, also of a message that takes long, and so is the room that it makes for more. Default: 30 seconds; `None`: never.
    pub keep_alive: Option<Duration>,
}

impl WebSocket {
    /// The first of the origins that is none, such as one with a path: no page would ever be of it.
    pub(crate) fn no_origin(&self) -> Option<&String> {
        self.origins.iter().find(|text| !origin::is_origin(text))
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self { origins: Vec::new(), keep_alive: Some(Duration::from_secs(30)) }
    }
}

/// Whether a request would open a WebSocket.
pub(super) fn is_handshake(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    match *method {
        Method::GET => names(headers, &header::UPGRADE, "websocket"),
        // What asks for a tunnel has no scheme.
        Method::CONNECT => uri.scheme().is_some(),
        _ => false,
    }
}

impl Engine {
    /// The stream at the path of a handshake.
    ///
    /// # Errors
    /// Those of a GET of that path; [`Kind::NotAcceptable`] if all that is there is no stream.
    pub(super) fn stream_at(self: &Arc<Self>, path: &str) -> Result<Matched> {
        let found = METHODS.iter().map(|method| self.clone().route(method, path)).collect::<Vec<_>>();
        let is_stream = |matched: &Matched| {
            let rpc = matched.rpc();
            rpc.is_client_streaming() || rpc.is_server_streaming()
        };
        if let Some(matched) = found.iter().flatten().find(|matched| is_stream(matched)) {
            return Ok(Matched { protocol: super::Protocol::WebSocket, ..matched.clone() });
        }
        if found.iter().any(Result::is_ok) {
            let mut error =
                Error::boxed(Kind::NotAcceptable, "this method is no stream: call it without WebSocket");
            error.status = StatusCode::BAD_REQUEST;
            return Err(error);
        }
        self.clone().route(&Method::GET, path)
    }

    /// Checks a handshake; returns the head of the answer that opens the socket.
    fn accept(&self, parts: &Parts, protocol: Option<&hyper::ext::Protocol>) -> Result<Response<Body>> {
        let headers = &parts.headers;
        let bad = |status, message: &str| {
            let mut error = Error::boxed(Kind::NotAcceptable, message);
            error.status = status;
            error
        };
        if parts.version == Version::HTTP_10 {
            return Err(bad(StatusCode::BAD_REQUEST, "HTTP/1.0 knows no upgrades"));
        }
        let connect = parts.method == Method::CONNECT;
        if connect && protocol.is_none_or(|protocol| protocol.as_str() != "websocket") {
            return Err(bad(StatusCode::NOT_IMPLEMENTED, "CONNECT is for WebSocket over HTTP/2 only"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            // Of HTTP/2 there is nothing to upgrade.
            let status = if connect { StatusCode::BAD_REQUEST } else { StatusCode::UPGRADE_REQUIRED };
            return Err(bad(status, "WebSocket is spoken in version 13"));
        }
        let mut response = Response::new(Body::empty());
        if !connect {
            if !names(headers, &header::CONNECTION, "upgrade") {
                return Err(bad(StatusCode::BAD_REQUEST, "the handshake lacks `Connection: Upgrade`"));
            }
            let key = headers.get(header::SEC_WEBSOCKET_KEY).map_or(&b""[..], HeaderValue::as_bytes);
            // 16 bytes in base64 (RFC 6455, section 4.1).
            if key.len() != 24 || BASE64_STANDARD.decode(key).is_err() {
                return Err(bad(StatusCode::BAD_REQUEST, "the handshake has no key"));
            }
            let accept = HeaderValue::try_from(derive_accept_key(key))
                .map_err(|_| bad(StatusCode::BAD_REQUEST, "the handshake has no key"))?;
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let answer = response.headers_mut();
            answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if !origin::allows(parts, &self.websocket.origins) {
            let mut error = bad(StatusCode::FORBIDDEN, "pages of this origin may not open WebSockets");
            error.code = tonic::Code::PermissionDenied;
            return Err(error);
        }
        Ok(response)
    }
}

/// Opens the socket of a call. The call itself goes on beside the answer.
pub(super) fn open<S>(matched: &Matched, upstream: S, mut parts: Parts) -> Response<Body>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    // Of all extensions these alone are ours: the service gets the others.
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let protocol = parts.extensions.remove::<hyper::ext::Protocol>();
    let parts = Arc::new(parts);
    let (engine, route) = (&matched.engine, &matched.route);
    let opened = engine.accept(&parts, protocol.as_ref()).and_then(|response| {
        let no_upgrade = || {
            let error = Error::boxed(Kind::Transport, "this server opens no WebSockets");
            error.with_source("the server gives no connection away: is it served with upgrades?")
        };
        let upgrade = upgrade.ok_or_else(no_upgrade)?;
        let query = parts.uri.query();
        let resumed = super::headers::last_event_id(&parts.headers, route);
        let woven = Woven::new(
            &engine.plans,
            route,
            &matched.bindings,
            query,
            resumed,
            &engine.parse,
            &engine.limits,
        )?;
        let limit = engine.limits_of(&parts).request_bytes;
        let session = Session::new(matched, parts.clone(), woven)?;
        Ok((response, upgrade, limit, session))
    });
    let (response, upgrade, limit, session) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let mut response = engine.render_rest(&route.context(&parts), &error);
            if error.status == StatusCode::UPGRADE_REQUIRED {
                let headers = response.headers_mut();
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            }
            return response;
        }
    };
    tokio::spawn(async move {
        // A client that was gone before the answer.
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let life = Arc::new(Life::new());
        let connection = Watched::new(TokioIo::new(upgraded), life.clone());
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        session.run(socket, &life, upstream).await;
    });
    response
}
