//! An edge with all that it needs, and ways to ask it.

use crate::services::Fakes;
use api::method::METHODS;
use api::transactions::v1::Transaction;
use authn::{Grant, Issuer, Keys, Role, ServiceTokens, Verifier};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::{Caller, Channel, Directory, Routed};
use policy::Policy;
use riskmesh_core::{ManualClock, TenantId, Timestamp};
use riskmesh_edge::{Config, Deps, Edge, Public, reads};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use telemetry::{Format, Metrics, RequestLog};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tower::ServiceExt as _;

/// A transaction to take in.
pub(crate) fn entry() -> Transaction {
    Transaction {
        transaction_id: "t-1".into(),
        account_id: "1234567890".into(),
        direction: 1,
        amount: "1".into(),
        currency: "EUR".into(),
        booked_at: Some(prost_types::Timestamp::default()),
        ..Transaction::default()
    }
}

pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) fakes: Fakes,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Metrics,
    issuer: Arc<Issuer>,
    log: Shared,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    pub(crate) async fn read<B>(response: Response<B>) -> Self
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Self { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
    }

    /// The status of gRPC, wherever it is.
    pub(crate) fn grpc(&self) -> Status {
        let status =
            Status::from_header_map(&self.headers).or_else(|| Status::from_header_map(&self.trailers));
        status.unwrap_or_else(|| panic!("no status: {self:?}"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the error, and gives its body for more.
    pub(crate) fn fails(&self, status: u16, code: &str) -> Value {
        let json = self.json();
        assert_eq!((self.status.as_u16(), json["errorCode"].as_str()), (status, Some(code)), "{json}");
        json
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose quota is out of the way, with a changed configuration.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::made(change, true)
    }

    /// A world whose edge calls the services' handlers with nothing in between that would catch what they do.
    pub(crate) fn without_mesh() -> Self {
        Self::made(|_| {}, false)
    }

    fn made(change: impl FnOnce(&mut Config), meshed: bool) -> Self {
        let mut config =
            Config { listen: "127.0.0.1:0".parse().unwrap(), rate_limit_per_minute: 0, ..Config::default() };
        change(&mut config);
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2025-07-30T14:15:00Z").unwrap()));
        let issuer =
            Issuer::new(Arc::new(Keys::ephemeral().unwrap()), "riskmesh", "riskmesh-api", clock.clone());
        let verifier = Verifier::new(&issuer.jwks(), "riskmesh", "riskmesh-api", clock.clone());
        let issuer = Arc::new(issuer);
        let (verifier, policy) = (Arc::new(verifier), Arc::new(Policy::new().unwrap()));
        let (fakes, metrics, log) = (Fakes::default(), Metrics::new(), Shared::default());
        let (_, health) = tonic_health::server::health_reporter();
        let deps = Deps {
            upstream: if meshed {
                riskmesh_edge::upstream(mesh(&fakes, &verifier, &policy, &metrics, &issuer))
            } else {
                riskmesh_edge::upstream(fakes.routes())
            },
            public: Public::default().with(
                health,
                &[("Check", reads::<HealthCheckRequest>), ("Watch", reads::<HealthCheckRequest>)],
            ),
            verifier,
            policy,
            jwks: issuer.jwks(),
            metrics: metrics.clone(),
            request_log: RequestLog::new(Format::Text, log.clone()).unwrap(),
            clock: clock.clone(),
        };
        Self { edge: Edge::new(config, deps).unwrap(), fakes, clock, metrics, issuer, log }
    }

    pub(crate) fn token(&self, role: Role, client_id: &str) -> String {
        self.grant("user-7", role, Some(client_id))
    }

    /// The token of a workload of the mesh.
    pub(crate) fn workload(&self, name: &str) -> String {
        self.grant(&format!("service:{name}"), Role::Service, None)
    }

    fn grant(&self, sub: &str, role: Role, client_id: Option<&str>) -> String {
        let grant = Grant {
            sub: sub.into(),
            user_id: None,
            role,
            tenant: TenantId::new("sandbox").unwrap(),
            scope: Vec::new(),
            client_id: client_id.map(Into::into),
            ttl: Duration::from_hours(1),
        };
        self.issuer.issue(&grant).unwrap()
    }

    /// A request of an admin's.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token(Role::Admin, "console")))
    }

    pub(crate) async fn send<B>(&self, mut request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<transcode::BoxError>,
    {
        // As everybody does who speaks HTTP/1.1; what comes without is sent over a socket.
        request.headers_mut().entry("host").or_insert(HeaderValue::from_static("api.example.com"));
        let Ok(response) = self.edge.service().oneshot(request).await;
        Answer::read(response).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(empty()).unwrap()).await
    }

    pub(crate) async fn json(&self, method: Method, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(full(body)).unwrap()).await
    }

    /// Listens on a port of its own.
    pub(crate) async fn listen(&self) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let task = tokio::spawn(self.edge.clone().serve(listener, shutdown.clone()));
        Listening { address, shutdown, task }
    }

    /// The first line of the request log that has this text, once it is written.
    pub(crate) async fn logged(&self, text: &str) -> String {
        eventually(|| self.log.text().lines().find(|line| line.contains(text)).map(str::to_owned)).await
    }
}

/// The services as they are deployed: behind their own checks, reached through channels.
fn mesh(
    fakes: &Fakes,
    verifier: &Arc<Verifier>,
    policy: &Arc<Policy>,
    metrics: &Metrics,
    issuer: &Arc<Issuer>,
) -> Routed {
    let deps = mesh::Deps {
        role: "fakes",
        verifier: Arc::clone(verifier),
        policy: Arc::clone(policy),
        metrics: metrics.clone(),
        default_timeout: mesh::DEFAULT_TIMEOUT,
        open: &[],
    };
    let caller = Caller {
        role: "edge",
        metrics: metrics.clone(),
        credentials: Arc::new(ServiceTokens::new(Arc::clone(issuer), "edge")),
        default_timeout: mesh::DEFAULT_TIMEOUT,
    };
    let channel = Channel::local(mesh::serve(fakes.routes(), deps), caller);
    let services: BTreeSet<&str> = METHODS.iter().map(|method| method.service).collect();
    Routed::new(Directory::default().with(services, &channel))
}

pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), riskmesh_edge::Error>>,
}

impl Listening {
    /// Asks over HTTP/2, on a connection of its own.
    pub(crate) async fn ask<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<transcode::BoxError>,
    {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = Answer::read(sender.send_request(self.at(request)).await.unwrap()).await;
        connection.abort();
        answer
    }

    /// The request as one to this listener.
    pub(crate) fn at<B>(&self, mut request: Request<B>) -> Request<B> {
        *request.uri_mut() = format!("http://{}{}", self.address, request.uri()).parse().unwrap();
        request
    }
}

pub(crate) fn empty() -> Full<Bytes> {
    Full::default()
}

pub(crate) fn full(text: &str) -> Full<Bytes> {
    Full::new(Bytes::copy_from_slice(text.as_bytes()))
}

/// Messages with what stands before each: a flag, and its length.
pub(crate) fn enveloped(messages: &[(u8, &[u8])]) -> Bytes {
    let mut body = BytesMut::new();
    for (flag, message) in messages {
        body.put_u8(*flag);
        body.put_u32(u32::try_from(message.len()).unwrap());
        body.put_slice(message);
    }
    body.freeze()
}

/// The messages of a body: flag and bytes.
pub(crate) fn opened(mut body: &[u8]) -> Vec<(u8, Bytes)> {
    let mut messages = Vec::new();
    while let [flag, a, b, c, d, rest @ ..] = body {
        let (message, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        messages.push((*flag, Bytes::copy_from_slice(message)));
        body = rest;
    }
    messages
}

/// Waits for a condition, at most ten seconds.
pub(crate) async fn eventually<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the condition holds within ten seconds")
}

/// A place that a test and the request log share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
