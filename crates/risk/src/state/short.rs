//! A few bytes in place: what is known to be short is put together here and copied once.

use super::codec::{leb56, zigzag};

/// What eight bytes of LEB128 hold.
const LOW_BITS: u32 = 56;

/// At most `N` bytes. Those beyond the length are zero, so zeros need only be passed over.
pub(super) struct Short<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Short<N> {
    pub(super) fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.len += count;
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.array(&[byte]);
    }

    pub(super) fn array<const M: usize>(&mut self, bytes: &[u8; M]) {
        self.bytes[self.len..self.len + M].copy_from_slice(bytes);
        self.len += M;
    }

    /// Other short bytes: there must be room for the longest.
    pub(super) fn short<const M: usize>(&mut self, other: &Short<M>) {
        self.bytes[self.len..self.len + M].copy_from_slice(&other.bytes);
        self.len += other.len;
    }

    /// The first of some bytes, of which the rest is zero, after how many they are.
    pub(super) fn text<const M: usize>(&mut self, padded: &[u8; M], len: usize) {
        self.number(len as u64);
        self.bytes[self.len..self.len + M].copy_from_slice(padded);
        self.len += len;
    }

    /// The bytes of [`super::codec::put_i64`]: there must be room for eight more.
    pub(super) fn signed(&mut self, value: i64) {
        self.number(zigzag(value));
    }

    /// The bytes of [`super::codec::put_u64`]: there must be room for eight more.
    #[inline]
    pub(super) fn number(&mut self, value: u64) {
        if value >= 1 << LOW_BITS {
            return self.large(u128::from(value));
        }
        let (word, len) = leb56(value);
        self.bytes[self.len..self.len + 8].copy_from_slice(&word.to_le_bytes());
        self.len += len;
    }

    /// The bytes of [`super::codec::put_u128`]: there must be room for eight more.
    pub(super) fn large(&mut self, mut value: u128) {
        while value >= 1 << LOW_BITS {
            let (word, _) = leb56(value as u64 & ((1 << LOW_BITS) - 1));
            self.array(&(word | 0x8080_8080_8080_8080).to_le_bytes());
            value >>= LOW_BITS;
        }
        self.number(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::codec::put_u128;

    proptest! {
        #[test]
        fn numbers_are_those_of_the_codec(value: u128, shift in 0_u32..128) {
            let mut expected = Vec::new();
            put_u128(&mut expected, value >> shift);
            let mut short = Short::<32>::new();
            short.large(value >> shift);
            prop_assert_eq!(short.as_slice(), &expected);
            if let Ok(word) = u64::try_from(value >> shift) {
                let mut other = Short::<32>::new();
                other.number(word);
                prop_assert_eq!(other.as_slice(), &expected);
            }
            // What follows is not covered by what was written beyond the length.
            short.zeros(1);
            expected.push(0);
            prop_assert_eq!(short.as_slice(), &expected);
        }
    }
}
