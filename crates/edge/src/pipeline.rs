//! The life of a request, in its order: limits -> prefix -> CORS -> route -> authenticate (for a public method only who shows a
//! token) -> memory -> rate limit -> may this caller call this method -> time -> call (REST and Connect through the transcoder, gRPC as it is)
//! -> what the answer's headers say.
//!
//! Before it stands [`Exchange::open`] (request id, trace), after it [`Exchange::answer`] (headers of every answer, request log,
//! metrics). Whatever fails anywhere returns a [`Failure`], which is rendered in one place.

use crate::body::{Guarded, too_large};
use crate::budget::Share;
use crate::deadline;
use crate::edge::{COMPRESS_FROM, Core, GrpcWeb};
use crate::exchange::Exchange;
use crate::fault::{self, Failure};
use crate::headers;
use crate::messages::{self, Fault, Messages, Told, Upload};
use crate::packed;
use crate::peer::{self, Peer};
use crate::portal::Page;
use crate::public::Reads;
use crate::routes::Route;
use crate::translate;
use api::method::RateLimit;
use authn::Claims;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::Body as _;
use http_body_util::Full;
use riskmesh_core::{Detail, Error, ErrorCode};
use std::sync::Arc;
use std::time::Duration;
use telemetry::request_id;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use transcode::framing::PREFIX;
use transcode::{BodyLimit, Kind, Matched, Protocol};

/// The prefix under which everything is served a second time, for hosts that have the API beside other things.
const SECOND: &str = "/api";
/// The most bytes of a message to a method that anybody may call.
const PUBLIC_BYTES: usize = 64 << 10;

/// What a path leads to.
enum Target {
    /// A document of the edge's own.
    Page(Arc<Page>),
    /// A method that everybody may call over gRPC, and what reads its messages: reflection, health.
    Public(Reads),
    /// A method over gRPC.
    Grpc(Arc<Route>),
    /// A method over REST or Connect.
    Transcoded(Arc<Route>, Matched),
    /// OPTIONS on a path of REST: answered without a call.
    Options(Response<Body>),
}

/// Answers one request.
pub(crate) async fn run(
    core: &Core,
    exchange: &mut Exchange,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let (mut head, body) = request.into_parts();
    let checked = check_head(core, &head);
    exchange.prefix = strip_prefix(&mut head);
    // Before what was found is told: in which protocol?
    exchange.connect = !exchange.grpc
        && core.transcoder.protocol(&head.method, &head.uri, &head.headers) == Protocol::Connect;
    checked?;
    if exchange.grpc {
        check_grpc(&head)?;
    }
    if let Some(answer) = core.cors.preflight(&head) {
        exchange.page = Some("preflight");
        exchange.place = place(core, head.uri.path());
        return Ok(answer);
    }
    let (route, matched) = match find(core, exchange.grpc, &head)? {
        Target::Page(page) => {
            exchange.page = Some(page.name);
            exchange.measure();
            exchange.share.begin()?;
            return page.answer(&head);
        }
        Target::Public(reads) => {
            exchange.page = Some("public");
            exchange.place = Some(head.uri.path().to_owned());
            exchange.measure();
            exchange.share.begin()?;
            return Box::pin(call_public(core, exchange, reads, head, body)).await;
        }
        Target::Options(answer) => {
            exchange.page = Some("options");
            exchange.place = place(core, head.uri.path());
            return Ok(answer);
        }
        Target::Grpc(route) => (route, None),
        Target::Transcoded(route, matched) => (route, Some(matched)),
    };
    exchange.bindings =
        matched.iter().flat_map(Matched::bindings).map(|(_, value)| value.to_owned()).collect();
    exchange.route = Some(Arc::clone(&route));
    exchange.measure();

    exchange.caller = authenticate(core, &head.headers, route.method)?;
    if exchange.caller.is_some() {
        exchange.share.known();
    }
    exchange.share.begin()?;
    limit_rate(core, exchange, &route, &head).await?;
    if let Some(caller) = &exchange.caller {
        core.policy
            .allows(caller, route.method)
            .map_err(|error| Failure { scope: Some(route.method.permission), ..error.into() })?;
    }

    let time = deadline::of(&head.headers, route.timeout)?;
    // Before the call is made: a caller who allows no time gets none of ours.
    let deadline =
        Instant::now() + Some(time).filter(|time| !time.is_zero()).ok_or(ErrorCode::DeadlineExceeded)?;
    let size = body.size_hint().lower();
    if let Some(limit) = route.body_limit.filter(|limit| size > (*limit + PREFIX) as u64) {
        return Err(too_large(limit).into());
    }
    annotate(&mut head, exchange, &route, time);
    // Boxed: each has room for itself alone, and a request waits here for most of its time.
    let answer = match matched {
        Some(matched) => {
            let call = Box::pin(call_transcoded(core, exchange, &route, matched, head, body));
            timeout_at(deadline, call).await
        }
        None => timeout_at(deadline, Box::pin(call_grpc(core, exchange, &route, head, body))).await,
    };
    answer.map_err(|_| ErrorCode::DeadlineExceeded)?
}

/// Refuses a head that is larger than it need be, or that does not say once whom it asks.
fn check_head(core: &Core, head: &Parts) -> Result<(), Failure> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > core.config.uri_bytes {
        return Err(ErrorCode::UriTooLong.into());
    }
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let bytes = head.headers.iter().map(size).sum::<usize>();
    if head.headers.len() > core.config.header_count || bytes > core.config.header_bytes {
        return Err(ErrorCode::HeadersTooLarge.into());
    }
    if !has_host(head) {
        let detail =
            Detail::expected("Host", "must be given once, as host or host:port", "host or host:port");
        return Err(Error::invalid(detail).into());
    }
    if !is_framed(&head.headers) {
        let error =
            Error::new(ErrorCode::NotImplemented).message("The body's transfer coding is not understood");
        return Err(error
            .hint("Send the body chunked, or as it is; a Content-Encoding may compress it.")
            .into());
    }
    Ok(())
}

/// Refuses gRPC that is none: over HTTP/1, whose answers have no place for a status behind their messages, and of other messages than
/// Protobuf's.
fn check_grpc(head: &Parts) -> Result<(), Failure> {
    if head.version < Version::HTTP_2 && head.extensions.get::<GrpcWeb>().is_none() {
        let error = Error::new(ErrorCode::NotImplemented).message("gRPC goes over HTTP/2 alone");
        return Err(error.hint("Use HTTP/2, or gRPC-Web or Connect, which go over HTTP/1 as well.").into());
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|text| text.to_str().ok());
    let codec = content_type.and_then(|text| text.split(';').next()?.trim().strip_prefix("application/grpc"));
    if !matches!(codec, Some("" | "+proto")) {
        let error =
            Error::new(ErrorCode::UnsupportedMediaType).message("The messages' media type is not understood");
        return Err(error.hint("Send application/grpc or application/grpc+proto.").into());
    }
    Ok(())
}

/// Whether the body comes as it is, or chunked and nothing else (RFC 9112, section 6.1): hyper looks at the last coding alone.
fn is_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    chunked && codings.next().is_none()
}

/// Whether there is one `Host` that can be one. HTTP/1.1 cannot do without (RFC 9112, section 3.2); HTTP/2 has
/// `:authority` instead.
fn has_host(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => head.version != Version::HTTP_11,
        (Some(host), None) => {
            let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
            // It may be empty, and never holds a user's name.
            host.is_empty() || authority.is_some_and(|authority| !authority.as_str().contains('@'))
        }
        (Some(_), Some(_)) => false,
    }
}

/// Takes `/api` off the path and says whether it was there.
fn strip_prefix(head: &mut Parts) -> &'static str {
    let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let Some(rest) = path.strip_prefix(SECOND).filter(|rest| rest.starts_with('/')) else { return "" };
    let Ok(rest) = rest.parse::<PathAndQuery>() else { return "" };
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(rest);
    // What was a URI is one with a shorter path too.
    head.uri = Uri::from_parts(parts).unwrap_or_default();
    SECOND
}

fn find(core: &Core, grpc: bool, head: &Parts) -> Result<Target, Failure> {
    let path = head.uri.path();
    if grpc {
        if let Some(reads) = core.public.reads(path) {
            return Ok(Target::Public(reads));
        }
        let route = core.routes.grpc(path).ok_or(ErrorCode::NotImplemented)?;
        return Ok(Target::Grpc(Arc::clone(route)));
    }
    if let Some(page) = core.portal.page(path) {
        return Ok(Target::Page(page));
    }
    match core.transcoder.route_head(&head.method, &head.uri, &head.headers) {
        Ok(matched) => {
            let route = match matched.protocol() {
                Protocol::Connect => core.routes.grpc(matched.grpc_path()),
                _ => core.routes.rest(matched.grpc_path(), matched.template()),
            };
            // The transcoder and the table are made from the same descriptors.
            let route = route.ok_or(ErrorCode::RouteNotFound)?;
            Ok(Target::Transcoded(Arc::clone(route), matched))
        }
        Err(error) if head.method == Method::OPTIONS && error.kind == Kind::MethodNotAllowed => {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = http::StatusCode::NO_CONTENT;
            answer.headers_mut().extend(Failure::method_not_allowed(&error.allow.join(", ")).takes);
            Ok(Target::Options(answer))
        }
        Err(error) => Err(translate::failure(&error, None)),
    }
}

/// What a path that is only asked about is called in logs, whichever methods it takes: never by its ids.
fn place(core: &Core, path: &str) -> Option<String> {
    if let Some(page) = core.portal.page(path) {
        return Some(page.name.to_owned());
    }
    let allow = core.transcoder.route(&Method::OPTIONS, path).err()?.allow;
    let mut methods = allow.iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok());
    let matched = methods.find_map(|method| core.transcoder.route(&method, path).ok())?;
    let route = core.routes.rest(matched.grpc_path(), matched.template())?;
    Some(route.name.to_string())
}

/// Who calls. Nobody in particular, where no token is sent for a method that needs none; a token that is sent must be valid.
fn authenticate(
    core: &Core,
    headers: &HeaderMap,
    method: &api::Method,
) -> Result<Option<Arc<Claims>>, Failure> {
    if method.public && !headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    Ok(Some(core.verifier.verify(authn::bearer(headers)?)?))
}

/// Counts the request against its API client's quota, or, where no API client is named, against its user's, or, where nobody is,
/// against its address's.
async fn limit_rate(
    core: &Core,
    exchange: &mut Exchange,
    route: &Route,
    head: &Parts,
) -> Result<(), Failure> {
    if route.method.rate_limit == RateLimit::Exempt {
        return Ok(());
    }
    let key = if let Some(caller) = &exchange.caller {
        let who = caller.client_id.as_deref().map_or(("user", &*caller.sub), |client| ("client", client));
        format!("{}/{}/{}", caller.tenant.as_str(), who.0, who.1)
    } else {
        let peer = head.extensions.get::<Peer>().copied();
        // No tenant has an empty name.
        format!("/address/{}", peer::name(peer, &head.headers, core.config.plaintext_behind_proxy))
    };
    exchange.quota = core.limiter.check(&key).await;
    match exchange.quota {
        Some(decision) if !decision.allowed => {
            let wait = decision.reset;
            Err(Error::new(ErrorCode::RateLimited).retry_after(wait).into())
        }
        _ => Ok(()),
    }
}

/// Writes into the head what the call behind needs: ids, trace, time.
fn annotate(head: &mut Parts, exchange: &Exchange, route: &Arc<Route>, time: Duration) {
    if let Some(token) = head.headers.get_mut(header::AUTHORIZATION) {
        // Whatever prints these headers leaves it out.
        token.set_sensitive(true);
    }
    head.headers.insert(request_id::HEADER, exchange.request_id.to_header());
    exchange.trace.inject(&mut head.headers);
    head.headers.insert(deadline::GRPC_TIMEOUT, deadline::header(time));
    head.extensions.insert(Arc::clone(route));
    head.extensions.insert(exchange.trace.clone());
}

/// The headers that go on to services; nothing else that a caller sends does.
pub(crate) fn is_forwarded(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "traceparent"
            | "tracestate"
            | request_id::HEADER
            | "grpc-timeout"
            | "idempotency-key"
            | "if-match"
            | "prefer"
    )
}

/// gRPC's own, which go on with a call that is gRPC already. Compression is between the caller and us.
fn is_grpc_own(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content-type" | "te" | "user-agent")
}

async fn call_transcoded(
    core: &Core,
    exchange: &Exchange,
    route: &Arc<Route>,
    matched: Matched,
    mut head: Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let path = head.uri.path().to_owned();
    if head.method == Method::HEAD {
        // Answered as GET, so that its headers are GET's; the body is taken off at the end.
        head.method = Method::GET;
    }
    let body = guard(core, exchange, route, &mut head, body)?;
    // Where something is created is told by the answer as it is; after that it is compressed.
    let accepted = route.created.is_some().then(|| accepted_codings(&mut head.headers));
    let mut answer = core.transcoder.call_matched(matched, Request::from_parts(head, body)).await;
    if exchange.connect {
        fault::pace(&mut answer);
        return Ok(answer.map(Body::new));
    }
    if let Some(accepted) = accepted.filter(|_| answer.status().is_success()) {
        answer = headers::created(answer, route, exchange.prefix, &path).await;
        answer = transcode::compress(&accepted, answer, COMPRESS_FROM);
    }
    Ok(answer.map(Body::new))
}

/// Bounds a body on its way to the transcoder, also for what it is when it is decoded.
fn guard(
    core: &Core,
    exchange: &Exchange,
    route: &Route,
    head: &mut Parts,
    body: Body,
) -> Result<Guarded, Failure> {
    let (time, share) = (core.config.body_timeout, Arc::clone(&exchange.share));
    let Some(limit) = route.body_limit else {
        return Ok(Guarded::stream(body, core.config.message_bytes(), Some(time), share));
    };
    head.extensions.insert(BodyLimit(limit));
    // Nobody knows how large a compressed one is: there must be memory for as much as is allowed.
    let compressed = head.headers.contains_key(header::CONTENT_ENCODING) && !body.is_end_stream();
    if compressed {
        share.take(limit)?;
    }
    Ok(Guarded::message(body, limit, if compressed { 0 } else { limit }, time, share))
}

/// Takes out what a request says of the codings that its answer may have.
fn accepted_codings(headers: &mut HeaderMap) -> HeaderMap {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let accepted = values.map(|value| (header::ACCEPT_ENCODING, value.clone())).collect();
    headers.remove(header::ACCEPT_ENCODING);
    accepted
}

/// The messages of a call of gRPC as services take them, and where faults in a stream of them are kept.
async fn received(
    core: &Core,
    exchange: &Exchange,
    limit: Option<usize>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Body, Option<Fault>), Failure> {
    let share = Arc::clone(&exchange.share);
    let Some(limit) = limit else {
        // A stream's messages come when they come.
        let guarded = Guarded::stream(body, usize::MAX, None, Arc::clone(&share));
        return upload(headers, guarded, core.config.message_bytes(), share);
    };
    // A single message is here soon or never.
    let (most, time) = (limit + PREFIX, core.config.body_timeout);
    let guarded = Guarded::message(body, most, most, time, Arc::clone(&share));
    let message = Messages::new(headers, guarded, limit, share)?.only().await?;
    Ok((Body::new(Full::new(message)), None))
}

/// A stream of messages, each of at most so many bytes.
fn upload(
    headers: &HeaderMap,
    body: Guarded,
    limit: usize,
    share: Arc<Share>,
) -> Result<(Body, Option<Fault>), Failure> {
    let upload = Upload::new(Messages::new(headers, body, limit, share)?);
    let fault = upload.fault();
    Ok((Body::new(upload), Some(fault)))
}

async fn call_grpc(
    core: &Core,
    exchange: &Exchange,
    route: &Route,
    head: Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let (body, fault) = received(core, exchange, route.body_limit, &head.headers, body).await?;
    let accepted = packed::accepted(&head.headers);
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for (name, value) in head.headers.iter().filter(|(name, _)| is_forwarded(name) || is_grpc_own(name)) {
        headers.append(name.clone(), value.clone());
    }
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(PathAndQuery::from_static(route.method.path));
    *request.headers_mut() = headers;
    *request.extensions_mut() = head.extensions;
    let answer = core.upstream.clone().oneshot(request).await;
    if let Some(fault) = fault.and_then(|fault| fault.take()) {
        // The service may have made anything of it.
        return Err(fault.into());
    }
    let answer = answer.map_err(|error| translate::of_status(&Status::from_error(error), None))?;
    Ok(packed::pack(answer, accepted))
}

/// Calls a service that anybody may call: health, reflection.
async fn call_public(
    core: &Core,
    exchange: &Exchange,
    reads: Reads,
    mut head: Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let share = Arc::clone(&exchange.share);
    let guarded = Guarded::stream(body, usize::MAX, None, Arc::clone(&share));
    let upload = Upload::new(Messages::new(&head.headers, guarded, PUBLIC_BYTES, share)?.reading(reads));
    let fault = upload.fault();
    head.headers.remove(messages::ENCODING);
    let answer = core.public.call(Request::from_parts(head, Body::new(upload))).await;
    match fault.take() {
        Some(fault) => Err(fault.into()),
        None => Ok(answer.map(|body| Body::new(Told::new(body, fault)))),
    }
}
