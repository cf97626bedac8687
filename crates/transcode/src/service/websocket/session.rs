//! A socket that is open: what the client sends becomes the frames of the call as the service takes them, what the service
//! answers becomes messages as the client takes them. Between the two there is never more than a message each way, and what is read
//! ahead of the service to hear the client.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tonic::Status;
use tower::{Service, ServiceExt as _};

use super::ahead::{Ahead, Part};
use super::life::{Life, Watched};
use crate::builder::Engine;
use crate::error::{BoxError, Error, Kind, Result};
use crate::plan::Selection;
use crate::render::ErrorContext;
use crate::request::Woven;
use crate::rule::RoutePlan;
use crate::service::deadline::Deadline;
use crate::service::frames::Frames;
use crate::service::upload::cancelling;
use crate::service::{Matched, body, headers};

pub(super) type Connection = Watched<TokioIo<hyper::upgrade::Upgraded>>;
type Socket = WebSocketStream<Connection>;
type Sink = tokio::sync::Mutex<SplitSink<Socket, Message>>;

/// How long the client has to take the last messages, and to close on its side.
const GOODBYE: Duration = Duration::from_secs(5);
/// The most that a close frame has room for.
const MAX_REASON: usize = 123;

/// How a session comes to its end.
enum End {
    /// The call is over.
    Call(Result<()>),
    /// The client broke WebSocket's rules.
    Broken(CloseCode, Box<Error>),
    /// The client is gone, or has closed.
    Gone,
}

pub(super) struct Session {
    engine: Arc<Engine>,
    route: Arc<RoutePlan>,
    parts: Arc<Parts>,
    /// The routing header.
    params: Option<HeaderValue>,
    woven: Woven,
    selection: Option<Selection>,
    /// The one message of a method to which the client sends none.
    first: Option<Bytes>,
}

impl Session {
    pub(super) fn new(matched: &Matched, parts: Arc<Parts>, mut woven: Woven) -> Result<Self> {
        let (engine, route) = (matched.engine.clone(), matched.route.clone());
        // What path and query say is all that is known before the first message.
        let params = matched.params(|| woven.frame(0, |_| Ok(())))?;
        let selection = woven.selection.take();
        let first = if route.body == crate::rule::BodyRule::No {
            Some(engine.pack(woven.json_frame(&engine.plans, &route, b"", &engine.parse)?))
        } else {
            None
        };
        Ok(Self { engine, route, parts, params, woven, selection, first })
    }

    /// Runs the call to its end, and closes.
    pub(super) async fn run<S>(mut self, socket: Socket, life: &Life, upstream: S)
    where
        S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
        S::Error: Into<BoxError>,
    {
        let (sink, mut stream) = socket.split();
        let sink = Sink::new(sink);
        let (send, receive) = mpsc::channel(1);
        let first = self.first.take();
        let said = first.is_some();
        if let Some(frame) = first {
            // There is room for one.
            let _ = send.try_send(Part::Last(Some(frame)));
        }
        let end = {
            let mut up = pin!(self.up(&mut stream, said, send, &sink, life));
            let mut down = pin!(self.down(&sink, receive, upstream));
            let mut silent = pin!(self.keep_alive(&sink, life));
            tokio::select! {
                // What the call itself says of its end goes first.
                biased;
                end = &mut down => end,
                end = &mut up => end,
                () = &mut silent => End::Gone,
            }
        };
        // Whoever does not take the goodbye goes without.
        let _ = tokio::time::timeout(GOODBYE, self.close(sink.into_inner(), stream, end)).await;
    }

    /// Takes what the client sends, which may have said everything. It comes to an end only where the session does.
    async fn up(
        &self,
        stream: &mut SplitStream<Socket>,
        mut said: bool,
        send: mpsc::Sender<Part>,
        sink: &Sink,
        life: &Life,
    ) -> End {
        let mut ahead = Ahead::default();
        loop {
            life.listen(ahead.has_room());
            let message = tokio::select! {
                biased;
                permit = send.reserve(), if !ahead.is_empty() => {
                    match permit {
                        Ok(permit) => if let Some(part) = ahead.pop() { permit.send(part) },
                        // Who takes no more has ended the call, or will.
                        Err(_) => ahead = Ahead::default(),
                    }
                    continue;
                }
                message = stream.next(), if ahead.has_room() => message,
            };
            let message = match message {
                None | Some(Ok(Message::Close(_))) => return End::Gone,
                Some(Ok(message)) => message,
                Some(Err(error)) => return broken(&error),
            };
            let is_end = match &message {
                Message::Text(text) => text.is_empty(),
                Message::Binary(_) => false,
                // The socket keeps each pong that the client has no room for: first it takes this one.
                Message::Ping(_) => match sink.lock().await.flush().await {
                    Ok(()) => continue,
                    Err(_) => return End::Gone,
                },
                _ => continue,
            };
            if said {
                if is_end {
                    continue;
                }
                let error = Error::boxed(Kind::Body, "a message after the last one");
                return End::Call(Err(error));
            }
            let more = self.route.rpc.is_client_streaming();
            let part = if is_end {
                Part::Last(None)
            } else {
                match self.frame(&message) {
                    Ok(frame) if more => Part::Frame(frame),
                    Ok(frame) => Part::Last(Some(frame)),
                    Err(end) => return end,
                }
            };
            ahead.push(part);
            said = is_end || !more;
        }
    }

    /// The frame of a message.
    fn frame(&self, message: &Message) -> std::result::Result<Bytes, End> {
        let Engine { plans, parse, .. } = &*self.engine;
        let frame = match message {
            Message::Text(text) if !self.route.raw_body => {
                self.woven.json_frame(plans, &self.route, text.as_bytes(), parse)
            }
            Message::Binary(bytes) if self.route.raw_body => {
                self.woven.raw_frame(plans, &self.route, bytes, b"application/octet-stream")
            }
            Message::Text(text) => {
                self.woven.raw_frame(plans, &self.route, text.as_bytes(), b"text/plain; charset=utf-8")
            }
            _ => {
                let error = Error::boxed(Kind::UnsupportedMediaType, "JSON comes in text messages");
                return Err(End::Broken(CloseCode::Unsupported, error));
            }
        };
        frame.map(|frame| self.engine.pack(frame)).map_err(|error| End::Call(Err(error)))
    }

    /// Makes the call, and gives the client what it answers.
    async fn down<S>(&self, sink: &Sink, parts: mpsc::Receiver<Part>, upstream: S) -> End
    where
        S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
        S::Error: Into<BoxError>,
    {
        let mut request = Request::new(tonic::body::Body::new(StreamBody::new(frames(parts))));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = http::Uri::from(self.route.grpc_path.clone());
        *request.headers_mut() = headers::metadata(&self.parts.headers, &self.engine, &self.route);
        if let Some(params) = &self.params {
            request.headers_mut().insert(crate::routing::HEADER, params.clone());
        }
        *request.extensions_mut() = self.parts.extensions.clone();
        let deadline = Deadline::of(request.headers());
        let response = match upstream.oneshot(request).await {
            Ok(response) => response,
            Err(error) => return End::Call(Err(Error::transport(error.into()))),
        };
        match self.answer(sink, response, deadline).await {
            Ok(true) => End::Call(Ok(())),
            Ok(false) => End::Gone,
            Err(error) => End::Call(Err(error)),
        }
    }

    /// Sends the messages of an answer; false if nobody takes them.
    async fn answer(
        &self,
        sink: &Sink,
        response: Response<tonic::body::Body>,
        deadline: Deadline,
    ) -> Result<bool> {
        let (head, body) = response.into_parts();
        headers::check(&head)?;
        let mut frames = Frames::new(body, &head.headers, self.engine.limits.response_bytes, deadline)?;
        if !self.route.rpc.is_server_streaming() {
            let (message, _) = frames.one(&head.headers).await?;
            return Ok(sink.lock().await.send(self.message(&message)?).await.is_ok());
        }
        while let Some(message) = poll_fn(|cx| frames.poll_message(cx)).await? {
            if sink.lock().await.send(self.message(&message)?).await.is_err() {
                return Ok(false);
            }
        }
        frames.status(&head.headers).map(|_| true)
    }

    fn message(&self, message: &Bytes) -> Result<Message> {
        let (engine, route) = (&self.engine, &self.route);
        if route.raw_response {
            return body::raw(&engine.plans, route, message).map(|(_, bytes)| Message::Binary(bytes));
        }
        let mut json = Vec::with_capacity(engine.plans.room(route.output, message.len()));
        body::append_json(engine, route, self.selection.as_ref(), message, &mut json)?;
        text(json.into())
    }

    /// Asks a silent client for a sign of life; ends when there is none.
    async fn keep_alive(&self, sink: &Sink, life: &Life) {
        let Some(patience) = self.engine.websocket.keep_alive else { return pending().await };
        loop {
            let silence = life.silence();
            if silence < patience {
                tokio::time::sleep(patience.saturating_sub(silence)).await;
                continue;
            }
            let asked = Instant::now();
            let ask = async { sink.lock().await.send(Message::Ping(Bytes::new())).await };
            tokio::select! {
                sent = ask => if sent.is_err() { return },
                // There is no room for it, and none is made.
                () = life.ends(patience) => return,
            }
            tokio::time::sleep(patience).await;
            if life.is_heard() && !life.since(asked) {
                return;
            }
        }
    }

    /// Tells the end, and waits for the client's.
    async fn close(&self, mut sink: SplitSink<Socket, Message>, mut stream: SplitStream<Socket>, end: End) {
        let (code, error) = match end {
            End::Gone => {
                // The answer to the client's close, where there is one to give.
                let _ = sink.close().await;
                return;
            }
            End::Call(Ok(())) => (CloseCode::Normal, None),
            End::Call(Err(error)) => (CloseCode::from(4000 + error.code as u16), Some(error)),
            End::Broken(code, error) => (code, Some(error)),
        };
        let mut reason = "";
        if let Some(error) = &error {
            let context = ErrorContext { plans: Some(&self.engine.plans), ..self.route.context(&self.parts) };
            if let Ok(message) = text(self.engine.renderer.render_in_stream(&context, error)) {
                // A client that is gone is found out by the next line.
                let _ = sink.feed(message).await;
            }
            reason = &error.message[..error.message.floor_char_boundary(MAX_REASON)];
        }
        let frame = CloseFrame { code, reason: reason.into() };
        if sink.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        // What it still sends is nobody's; but a connection that is closed on unread bytes takes back what was said last.
        while let Some(Ok(_)) = stream.next().await {}
        if let Ok(mut socket) = sink.reunite(stream) {
            let (connection, mut nobodys) = (socket.get_mut(), [0; 1 << 10]);
            let _ = connection.shutdown().await;
            while connection.read(&mut nobodys).await.is_ok_and(|count| count > 0) {}
        }
    }
}

/// What the service gets, as far as it comes.
fn frames(
    parts: mpsc::Receiver<Part>,
) -> impl futures::Stream<Item = std::result::Result<Frame<Bytes>, Status>> {
    futures::stream::unfold(Some(parts), async |parts| {
        let mut parts = parts?;
        match parts.recv().await {
            Some(Part::Frame(frame)) => Some((Ok(Frame::data(frame)), Some(parts))),
            Some(Part::Last(frame)) => frame.map(|frame| (Ok(Frame::data(frame)), None)),
            None => Some((Err(cancelling(Status::cancelled("the client is gone"))), None)),
        }
    })
}

fn text(bytes: Bytes) -> Result<Message> {
    let text = bytes.try_into();
    text.map(Message::Text).map_err(|_| Error::boxed(Kind::BadResponse, "the service's answer is not UTF-8"))
}

/// What an error of the socket means.
fn broken(error: &SocketError) -> End {
    let (code, kind, message) = match error {
        SocketError::Capacity(_) => {
            (CloseCode::Size, Kind::BodyTooLarge, "a message is larger than the limit")
        }
        SocketError::Utf8(_) => (CloseCode::Invalid, Kind::Body, "a text message is not UTF-8"),
        SocketError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => return End::Gone,
        SocketError::Protocol(_) => {
            (CloseCode::Protocol, Kind::Body, "a frame breaks the rules of WebSocket")
        }
        _ => return End::Gone,
    };
    End::Broken(code, Error::boxed(kind, message))
}
