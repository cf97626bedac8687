//! The key that a caller sends.

use riskmesh_core::{Detail, Error};

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// What `Idempotency-Key` holds: 1 to 255 visible characters of ASCII, no blanks. The header is a string of structured fields
/// (draft-ietf-httpapi-idempotency-key-header), which stands in quotes; most callers leave these out, so both are one key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of a request that has these values of the header: none, or one. Two are no key, also where they are the same: which
    /// of them counts would be a guess, and a proxy may join them.
    ///
    /// # Errors
    /// `INVALID_INPUT` where there is more than one, or it is no key.
    pub fn sent<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Self>, Error> {
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::read(value).map(Some),
            (Some(_), Some(_)) => Err(invalid("must be sent once")),
        }
    }

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
        let text = text.filter(|text| text.iter().all(u8::is_ascii_graphic));
        text.and_then(|text| String::from_utf8(text).ok())
            .map(Self)
            .ok_or_else(|| invalid("must be 1 to 255 visible ASCII characters without a blank"))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn invalid(issue: &'static str) -> Error {
    Error::invalid(Detail::expected("Idempotency-Key", issue, "^[!-~]{1,255}$"))
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
        assert_eq!(key(" ab "), key("ab"));
    }

    #[test]
    fn a_key_is_short_and_visible() {
        let long = "k".repeat(255);
        assert!(Key::read(long.as_bytes()).is_ok());
        for bad in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b\"",
            r#""a\b""#,
            "a b",
            "\"a b\"",
            "\" \"",
            "a\tb",
            "a\u{7f}",
            "ä",
            &format!("{long}k"),
        ] {
            assert!(Key::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_has_one_key_or_none() {
        let sent = |values: &[&str]| Key::sent(values.iter().map(|value| value.as_bytes()));
        assert_eq!(sent(&[]).unwrap(), None);
        assert_eq!(sent(&["a"]).unwrap(), Some(Key("a".into())));
        for values in [&["a", "b"][..], &["a", "a"], &["a", ""], &["a", "b", "c"]] {
            let error = sent(values).unwrap_err();
            assert_eq!(error.message, "Idempotency-Key must be sent once", "{values:?}");
            assert_eq!(error.details[0].expected, "^[!-~]{1,255}$");
        }
    }
}
