//! The key that a caller sends.

use riskmesh_core::{Detail, Error};

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// What `Idempotency-Key` holds: 1 to 255 visible characters of ASCII, blanks among them. The header is a string of structured fields
/// (draft-ietf-httpapi-idempotency-key-header), which stands in quotes; most callers leave these out, so both are one key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Reads the header's value.
    ///
    /// # Errors
    /// `INVALID_INPUT` where it is no such key.
    pub fn read(value: &[u8]) -> Result<Self, Error> {
        let text = value.trim_ascii();
        let text = match text {
            [b'"', inside @ .., b'"'] => unescaped(inside),
            [b'"', ..] => None,
            plain => Some(plain.to_vec()),
        };
        let text = text.filter(|text| (1..=LONGEST).contains(&text.len()));
        let text = text.filter(|text| text.iter().all(|c| (b' '..=b'~').contains(c)));
        text.and_then(|text| String::from_utf8(text).ok()).map(Self).ok_or_else(|| {
            Error::invalid(Detail::expected(
                "Idempotency-Key",
                "must be 1 to 255 visible characters",
                "^[ -~]{1,255}$",
            ))
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The characters of a quoted string; in it only quotes and backslashes are escaped.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(c) = rest.next() {
        plain.push(match c {
            b'\\' => *rest.next().filter(|c| matches!(c, b'"' | b'\\'))?,
            b'"' => return None,
            c => *c,
        });
    }
    Some(plain)
}

/// A key may be somebody's secret: it is not shown.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quotes_make_no_difference() {
        let key = |text: &str| Key::read(text.as_bytes()).unwrap();
        assert_eq!(key("8e03978e-40d5"), key("\"8e03978e-40d5\""));
        assert_eq!(key(r#""a\"b\\c""#), key(r#"a"b\c"#));
        assert_eq!(key(" a b "), key("a b"));
    }

    #[test]
    fn a_key_is_short_and_visible() {
        let long = "k".repeat(255);
        assert!(Key::read(long.as_bytes()).is_ok());
        for bad in ["", "\"\"", "\"", "\"a", "\"a\"b\"", r#""a\b""#, "a\u{7f}", "ä", &format!("{long}k")] {
            assert!(Key::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
