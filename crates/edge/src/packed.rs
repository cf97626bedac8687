//! The messages of a gRPC answer, compressed on their way to a caller who takes that.

use crate::messages::prefix;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use transcode::framing::{COMPRESSED, PREFIX, head};
use transcode::{Coding, coding};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// What a side takes.
pub(crate) const ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Messages below this size have nothing to gain.
const SMALLEST: usize = 1 << 10;
/// Messages above this size go as they are: to compress one, all of it must be at hand.
const LARGEST: usize = 4 << 20;

/// The compression of an answer to a request with these headers: of those that its caller takes, the one that we like best.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let names =
        headers.get_all(ACCEPT).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let taken: Vec<Coding> = names.filter_map(|name| Coding::of(name.trim())).collect();
    Coding::ALL.into_iter().find(|coding| taken.contains(coding))
}

/// Compresses an answer, and says what we take.
pub(crate) fn pack(mut answer: Response<Body>, coding: Option<Coding>) -> Response<Body> {
    answer.headers_mut().insert(ACCEPT, HeaderValue::from_static(Coding::NAMES));
    // A status at the head is an answer without messages.
    let Some(coding) = coding.filter(|_| !answer.headers().contains_key("grpc-status")) else {
        return answer;
    };
    answer.headers_mut().insert(ENCODING, HeaderValue::from_static(coding.name()));
    answer.map(|inner| {
        let buffer = BytesMut::new();
        Body::new(Packed { inner: Some(inner), coding, buffer, passing: 0, last: None })
    })
}

struct Packed {
    /// Until it has ended.
    inner: Option<Body>,
    coding: Coding,
    buffer: BytesMut,
    /// How many bytes go on as they are, before there is a message to look at.
    passing: usize,
    /// What came behind all messages.
    last: Option<Result<Frame<Bytes>, Status>>,
}

impl Packed {
    /// What of the buffer can go.
    fn next(&mut self) -> Option<Bytes> {
        if self.passing == 0 {
            self.passing = self.plain();
        }
        if self.passing > 0 {
            let bytes = self.buffer.split_to(self.passing.min(self.buffer.len())).freeze();
            self.passing -= bytes.len();
            return Some(bytes).filter(|bytes| !bytes.is_empty());
        }
        let (_, length) = head(&self.buffer)?;
        if self.buffer.len() < PREFIX + length {
            self.buffer.reserve(PREFIX + length - self.buffer.len());
            return None;
        }
        let message = self.buffer.split_to(PREFIX + length).freeze();
        Some(self.packed(&message[PREFIX..]).unwrap_or(message))
    }

    /// How many bytes come before a message that is to be compressed: of messages that go as they are.
    fn plain(&self) -> usize {
        let mut bytes = 0;
        while let Some((flag, length)) = self.buffer.get(bytes..).and_then(head) {
            if flag == 0 && (SMALLEST..=LARGEST).contains(&length) {
                break;
            }
            bytes += PREFIX + length;
        }
        bytes
    }

    /// The message compressed, if it pays.
    fn packed(&self, message: &[u8]) -> Option<Bytes> {
        let coded = coding::encode(self.coding, message).ok().filter(|coded| coded.len() < message.len())?;
        let mut framed = BytesMut::with_capacity(PREFIX + coded.len());
        prefix(COMPRESSED, coded.len(), &mut framed);
        framed.extend_from_slice(&coded);
        Some(framed.freeze())
    }
}

impl http_body::Body for Packed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.next() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let Some(inner) = &mut this.inner else {
                // A message that was cut short is for its reader to find.
                let rest = this.buffer.split().freeze();
                let rest = (!rest.is_empty()).then(|| Ok(Frame::data(rest)));
                return Poll::Ready(rest.or_else(|| this.last.take()));
            };
            match ready!(Pin::new(inner).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => {
                    let data = frame.into_data().unwrap_or_default();
                    if this.buffer.is_empty() {
                        this.buffer = BytesMut::from(data);
                    } else {
                        this.buffer.extend_from_slice(&data);
                    }
                }
                last => (this.inner, this.last) = (None, last),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none() && self.buffer.is_empty() && self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    /// Messages with what stands before each.
    fn framed(messages: &[Vec<u8>]) -> Bytes {
        let mut out = BytesMut::new();
        for message in messages {
            prefix(0, message.len(), &mut out);
            out.extend_from_slice(message);
        }
        out.freeze()
    }

    /// What comes out of an answer that comes in pieces of this size.
    fn through(answer: &Bytes, size: usize) -> Bytes {
        let pieces: Vec<_> = answer
            .chunks(size)
            .map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let inner = Some(Body::new(StreamBody::new(futures::stream::iter(pieces))));
        let packed = Packed { inner, coding: Coding::Gzip, buffer: BytesMut::new(), passing: 0, last: None };
        futures::executor::block_on(packed.collect()).unwrap().to_bytes()
    }

    fn decoded(mut answer: Bytes) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some((flag, length)) = head(&answer) {
            let _ = answer.split_to(PREFIX);
            let message = answer.split_to(length);
            messages.push(match flag {
                COMPRESSED => coding::decode(Coding::Gzip, message, 1 << 24).unwrap(),
                _ => message.to_vec(),
            });
        }
        assert!(answer.is_empty());
        messages
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_split(
            messages in prop::collection::vec((any::<u8>(), 0_usize..3000), 0..8),
            size in 1_usize..4000,
        ) {
            let messages: Vec<Vec<u8>> = messages.into_iter().map(|(byte, length)| vec![byte; length]).collect();
            let plain = framed(&messages);
            let packed = through(&plain, size);
            prop_assert!(packed.len() <= plain.len());
            prop_assert_eq!(decoded(packed), messages);
        }

        #[test]
        fn what_is_cut_short_or_no_message_goes_on_as_it_is(bytes in prop::collection::vec(any::<u8>(), 0..40), size in 1_usize..40) {
            // Too short to hold a message that is worth it.
            let bytes = Bytes::from(bytes);
            prop_assert_eq!(through(&bytes, size), bytes);
        }
    }

    #[test]
    fn a_message_that_is_too_large_to_hold_goes_on_as_it_comes() {
        let plain = framed(&[vec![0; LARGEST + 1], vec![0; LARGEST]]);
        let packed = through(&plain, 1 << 20);
        let first = PREFIX + LARGEST + 1;
        assert_eq!(packed[..first], plain[..first]);
        assert!(packed.len() < first + 10_000);
    }

    #[test]
    fn of_what_a_caller_takes_we_choose() {
        for (names, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("identity,deflate,gzip", Some(Coding::Gzip)),
            ("gzip, zstd", Some(Coding::Zstd)),
            ("identity", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(names))]);
            assert_eq!(accepted(&headers), expected, "{names}");
        }
        assert_eq!(accepted(&HeaderMap::new()), None);
    }
}
