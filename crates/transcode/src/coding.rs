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
        let malformed = |_| Error::Malformed(self.coding);
        let mut out = vec![0; STEP];
        let mut given = WriteBuffer::new_initialized(&mut out);
        loop {
            if self.at_end {
                if input.is_empty() {
                    break;
                }
                if self.coding == Coding::Brotli {
                    return Err(Error::Malformed(self.coding));
                }
                self.codec.reinit().map_err(malformed)?;
                self.at_end = false;
            }
            if input.is_empty() && self.coding == Coding::Gzip {
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn codings() -> impl Strategy<Value = Coding> {
        prop::sample::select(&Coding::ALL[..])
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes(coding in codings(), bytes in prop::collection::vec(any::<u8>(), 0..60_000), repeat in 1_usize..20) {
            let bytes = bytes.repeat(repeat);
            let coded = encode(coding, &bytes).unwrap();
            prop_assert_eq!(decode(coding, coded.into(), bytes.len()), Ok(bytes));
        }

        #[test]
        fn every_piece_of_a_stream_decodes_when_it_was_flushed(coding in codings(), pieces in prop::collection::vec("[a-z]{1,3000}", 1..6)) {
            let (mut encoder, mut decoder) = (Encoder::new(coding), Decoder::new(coding));
            for piece in &pieces {
                let mut coded = Vec::new();
                encoder.flush(piece.as_bytes(), &mut coded).unwrap();
                let (mut input, mut text) = (Bytes::from(coded), Vec::new());
                loop {
                    let step = decoder.step(&mut input).unwrap();
                    if step.is_empty() {
                        break;
                    }
                    text.extend(step);
                }
                prop_assert_eq!(&text, piece.as_bytes());
                prop_assert!(!decoder.is_whole());
            }
            let mut coded = Vec::new();
            encoder.finish(b"", &mut coded).unwrap();
            prop_assert!(decoder.step(&mut coded.into()).unwrap().is_empty() && decoder.is_whole());
        }

        #[test]
        fn it_does_not_matter_how_the_bytes_are_split(coding in codings(), text in "[a-c]{0,300}", repeat in 1_usize..300, size in 1_usize..40) {
            let text = text.repeat(repeat);
            let (coded, mut out) = (Bytes::from(encode(coding, text.as_bytes()).unwrap()), Vec::new());
            let mut decoder = Decoder::new(coding);
            for piece in coded.chunks(size) {
                let mut input = Bytes::copy_from_slice(piece);
                loop {
                    let step = decoder.step(&mut input).unwrap();
                    if step.is_empty() {
                        break;
                    }
                    out.extend(step);
                }
                prop_assert!(input.is_empty());
            }
            prop_assert!(decoder.is_whole() && out == text.as_bytes());
        }

        #[test]
        fn any_bytes_decode_or_are_refused(coding in codings(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(coding, bytes.into(), 1 << 20);
        }

        #[test]
        fn what_is_cut_short_or_goes_on_is_refused(coding in codings(), text in "[a-z]{1,400}", at in any::<prop::sample::Index>()) {
            let coded = encode(coding, text.as_bytes()).unwrap();
            let cut = at.index(coded.len() - 1) + 1;
            prop_assert_eq!(decode(coding, coded[..cut].to_vec().into(), 1000), Err(Error::Malformed(coding)));
            let more = [&coded[..], b"\x01\x02"].concat();
            prop_assert_eq!(decode(coding, more.into(), 1000), Err(Error::Malformed(coding)));
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        for coding in Coding::ALL {
            let bomb = encode(coding, &vec![0; 64 << 20]).unwrap();
            assert!(bomb.len() < 100_000, "{coding:?} {}", bomb.len());
            assert_eq!(decode(coding, bomb.into(), 1 << 20), Err(Error::TooLarge(1 << 20)));
        }
    }

    #[test]
    fn members_follow_one_another() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let two = [encode(coding, b"one").unwrap(), encode(coding, b"two").unwrap()].concat();
            assert_eq!(decode(coding, two.into(), 6).unwrap(), b"onetwo");
        }
    }

    #[test]
    fn a_wide_zstd_window_is_refused() {
        // A frame header that asks for a window of 128 MiB: descriptor 0, exponent 17.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
        assert_eq!(decode(Coding::Zstd, frame.to_vec().into(), 10), Err(Error::Malformed(Coding::Zstd)));
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00];
        assert_eq!(decode(Coding::Zstd, frame.to_vec().into(), 10), Ok(Vec::new()));
    }

    #[test]
    fn names_are_those_of_headers() {
        for coding in Coding::ALL {
            assert_eq!(Coding::of(coding.name()), Some(coding));
        }
        assert_eq!(Coding::ALL.map(Coding::name).join(", "), Coding::NAMES);
        assert_eq!(Coding::of("X-GZIP"), Some(Coding::Gzip));
        assert_eq!(Coding::of("compress"), None);
    }
}
