//! Scalars: from the text of a number, an enum, a path segment or a query value to their bytes on the wire.

use std::borrow::Cow;

use super::json::number_len;
use super::wire::{put_varint, zigzag};
use super::{Enum, Field, Kind, Plans};

/// A text that is not a value of the field's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextError {
    pub(crate) message: Cow<'static, str>,
    pub(crate) expected: Cow<'static, str>,
}

impl TextError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), expected: expected.into() }
    }
}

/// The value that goes on the wire; what stands there is told from the kind.
type Put = Result<bool, TextError>;

/// What an error says that a kind takes.
pub(crate) fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Double | Kind::Float => "a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "an integer from -2147483648 to 2147483647",
        Kind::Uint32 | Kind::Fixed32 => "an integer from 0 to 4294967295",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            "an integer from -9223372036854775808 to 9223372036854775807"
        }
        Kind::Uint64 | Kind::Fixed64 => "an integer from 0 to 18446744073709551615",
        Kind::Bool => "true or false",
        Kind::String => "a string",
        Kind::Bytes => "a string in base64",
        Kind::Enum(_) => "the name or number of an enum value",
        Kind::Message(_) | Kind::Group(_) => "an object",
    }
}

/// Writes the value that the text of a JSON number stands for; true if it is the kind's default.
pub(crate) fn put_number(kind: Kind, text: &[u8], out: &mut Vec<u8>) -> Put {
    match kind {
        Kind::Double => {
            let value: f64 = float(text, kind)?;
            out.extend_from_slice(&value.to_le_bytes());
            Ok(value.to_bits() == 0)
        }
        Kind::Float => {
            let value: f32 = float(text, kind)?;
            out.extend_from_slice(&value.to_le_bytes());
            Ok(value.to_bits() == 0)
        }
        _ => match plain_integer(text) {
            Some(value) => put_integer(kind, value, out),
            None => put_integer(kind, integer(text, kind)?, out),
        },
    }
}

/// What may be written as an integer: i64 where that suffices, i128 for the rest.
trait Integer: Copy + Default + PartialEq + TryInto<i32> + TryInto<i64> + TryInto<u32> + TryInto<u64> {}

impl Integer for i64 {}
impl Integer for i128 {}

#[inline]
fn put_integer<V: Integer>(kind: Kind, value: V, out: &mut Vec<u8>) -> Put {
    let range = || TextError::new("out of range", expected(kind));
    let signed32 = || TryInto::<i32>::try_into(value).map_err(|_| range());
    let signed64 = || TryInto::<i64>::try_into(value).map_err(|_| range());
    let unsigned32 = || TryInto::<u32>::try_into(value).map_err(|_| range());
    let unsigned64 = || TryInto::<u64>::try_into(value).map_err(|_| range());
    match kind {
        Kind::Int32 | Kind::Enum(_) => put_varint(out, i64::from(signed32()?).cast_unsigned()),
        Kind::Int64 => put_varint(out, signed64()?.cast_unsigned()),
        Kind::Uint32 => put_varint(out, u64::from(unsigned32()?)),
        Kind::Uint64 => put_varint(out, unsigned64()?),
        Kind::Sint32 => put_varint(out, zigzag(i64::from(signed32()?))),
        Kind::Sint64 => put_varint(out, zigzag(signed64()?)),
        Kind::Fixed32 => out.extend_from_slice(&unsigned32()?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&signed32()?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&unsigned64()?.to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&signed64()?.to_le_bytes()),
        _ => return Err(TextError::new("not a number", expected(kind))),
    }
    Ok(value == V::default())
}

/// The value of a text that is an integer of at most 18 digits, without leading zeros: nearly every one.
#[inline]
pub(crate) fn plain_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 18 || *digits.first()? == b'0' && text.len() > 1 {
        return None;
    }
    let mut value = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// The number that a text stands for, without loss: `1.0` and `1e2` are integers, `1.5` is none.
fn integer(text: &[u8], kind: Kind) -> Result<i128, TextError> {
    let malformed = || TextError::new("not an integer", expected(kind));
    let range = || TextError::new("out of range", expected(kind));
    let negative = text.first() == Some(&b'-');
    let unsigned = &text[usize::from(negative)..];
    let signed = |value: i128| if negative { -value } else { value };
    if unsigned.len() < 20 && unsigned.iter().all(u8::is_ascii_digit) && !unsigned.is_empty() {
        let value = unsigned.iter().fold(0_i128, |value, d| value * 10 + i128::from(d - b'0'));
        return Ok(signed(value));
    }
    let exponent_at = memchr::memchr2(b'e', b'E', unsigned).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(exponent_at);
    let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len());
    let fraction = mantissa.len().saturating_sub(point + 1);
    let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
    let significant = digits.iter().rposition(|d| *d != b'0').map_or(0, |last| last + 1);
    let first = digits.iter().position(|d| *d != b'0').unwrap_or(significant);
    if significant == 0 {
        return Ok(0);
    }
    // An exponent too long for an i64 puts any mantissa that fits in memory out of reach.
    let exponent = match exponent.get(1..) {
        None => 0,
        Some(exponent) => match str::from_utf8(exponent).map(str::parse::<i64>) {
            Ok(Ok(exponent)) => exponent,
            _ if exponent.first() == Some(&b'-') => return Err(malformed()),
            _ => return Err(range()),
        },
    };
    // The value is digits[first..significant] times ten to the power of `scale`.
    let scale = exponent.saturating_sub(fraction as i64).saturating_add((digits.len() - significant) as i64);
    let Ok(scale) = usize::try_from(scale) else { return Err(malformed()) };
    if scale.saturating_add(significant - first) > 20 {
        return Err(range());
    }
    let digits = digits[first..significant].iter().chain(std::iter::repeat_n(&b'0', scale));
    Ok(signed(digits.fold(0, |value, d| value * 10 + i128::from(d - b'0'))))
}

/// A finite floating-point number of one of the two widths.
pub(crate) trait Float: std::str::FromStr + Copy {
    fn finite(self) -> bool;
}

impl Float for f32 {
    fn finite(self) -> bool {
        self.is_finite()
    }
}

impl Float for f64 {
    fn finite(self) -> bool {
        self.is_finite()
    }
}

pub(crate) fn float<T: Float>(text: &[u8], kind: Kind) -> Result<T, TextError> {
    let value = str::from_utf8(text).ok().and_then(|text| text.parse::<T>().ok());
    let value = value.ok_or_else(|| TextError::new("not a number", expected(kind)))?;
    if value.finite() { Ok(value) } else { Err(TextError::new("out of range", expected(kind))) }
}

/// Writes the value of a kind that JSON may also give as a string: numbers, enums, bytes, strings. True if it is the
/// kind's default.
pub(crate) fn put_string(plans: &Plans, kind: Kind, text: &[u8], out: &mut Vec<u8>) -> Put {
    match kind {
        Kind::String => {
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text);
            Ok(text.is_empty())
        }
        Kind::Bytes => put_base64(text, out),
        Kind::Enum(id) => {
            let plan = plans.get_enum(id);
            let index = plan.named(text);
            let index =
                index.ok_or_else(|| TextError::new("not a value of the enum", plan.expected.to_string()))?;
            let number = plan.values[index as usize].number;
            put_varint(out, i64::from(number).cast_unsigned());
            Ok(number == 0)
        }
        Kind::Bool | Kind::Message(_) | Kind::Group(_) => Err(TextError::new("not a string", expected(kind))),
        Kind::Double | Kind::Float => {
            let special = match text {
                b"NaN" => f64::NAN,
                b"Infinity" => f64::INFINITY,
                b"-Infinity" => f64::NEG_INFINITY,
                _ if number_len(text) == text.len() && !text.is_empty() => {
                    return put_number(kind, text, out);
                }
                _ => return Err(TextError::new("not a number", expected(kind))),
            };
            match kind {
                Kind::Float => out.extend_from_slice(&(special as f32).to_le_bytes()),
                _ => out.extend_from_slice(&special.to_le_bytes()),
            }
            Ok(false)
        }
        _ => match plain_integer(text) {
            Some(value) => put_integer(kind, value, out),
            None if number_len(text) == text.len() && !text.is_empty() => put_number(kind, text, out),
            None => Err(TextError::new("not an integer", expected(kind))),
        },
    }
}

/// Writes the number of an enum, which a closed enum must know.
pub(crate) fn put_enum_number(plans: &Plans, kind: Kind, text: &[u8], out: &mut Vec<u8>) -> Put {
    let Kind::Enum(id) = kind else { return put_number(kind, text, out) };
    let plan = plans.get_enum(id);
    let number = integer(text, kind)?;
    // A NullValue prints as null, whatever its number: it can have one only.
    if (plan.closed || plan.null) && !i32::try_from(number).is_ok_and(|n| plan.position(n).is_some()) {
        return Err(TextError::new("not a value of the enum", plan.expected.to_string()));
    }
    put_integer(kind, number, out)
}

impl Enum {
    /// The index of the value with this number.
    pub(crate) fn position(&self, number: i32) -> Option<usize> {
        // Numbers mostly count from 0 without gaps: the number is then its own index.
        let guess = number as usize;
        if self.values.get(guess).is_some_and(|value| value.number == number) {
            return Some(guess);
        }
        self.values.binary_search_by_key(&number, |value| value.number).ok()
    }
}

impl Plans {
    /// Writes the value of a scalar field from a text of a path or query, or a map's key: there everything is text,
    /// and enums and booleans too are given without quotes. True if it is the kind's default.
    pub(crate) fn put_text(&self, field: &Field, text: &str, out: &mut Vec<u8>) -> Put {
        match field.kind {
            Kind::Bool => {
                let value = match text {
                    "true" => true,
                    "false" => false,
                    _ => return Err(TextError::new("not a boolean", expected(field.kind))),
                };
                out.push(u8::from(value));
                Ok(!value)
            }
            Kind::Enum(id) => {
                let number = self.get_enum(id).named(text.as_bytes()).is_none()
                    && number_len(text.as_bytes()) == text.len()
                    && !text.is_empty();
                let put = if number { put_enum_number } else { put_string };
                put(self, field.kind, text.as_bytes(), out)
            }
            kind => put_string(self, kind, text.as_bytes(), out),
        }
    }
}

/// Writes bytes given in base64, in the standard or the URL alphabet, with or without padding.
fn put_base64(text: &[u8], out: &mut Vec<u8>) -> Put {
    let bad = || TextError::new("not base64", expected(Kind::Bytes));
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let padded = digits.len() < text.len();
    if digits.len() % 4 == 1 || padded && !text.len().is_multiple_of(4) {
        return Err(bad());
    }
    let length = digits.len() * 3 / 4;
    put_varint(out, length as u64);
    out.reserve(length);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for digit in group {
            let value = BASE64[usize::from(*digit)];
            if value == NO_DIGIT {
                return Err(bad());
            }
            bits = bits << 6 | u32::from(value);
        }
        let bytes = (bits << (8 + 6 * (4 - group.len()))).to_be_bytes();
        out.extend_from_slice(&bytes[..group.len() * 3 / 4]);
    }
    Ok(length == 0)
}

const NO_DIGIT: u8 = 0xff;

/// Both alphabets of RFC 4648.
const BASE64: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn integers_are_exact_in_every_notation() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("1.0", 1),
            ("1e2", 100),
            ("1.50e1", 15),
            ("100e-2", 1),
            ("0.0", 0),
            ("0e999999", 0),
            ("18446744073709551615", u64::MAX.into()),
            ("-9223372036854775808", i64::MIN.into()),
            ("1E+2", 100),
            ("0.00001e5", 1),
            ("000", 0),
        ] {
            assert_eq!(integer(text.as_bytes(), Kind::Int64).unwrap(), value, "{text}");
        }
        for text in [
            "1.5",
            "1e-1",
            "1e400",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "123456789012345678901",
        ] {
            assert!(integer(text.as_bytes(), Kind::Int64).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_integers_are_those_that_need_no_thought() {
        for (text, value) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("-12", Some(-12)),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("-999999999999999999", Some(-999_999_999_999_999_999)),
            ("1000000000000000000", None),
            ("00", None),
            ("-0", None),
            ("01", None),
            ("-", None),
            ("", None),
            ("1.0", None),
            ("+1", None),
            ("1a", None),
        ] {
            assert_eq!(plain_integer(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn base64_takes_both_alphabets_with_or_without_padding() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("AQ", &[1]),
            ("AQ==", &[1]),
            ("AQI=", &[1, 2]),
            ("AQID", &[1, 2, 3]),
            ("-_8", &[0xfb, 0xff]),
            ("+/8=", &[0xfb, 0xff]),
        ] {
            let mut out = Vec::new();
            put_base64(text.as_bytes(), &mut out).unwrap();
            assert_eq!(&out[1..], bytes, "{text}");
        }
        for text in ["A", "A===", "AQ=", "A Q=", "AQ==AQ==", "é"] {
            assert!(put_base64(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
    }
}
