//! Streams: envelopes in, frames out, and back, each as it arrives and as the other side takes it. Nothing runs beside the
//! bodies, so that dropping the answer ends the call.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Frame;
use tower::Service;

use super::envelopes::{Envelopes, Upload, seal};
use super::{ACCEPT_ENCODING, CONTENT_ENCODING, Call, Codec, Framing, error, sent_coding};
use crate::coding::{Coding, Decoded};
use crate::error::{BoxError, Error, Kind, Result};
use crate::framing::{COMPRESSED, PREFIX};
use crate::service::frames::Frames;
use crate::service::upload::Fault;
use crate::service::{Body, negotiate};

/// Messages that are there already share a chunk up to about this many bytes.
const CHUNK: usize = 16 << 10;

pub(super) async fn answer<S, B>(call: Call, codec: Codec, upstream: S, body: B) -> Response<Body>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let call = Arc::new(call);
    let answer = run(call.clone(), codec, upstream, body).await;
    answer.unwrap_or_else(|error| {
        let framing = Framing::Stream(codec);
        error::stream(&call.engine, &call.context(), framing, &HeaderMap::new(), &error)
    })
}

async fn run<S, B>(call: Arc<Call>, codec: Codec, upstream: S, body: B) -> Result<Response<Body>>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    call.check_version()?;
    let sent = sent_coding(&call.parts.headers, &CONTENT_ENCODING)?;
    let coding = call.answer_coding(&ACCEPT_ENCODING, sent);
    // HTTP's own coding of the whole may lie around the envelopes.
    let body = Decoded::new(body, negotiate::body_coding(&call.parts.headers)?);
    let mut envelopes = Envelopes::new(body, sent, call.engine.limits_of(&call.parts).request_bytes);
    let (mut fault, mut params) = (None, None);
    let body = if call.route.rpc.is_client_streaming() {
        let upload = Upload::new(call.clone(), codec, envelopes);
        fault = Some(upload.fault());
        tonic::body::Body::new(upload)
    } else {
        let (body, routing) = call.single(codec, &one(&mut envelopes).await?)?;
        params = routing;
        body
    };
    let told = |error| fault.as_ref().and_then(Fault::take).unwrap_or(error);
    let (initial, frames) = call.upstream(upstream, body, params).await.map_err(told)?;
    let mut response = Response::new(Body::empty());
    error::leading(&initial, response.headers_mut());
    response.headers_mut().insert(header::CONTENT_TYPE, Framing::Stream(codec).content_type());
    if let Some(coding) = coding {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    let answer = Answer { call, codec, coding, fault, frames, initial, messages: 0, ended: false };
    *response.body_mut() = Body::stream(answer);
    Ok(response)
}

/// The one message of a request that is no stream.
async fn one<B>(envelopes: &mut Envelopes<B>) -> Result<Bytes>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let message = poll_fn(|cx| envelopes.poll_message(cx)).await?;
    let more = match &message {
        Some(_) => poll_fn(|cx| envelopes.poll_message(cx)).await?,
        None => None,
    };
    if let (Some(message), None) = (message, more) {
        return Ok(message);
    }
    let mut error = Error::boxed(Kind::Body, "the method takes one message");
    // As other servers of gRPC and Connect have it.
    error.code = tonic::Code::Unimplemented;
    Err(error)
}

/// A stream on its way to the client.
struct Answer {
    call: Arc<Call>,
    codec: Codec,
    coding: Option<Coding>,
    fault: Option<Fault>,
    frames: Frames,
    initial: HeaderMap,
    messages: usize,
    ended: bool,
}

impl Answer {
    fn message(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let printed = seal(out, |out| self.call.print(self.codec, message, out));
        if printed.is_err() {
            out.truncate(start);
            return printed;
        }
        if let Some(coded) = self.call.coded(self.coding, &out[start + PREFIX..]) {
            out.truncate(start);
            seal(out, |out| out.extend_from_slice(&coded));
            out[start] = COMPRESSED;
        }
        self.messages += 1;
        Ok(())
    }

    /// The metadata at the end of a call that went well.
    fn finish(&mut self) -> Result<HeaderMap> {
        let trailers = self.frames.status(&self.initial)?;
        if self.messages != 1 && !self.call.route.rpc.is_server_streaming() {
            return Err(Error::boxed(Kind::BadResponse, "the service did not answer with one message"));
        }
        Ok(trailers)
    }

    fn end(&mut self, result: Result<HeaderMap>, out: &mut Vec<u8>) {
        self.ended = true;
        // A fault in what the client sends ends the call in many ways, as a success too where the service overlooks it: the fault
        // itself is what to tell.
        let result = match self.fault.as_ref().and_then(Fault::take) {
            Some(fault) => Err(fault),
            None => result,
        };
        match result {
            Ok(trailers) => error::end(None, &trailers, out),
            Err(error) => error::failure(&self.call.engine, &self.call.context(), &error, out),
        }
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
        let mut out = Vec::new();
        while !this.ended && out.len() < CHUNK {
            let result = match this.frames.poll_message(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(Some(message))) => match this.message(&message, &mut out) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Poll::Ready(Ok(None)) => this.finish(),
                Poll::Ready(Err(error)) => Err(error),
            };
            this.end(result, &mut out);
        }
        if out.is_empty() { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::data(out.into())))) }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
