//! The messages of a gRPC request, cut out of its body: each of them whole, within the limit, and as it was before it was compressed.
//! What is no message is found here, and told in our words; services see none of it.

use crate::body::{Guarded, too_large};
use crate::budget::Share;
use crate::fault::Failure;
use crate::public::Reads;
use crate::translate;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use riskmesh_core::{Detail, Error};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use transcode::framing::{COMPRESSED, Cutter, PREFIX};
use transcode::{Coding, coding};

/// How the messages are compressed that are.
pub(crate) const ENCODING: &str = "grpc-encoding";

const NO_MESSAGE: &str = "has a message that is not one of the method's";

/// Reads messages from a body.
pub(crate) struct Messages {
    body: Guarded,
    buffer: Cutter,
    coding: Option<Coding>,
    limit: usize,
    reads: Option<Reads>,
    share: Arc<Share>,
    ended: bool,
}

impl Messages {
    /// The messages of a request with these headers, each of at most `limit` bytes, both as it comes and decoded.
    ///
    /// # Errors
    /// A compression that is not ours.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: Guarded,
        limit: usize,
        share: Arc<Share>,
    ) -> Result<Self, Failure> {
        let coding = coding(headers)?;
        Ok(Self { body, buffer: Cutter::default(), coding, limit, reads: None, share, ended: false })
    }

    /// The same, where what this does not read is no message.
    pub(crate) fn reading(self, reads: Reads) -> Self {
        Self { reads: Some(reads), ..self }
    }

    /// The only message, with its prefix.
    ///
    /// # Errors
    /// What is wrong with it, with what comes after it, or with the body.
    pub(crate) async fn only(mut self) -> Result<Bytes, Error> {
        let message = poll_fn(|cx| self.poll_message(cx)).await?;
        let more = match &message {
            Some(_) => poll_fn(|cx| self.poll_message(cx)).await?,
            None => None,
        };
        match (message, more) {
            (Some(message), None) => Ok(message),
            _ => Err(invalid("must be one message: the method takes no more and no less")),
        }
    }

    /// The next message, with its prefix; `None` at the end of the body.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            if let Some(message) = self.buffered()? {
                let read = self.reads.is_none_or(|reads| reads(&message[PREFIX..]));
                return Poll::Ready(if read { Ok(Some(message)) } else { Err(invalid(NO_MESSAGE)) });
            }
            if self.ended {
                let whole = self.buffer.is_empty();
                let end = if whole { Ok(None) } else { Err(invalid("ends within a message")) };
                return Poll::Ready(end);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.ended = true,
                Some(Err(status)) => return Poll::Ready(Err(translate::unread(Some(&status)))),
                Some(Ok(frame)) => {
                    // Trailers of a request say nothing to us.
                    if let Ok(data) = frame.into_data() {
                        self.buffer.push(data);
                    }
                }
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((flag, length)) = self.buffer.head() else { return Ok(None) };
        if flag > COMPRESSED {
            return Err(invalid("has a message with an unknown flag"));
        }
        if length > self.limit {
            return Err(too_large(self.limit));
        }
        let Some(message) = self.buffer.cut(length) else { return Ok(None) };
        if flag == 0 {
            return Ok(Some(message));
        }
        let Some(coding) = self.coding else {
            return Err(invalid("has a compressed message, and grpc-encoding names no compression"));
        };
        self.decoded(coding, message.slice(PREFIX..)).map(Some)
    }

    /// The message as it was before it was compressed. Nobody knows how large that is: there must be memory for as much as is allowed.
    fn decoded(&self, coding: Coding, message: Bytes) -> Result<Bytes, Error> {
        self.share.take(self.limit)?;
        let coded = message.len();
        let message = coding::decode(coding, message, self.limit).map_err(|error| match error {
            coding::Error::TooLarge(limit) => too_large(limit),
            error => invalid(format!("has a message that does not decode: {error}")),
        })?;
        self.share.give((self.limit + coded).saturating_sub(message.len()));
        let mut framed = BytesMut::with_capacity(PREFIX + message.len());
        prefix(0, message.len(), &mut framed);
        framed.extend_from_slice(&message);
        Ok(framed.freeze())
    }
}

/// Writes what stands before a message. Its length is within limits far below four gigabytes.
pub(crate) fn prefix(flag: u8, length: usize, out: &mut BytesMut) {
    out.put_u8(flag);
    out.put_u32(length as u32);
}

/// The compression that a request names.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Failure> {
    let mut names = headers.get_all(ENCODING).iter();
    match (names.next().map(|name| name.to_str().unwrap_or("?")), names.next()) {
        (None | Some("identity"), None) => Ok(None),
        (Some(name), None) => Coding::of(name).map(Some).ok_or_else(Failure::message_coding),
        (_, Some(_)) => Err(Failure::message_coding()),
    }
}

fn invalid(issue: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    let detail = Detail::expected("body", issue, "messages of gRPC's framing");
    let message = format!("The request body {}", detail.issue);
    Error::invalid(detail).message(message)
}

/// What was wrong with what a caller streams, for whoever answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<Error>>>);

impl Fault {
    /// It, if there was something.
    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The answer to a call whose caller streams: where there was a fault, that is its end, whatever the service made of it.
pub(crate) struct Told {
    body: Body,
    fault: Fault,
    ended: bool,
}

impl Told {
    pub(crate) fn new(body: Body, fault: Fault) -> Self {
        Self { body, fault, ended: false }
    }
}

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.as_ref().is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_data)) {
            return Poll::Ready(frame);
        }
        self.ended = true;
        Poll::Ready(match self.fault.take() {
            None => frame,
            Some(fault) => {
                let mut trailers = HeaderMap::new();
                Some(Status::from(&fault).add_header(&mut trailers).map(|()| Frame::trailers(trailers)))
            }
        })
    }
}

/// The body of a call whose caller streams: its messages as they come and as the service takes them.
pub(crate) struct Upload {
    messages: Messages,
    fault: Fault,
    ended: bool,
}

impl Upload {
    pub(crate) fn new(messages: Messages) -> Self {
        Self { messages, fault: Fault::default(), ended: false }
    }

    /// Where a fault is kept: the service that it is told to makes of it what it likes.
    pub(crate) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.messages.poll_message(cx));
        self.ended = !matches!(next, Ok(Some(_)));
        Poll::Ready(match next {
            Ok(message) => message.map(|message| {
                // The next one takes its place.
                self.messages.share.give(message.len());
                Ok(Frame::data(message))
            }),
            Err(error) => {
                let status = Status::from(&error);
                *self.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(status))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::budget::Budget;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;
    use telemetry::Metrics;

    const LIMIT: usize = 5000;

    /// The messages of a body that comes in pieces of this size, or what is wrong with it; and what is still taken for it.
    fn read(body: &[u8], size: usize, encoding: &str) -> (Result<Bytes, Error>, usize) {
        let pieces: Vec<_> = body
            .chunks(size)
            .map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let body = Body::new(StreamBody::new(futures::stream::iter(pieces)));
        let metrics = Metrics::new();
        let share = Budget::new(1 << 20, &metrics).share();
        let headers = HeaderMap::from_iter([(ENCODING.parse().unwrap(), encoding.parse().unwrap())]);
        let guarded = Guarded::stream(body, usize::MAX, None, Arc::clone(&share));
        let upload = Upload::new(Messages::new(&headers, guarded, LIMIT, share).unwrap());
        let fault = upload.fault();
        let read = futures::executor::block_on(upload.collect()).map(http_body_util::Collected::to_bytes);
        let text = metrics.encode();
        let taken =
            text.lines().find_map(|line| line.strip_prefix("riskmesh_edge_in_flight_bytes{} ")).unwrap();
        (read.map_err(|_| fault.take().expect("the fault is kept")), taken.parse().unwrap())
    }

    fn framed(messages: &[Vec<u8>], encoded: Option<Coding>) -> Bytes {
        let mut out = BytesMut::new();
        for message in messages {
            let (flag, message) = match encoded {
                Some(coding) => (COMPRESSED, coding::encode(coding, message).unwrap()),
                None => (0, message.clone()),
            };
            prefix(flag, message.len(), &mut out);
            out.extend_from_slice(&message);
        }
        out.freeze()
    }

    #[test]
    fn a_fault_is_the_end_of_an_answer_that_has_begun() {
        let answer = || {
            let frames = [
                Frame::data(Bytes::from_static(b"x")),
                Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), 0.into())])),
            ];
            Body::new(StreamBody::new(futures::stream::iter(frames.map(Ok::<_, Status>))))
        };
        for (fault, code) in [(None, "0"), (Some(invalid("is bad")), "3")] {
            let fault = Fault(Arc::new(Mutex::new(fault)));
            let answer = futures::executor::block_on(Told::new(answer(), fault).collect()).unwrap();
            assert_eq!(answer.trailers().unwrap()["grpc-status"], code);
            assert_eq!(answer.to_bytes(), "x");
        }
        // It is told even where the service says nothing at the end.
        let fault = Fault(Arc::new(Mutex::new(Some(invalid("is bad")))));
        let answer = futures::executor::block_on(Told::new(Body::empty(), fault).collect()).unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-message"], "The%20request%20body%20is%20bad");
    }

    proptest! {
        #[test]
        fn messages_are_read_however_they_are_split_and_give_back_what_they_took(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..LIMIT), 0..5),
            size in 1_usize..6000,
            coding in prop::option::of(prop::sample::select(&Coding::ALL[..])),
        ) {
            // What does not compress may grow a little.
            let fits = |message: &Vec<u8>| message.len() < LIMIT - 100;
            let messages: Vec<Vec<u8>> = messages.into_iter().filter(fits).collect();
            let (read, taken) = read(&framed(&messages, coding), size, coding.map_or("identity", Coding::name));
            prop_assert_eq!(read.unwrap(), framed(&messages, None));
            prop_assert_eq!(taken, 0);
        }

        #[test]
        fn a_body_that_is_cut_short_is_told_as_one(length in 1_usize..100, at in any::<prop::sample::Index>(), size in 1_usize..50) {
            let body = framed(&[vec![7; length]], None);
            let cut = at.index(body.len());
            let (read, _) = read(&body[..cut], size, "identity");
            match read {
                Ok(bytes) => prop_assert!(cut == 0 && bytes.is_empty()),
                Err(error) => prop_assert_eq!(error.message, "The request body ends within a message"),
            }
        }

        #[test]
        fn any_bytes_are_messages_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..50) {
            let _ = read(&body, size, "gzip");
        }
    }
}
