//! Canonical bytes: the primitives that state encodings are made of.
//!
//! Numbers are LEB128 in their shortest form, everything else has a fixed length, so a value has exactly one encoding and
//! equal states have equal bytes. The reader refuses any other form, and reserves no memory on the word of a length.

use super::Error;

pub(super) fn put_u128(out: &mut Vec<u8>, mut value: u128) {
    while value > u128::from(u64::MAX) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    put_u64(out, value as u64);
}

pub(super) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number below 2^56 in LEB128: its bytes, the first one lowest, and how many they are.
pub(super) fn leb56(value: u64) -> (u64, usize) {
    let len = ((u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize).min(8);
    // Seven bits to a byte, by halves.
    let word = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let word = word & 0x0000_3fff_0000_3fff | (word & 0x0fff_c000_0fff_c000) << 2;
    let word = word & 0x007f_007f_007f_007f | (word & 0x3f80_3f80_3f80_3f80) << 1;
    (word | 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1), len)
}

pub(super) fn put_len(out: &mut Vec<u8>, value: usize) {
    put_u64(out, value as u64);
}

/// Small numbers for small negative ones too.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, zigzag(value));
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(Error::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| Error::Truncated)
    }

    pub(super) fn u128(&mut self) -> Result<u128, Error> {
        let mut value = 0_u128;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)?[0];
            let part = u128::from(byte & 0x7f);
            if shift > 121 && (shift > 126 || part > 3) {
                return Err(Error::NotCanonical);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(Error::NotCanonical) } else { Ok(value) };
            }
        }
        Err(Error::NotCanonical)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.u128()?.try_into().map_err(|_| Error::NotCanonical)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Error> {
        let value = self.u64()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of items of at least `min_size` bytes each: more than the rest can hold is a lie.
    pub(super) fn len(&mut self, min_size: usize) -> Result<usize, Error> {
        let n = usize::try_from(self.u64()?).map_err(|_| Error::NotCanonical)?;
        if n > self.0.len() / min_size { Err(Error::Truncated) } else { Ok(n) }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::NotCanonical) }
    }
}

/// `Ok` where the encoding is the one that the value would be given.
pub(super) fn canonical(it_is: bool) -> Result<(), Error> {
    if it_is { Ok(()) } else { Err(Error::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(a: u128, b: u64, c: i64, shift in 0_u32..128) {
            let mut bytes = Vec::new();
            put_u128(&mut bytes, a >> shift);
            put_u64(&mut bytes, b >> (shift / 2));
            put_i64(&mut bytes, c >> (shift / 2));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u128(), Ok(a >> shift));
            prop_assert_eq!(reader.u64(), Ok(b >> (shift / 2)));
            prop_assert_eq!(reader.i64(), Ok(c >> (shift / 2)));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn longer_forms_and_overflow_are_refused() {
        assert_eq!(Reader::new(&[0x80, 0x00]).u128(), Err(Error::NotCanonical));
        assert_eq!(Reader::new(&[0xff; 32]).u128(), Err(Error::NotCanonical));
        assert_eq!(Reader::new(&[0x80]).u64(), Err(Error::Truncated));
        assert_eq!(Reader::new(&[5, 0, 0]).len(1), Err(Error::Truncated));
    }
}
