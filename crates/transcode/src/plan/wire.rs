//! The Protobuf wire format: varints, tags and length-delimited runs, over plain byte slices.

/// Wire types (<https://protobuf.dev/programming-guides/encoding>).
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LEN: u32 = 2;
pub(crate) const START_GROUP: u32 = 3;
pub(crate) const END_GROUP: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

/// The highest field number.
const MAX_NUMBER: u64 = (1 << 29) - 1;
/// Groups inside groups, when a group is skipped.
const MAX_GROUPS: usize = 100;

/// Bytes that are no Protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// One field's value as it lies on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Len(&'a [u8]),
    Group(&'a [u8]),
    Fixed32(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field, or `None` at the end.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<(u32, Raw<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire) = self.tag()?;
        self.value(number, wire).map(|raw| Some((number, raw)))
    }

    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, u32), Malformed> {
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number > MAX_NUMBER {
            return Err(Malformed);
        }
        Ok((number as u32, key as u32 & 7))
    }

    #[inline]
    pub(crate) fn value(&mut self, number: u32, wire: u32) -> Result<Raw<'a>, Malformed> {
        Ok(match wire {
            VARINT => Raw::Varint(self.varint()?),
            FIXED64 => Raw::Fixed64(self.fixed64()?),
            LEN => Raw::Len(self.bytes()?),
            START_GROUP => Raw::Group(self.group(number)?),
            FIXED32 => Raw::Fixed32(self.fixed32()?),
            _ => return Err(Malformed),
        })
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match *self.rest {
            [byte @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            [low, high @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            // Bits above the 64th: refused, as Go and prost do; C++ drops them.
            if at == 9 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// A length and as many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    /// Takes the tag that comes next if it is this one.
    #[inline]
    pub(crate) fn eat_tag(&mut self, number: u32, wire: u32) -> bool {
        let mut ahead = self.clone();
        let eaten = ahead.tag() == Ok((number, wire));
        if eaten {
            *self = ahead;
        }
        eaten
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The content of a group, whose start tag was just read. An explicit stack keeps hostile nesting off ours.
    fn group(&mut self, number: u32) -> Result<&'a [u8], Malformed> {
        let content = self.rest;
        let mut open = vec![number];
        loop {
            let before = content.len() - self.rest.len();
            let (number, wire) = self.tag()?;
            match wire {
                END_GROUP if open.pop() != Some(number) => return Err(Malformed),
                END_GROUP if open.is_empty() => return Ok(&content[..before]),
                END_GROUP => {}
                START_GROUP if open.len() == MAX_GROUPS => return Err(Malformed),
                START_GROUP => open.push(number),
                _ => drop(self.value(number, wire)?),
            }
        }
    }
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    put_varint(out, u64::from(number << 3 | wire));
}

pub(crate) fn put_len(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, LEN);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn varint_len(value: u64) -> usize {
    ((64 - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Starts a length-delimited run: reserves `width` bytes for its length and returns where they are.
#[inline]
pub(crate) fn open_len(out: &mut Vec<u8>, width: u8) -> usize {
    let at = out.len();
    match width {
        1 => out.push(0),
        _ => out.resize(at + usize::from(width), 0),
    }
    at
}

/// Ends the run: writes its length where it was reserved, moves the run only if the width was wrong, and returns the
/// width that was right.
#[inline]
pub(crate) fn close_len(out: &mut Vec<u8>, at: usize, width: u8) -> u8 {
    let start = at + usize::from(width);
    let length = out.len() - start;
    if length < 0x80 && width == 1 {
        out[at] = length as u8;
        return 1;
    }
    moved_len(out, at, start, length)
}

fn moved_len(out: &mut Vec<u8>, at: usize, start: usize, length: usize) -> u8 {
    let needed = varint_len(length as u64);
    let moved = at + needed;
    if moved > start {
        out.resize(moved + length, 0);
        out.copy_within(start..start + length, moved);
    } else if moved < start {
        out.copy_within(start.., moved);
        out.truncate(moved + length);
    }
    let mut value = length;
    for byte in &mut out[at..moved - 1] {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    out[moved - 1] = value as u8;
    needed as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64, shift in 0..64, signed: i64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(Reader::new(&out).varint(), Ok(value));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn lengths_are_right_whatever_width_was_guessed(length in 0_usize..40_000, width in 1_u8..5) {
            let mut out = vec![9];
            let at = open_len(&mut out, width);
            out.extend(std::iter::repeat_n(7, length));
            close_len(&mut out, at, width);
            let mut expected = vec![9];
            put_varint(&mut expected, length as u64);
            expected.extend(std::iter::repeat_n(7, length));
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(_)) = reader.field() {}
        }
    }

    #[test]
    fn groups_are_matched_by_number() {
        let bytes = [0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c, 0x18, 0x02];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.field(), Ok(Some((1, Raw::Group(&bytes[1..5])))));
        assert_eq!(reader.field(), Ok(Some((3, Raw::Varint(2)))));
        assert_eq!(Reader::new(&[0x0b, 0x14]).field(), Err(Malformed));
        assert_eq!(Reader::new(&[0x0b; 300]).field(), Err(Malformed));
    }
}
