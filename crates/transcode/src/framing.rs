//! Messages behind each other in a body, as gRPC, gRPC-Web and Connect have them: a byte of flags, four of length, the message
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use bytes::{Bytes, BytesMut};

/// The bytes before a message.
pub const PREFIX: usize = 5;
/// The flag of a message that is compressed.
pub const COMPRESSED: u8 = 1;

/// The flags and the length of the message that begins here; `None` where its prefix is not whole.
pub fn head(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[flags, ref length @ ..] = bytes.first_chunk::<PREFIX>()?;
    Some((flags, u32::from_be_bytes(*length) as usize))
}

/// Cuts messages out of a body, however its bytes arrive.
#[derive(Debug, Default)]
pub struct Cutter(BytesMut);

impl Cutter {
    /// Adds what has come.
    pub fn push(&mut self, data: Bytes) {
        if self.0.is_empty() {
            self.0 = BytesMut::from(data);
        } else {
            self.0.extend_from_slice(&data);
        }
    }

    /// The [`head`] of the next message: flags and length are to be looked at before it is waited for.
    pub fn head(&self) -> Option<(u8, usize)> {
        head(&self.0)
    }

    /// The next message, which has this length, with its prefix; `None` where it is not whole.
    pub fn cut(&mut self, length: usize) -> Option<Bytes> {
        let end = PREFIX.checked_add(length).filter(|end| self.0.len() >= *end)?;
        let message = self.0.split_to(end).freeze();
        if self.0.is_empty() {
            // An empty rest would keep what it is the rest of, for as long as a stream is silent.
            self.0 = BytesMut::new();
        }
        Some(message)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
