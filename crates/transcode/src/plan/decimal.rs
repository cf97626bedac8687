//! Exact decimals: the plain text that a JSON number stands for. An exponent only moves the point: nothing is
//! rounded.

use std::borrow::Cow;

/// The farthest that an exponent may move the point: what a few bytes ask for stays a few bytes.
const REACH: u32 = 30;
/// The longest text that a number with an exponent may become.
const LONGEST: usize = 40;

/// A JSON number without its exponent, its digits kept: `1e2` is `100`, `12.50E-1` is `1.250`. A number that
/// has none is what it is; `None` where the text would be too long.
pub(crate) fn plain(number: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(at) = memchr::memchr2(b'e', b'E', number) else { return Some(Cow::Borrowed(number)) };
    let (mantissa, exponent) = (&number[..at], str::from_utf8(&number[at + 1..]).ok()?);
    let exponent: i32 = exponent.parse().ok()?;
    if exponent.unsigned_abs() > REACH || mantissa.len() > LONGEST {
        return None;
    }
    let negative = mantissa.first() == Some(&b'-');
    let mantissa = &mantissa[usize::from(negative)..];
    let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len()) as i32 + exponent;
    // At least one digit stands before the point.
    let mut digits = vec![b'0'; usize::try_from(1 - point).unwrap_or(0)];
    digits.extend(mantissa.iter().filter(|c| c.is_ascii_digit()));
    let point = usize::try_from(point).unwrap_or(0).max(1);
    if digits.len() < point {
        digits.resize(point, b'0');
    }
    let (whole, fraction) = digits.split_at(point);
    let zeros = whole[..point - 1].iter().take_while(|digit| **digit == b'0').count();
    let sign: &[u8] = if negative { b"-" } else { b"" };
    let dot: &[u8] = if fraction.is_empty() { b"" } else { b"." };
    let text = [sign, &whole[zeros..], dot, fraction].concat();
    (text.len() <= LONGEST).then_some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::json::number_len;
    use super::*;
    use proptest::prelude::*;

    fn text(number: &str) -> Option<String> {
        plain(number.as_bytes()).map(|text| String::from_utf8(text.into_owned()).unwrap())
    }

    #[test]
    fn an_exponent_moves_the_point_and_nothing_else() {
        for (number, expected) in [
            ("1e2", "100"),
            ("-1E+2", "-100"),
            ("12.50e-1", "1.250"),
            ("12.5e1", "125"),
            ("12.5e3", "12500"),
            ("5e-3", "0.005"),
            ("0.00001e5", "1"),
            ("0.00e1", "0.0"),
            ("1e0", "1"),
            ("1e0000000000000000000000000002", "100"),
            ("100", "100"),
            ("-1.50", "-1.50"),
        ] {
            assert_eq!(text(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn what_an_exponent_may_ask_for_is_bounded() {
        let long = format!("{}e-1", "1".repeat(41));
        let wide = format!("{}e30", "1".repeat(11));
        for number in ["1e31", "1e-31", "1e99999999999999999999", &long, &wide] {
            assert_eq!(text(number), None, "{number}");
        }
        assert_eq!(text("1e30").unwrap().len(), 31);
    }

    /// The significant digits, and the power of ten of the last of them.
    fn value(number: &str) -> (bool, String, i64) {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa
            .trim_start_matches('-')
            .split_once('.')
            .unwrap_or((mantissa.trim_start_matches('-'), ""));
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_end_matches('0');
        let power = exponent.parse::<i64>().unwrap() - fraction.len() as i64
            + (digits.len() - significant.len()) as i64;
        let significant = significant.trim_start_matches('0').to_owned();
        let power = if significant.is_empty() { 0 } else { power };
        (number.starts_with('-'), significant, power)
    }

    proptest! {
        #[test]
        fn the_plain_text_is_the_same_number(number in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,9})?[eE][+-]?[0-9]{1,2}") {
            let Some(plain) = text(&number) else { return Ok(()) };
            prop_assert_eq!(number_len(plain.as_bytes()), plain.len(), "{} is a JSON number", plain);
            prop_assert!(!plain.contains(['e', 'E']) && plain.len() <= LONGEST);
            prop_assert_eq!(value(&plain), value(&number));
        }

        #[test]
        fn small_exponents_always_have_a_plain_text(number in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,9})?[eE][+-]?1?[0-9]") {
            prop_assert!(text(&number).is_some());
        }
    }
}
