//! Content codings: gzip, brotli and zstd, undone and applied in bounded steps.
//!
//! What is decoded is handed out piece by piece as it is asked for, so that a few bytes that stand for gigabytes cost no
//! more than the limit of whoever reads them. zstd windows are at most 8 MiB (RFC 9659).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use compression_codecs::brotli::params::EncoderParams as BrotliParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{
    BrotliDecoder, BrotliEncoder, DecodeV2, EncodeV2, GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder,
};
use http_body::Frame;

use crate::error::BoxError;

/// Bytes that one step gives out.
const STEP: usize = 16 << 10;
/// The largest window of a zstd frame, as a power of two: 8 MiB.
const ZSTD_WINDOW: u32 = 23;
/// What libzstd says of a larger one; it gives no more than this text.
const ZSTD_WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";
/// Quality of what is coded on the fly: most of the gain for a part of the cost.
const BROTLI_QUALITY: i32 = 4;
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: i32 = 5;

/// How bytes are coded on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `gzip` (RFC 1952); `x-gzip` is read as the same.
    Gzip,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl Coding {
    /// The names of all, as headers list them.
    pub const NAMES: &str = "zstd, br, gzip";

    /// All of them, the one preferred by us first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The coding of a name as `Content-Encoding` or `grpc-encoding` has it.
    pub fn of(name: &str) -> Option<Self> {
        let is = |text: &str| name.eq_ignore_ascii_case(text);
        match () {
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("br") => Some(Self::Brotli),
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }

    /// Its name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Bytes that are not in the coding that they are said to be in, or that are more than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They do not decode, or end too early.
    #[error("the bytes are not {}", .0.name())]
    Malformed(Coding),
    /// They are zstd, and can be decoded only with more memory at hand than a decoder need have (RFC 9659).
    #[error("its zstd window is larger than 8 MiB")]
    Window,
    /// Decoded they are more than allowed.
    #[error("decoded the bytes are more than {0}")]
    TooLarge(usize),
}

/// Undoes a coding.
pub(crate) struct Decoder {
    coding: Coding,
    codec: Box<dyn DecodeV2 + Send>,
    /// The end of a member was read. gzip and zstd may go on with another one.
    at_end: bool,
    begun: bool,
}

impl Decoder {
    pub(crate) fn new(coding: Coding) -> Self {
        let codec: Box<dyn DecodeV2 + Send> = match coding {
            Coding::Gzip => Box::new(GzipDecoder::new()),
            Coding::Brotli => Box::new(BrotliDecoder::new()),
            Coding::Zstd => {
                Box::new(ZstdDecoder::new_with_params(&[DParameter::window_log_max(ZSTD_WINDOW)]))
            }
        };
        Self { coding, codec, at_end: false, begun: false }
    }

    /// Decodes what fits into one step; nothing when all of the input is taken and more is needed.
    pub(crate) fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, Error> {
        let coding = self.coding;
        let malformed = |error| malformed(coding, &error);
        let mut out = vec![0; STEP];
        let mut given = WriteBuffer::new_initialized(&mut out);
        loop {
            if self.at_end {
                if input.is_empty() {
                    break;
                }
                if coding == Coding::Brotli {
                    return Err(Error::Malformed(coding));
                }
                self.codec.reinit().map_err(malformed)?;
                self.at_end = false;
            }
            if input.is_empty() && coding == Coding::Gzip {
                // Inflate takes it for an error if there is neither input nor anything left to give out.
                self.codec.flush(&mut given).map_err(malformed)?;
                break;
            }
            self.begun |= !input.is_empty();
            let mut taken = PartialBuffer::new(&input[..]);
            let before = given.written_len();
            self.at_end = self.codec.decode(&mut taken, &mut given).map_err(malformed)?;
            let used = taken.written_len();
            input.advance(used);
            if given.has_no_spare_space() || used == 0 && given.written_len() == before && !self.at_end {
                break;
            }
        }
        let length = given.written_len();
        out.truncate(length);
        Ok(out)
    }

    /// Whether the input may end here. No bytes at all are the coding of nothing.
    pub(crate) fn is_whole(&self) -> bool {
        self.at_end || !self.begun
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("coding", &self.coding).finish_non_exhaustive()
    }
}

fn malformed(coding: Coding, error: &std::io::Error) -> Error {
    let window = coding == Coding::Zstd && error.to_string().contains(ZSTD_WINDOW_TOO_LARGE);
    if window { Error::Window } else { Error::Malformed(coding) }
}

/// Applies a coding.
pub(crate) struct Encoder(Box<dyn EncodeV2 + Send>);

impl Encoder {
    pub(crate) fn new(coding: Coding) -> Self {
        Self(match coding {
            Coding::Gzip => Box::new(GzipEncoder::new(Level::Precise(GZIP_LEVEL).into())),
            Coding::Brotli => {
                let params = BrotliParams::default().quality(Level::Precise(BROTLI_QUALITY));
                Box::new(BrotliEncoder::new(params))
            }
            Coding::Zstd => Box::new(ZstdEncoder::new(ZSTD_LEVEL)),
        })
    }

    /// Codes bytes so that what is given out decodes to all of them.
    pub(crate) fn flush(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        self.encode(bytes, out)?;
        Self::drain(out, |given| self.0.flush(given))
    }

    /// The last bytes.
    pub(crate) fn finish(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        self.encode(bytes, out)?;
        Self::drain(out, |given| self.0.finish(given))
    }

    fn encode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        let mut taken = PartialBuffer::new(bytes);
        while !taken.unwritten().is_empty() {
            let mut once = true;
            Self::drain(out, |given| {
                self.0.encode(&mut taken, given)?;
                Ok(!std::mem::replace(&mut once, false) || !given.has_no_spare_space())
            })?;
        }
        Ok(())
    }

    /// Gives room until there is nothing more to give out.
    fn drain(
        out: &mut Vec<u8>,
        mut step: impl FnMut(&mut WriteBuffer<'_>) -> std::io::Result<bool>,
    ) -> std::io::Result<()> {
        loop {
            let start = out.len();
            out.resize(start + STEP, 0);
            let mut given = WriteBuffer::new_initialized(&mut out[start..]);
            let done = step(&mut given);
            let length = given.written_len();
            out.truncate(start + length);
            if done? {
                return Ok(());
            }
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder(…)")
    }
}

/// Undoes a coding of bytes at hand.
///
/// # Errors
/// See [`Error`].
pub fn decode(coding: Coding, bytes: Bytes, limit: usize) -> Result<Vec<u8>, Error> {
    let (mut decoder, mut input, mut out) = (Decoder::new(coding), bytes, Vec::new());
    loop {
        let step = decoder.step(&mut input)?;
        if step.is_empty() {
            return if decoder.is_whole() { Ok(out) } else { Err(Error::Malformed(coding)) };
        }
        if out.len() + step.len() > limit {
            return Err(Error::TooLarge(limit));
        }
        out.extend_from_slice(&step);
    }
}

/// Applies a coding to bytes at hand.
///
/// # Errors
/// What the codec says; none is known that happens.
pub fn encode(coding: Coding, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Encoder::new(coding).finish(bytes, &mut out)?;
    Ok(out)
}

/// A body whose coding is undone as it is read.
#[derive(Debug)]
pub(crate) struct Decoded<B> {
    body: B,
    decoder: Option<Decoder>,
    input: Bytes,
    ended: bool,
}

impl<B> Decoded<B> {
    /// `None`: the body as it is.
    pub(crate) fn new(body: B, coding: Option<Coding>) -> Self {
        Self { body, decoder: coding.map(Decoder::new), input: Bytes::new(), ended: false }
    }
}

impl<B> http_body::Body for Decoded<B>
where
    B: http_body::Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(decoder) = &mut this.decoder {
                let step = decoder.step(&mut this.input)?;
                if !step.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(step.into()))));
                }
                if this.ended {
                    let whole = decoder.is_whole();
                    return Poll::Ready((!whole).then(|| Err(Error::Malformed(decoder.coding).into())));
                }
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None if this.decoder.is_none() => return Poll::Ready(None),
                None => this.ended = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => {
                    // Trailers of a request say nothing to us.
                    let Ok(mut data) = frame.into_data() else { continue };
                    let data = data.copy_to_bytes(data.remaining());
                    if this.decoder.is_none() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    this.input = data;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.input.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.decoder {
            None => self.body.size_hint(),
            Some(_) => http_body::SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;
