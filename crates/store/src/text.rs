//! Short text without an allocation. Keys of this platform are ids of ten to thirty characters, and a bulk import builds
//! millions of them a second: with `String` the allocator takes most of that time.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Text up to this many bytes is stored in place.
const INLINE: usize = 30;

/// Immutable text, stored in place up to 30 bytes and shared above that. Dereferences to `str`.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Arc<str>),
}

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Cut from a str, so it is valid; checking that costs less than the allocation it saves.
            Repr::Inline { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Shared(text) => text,
        }
    }

    /// The text's UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let len = text.len();
        if len > INLINE {
            return Self(Repr::Shared(text.into()));
        }
        let mut bytes = [0; INLINE];
        bytes[..len].copy_from_slice(text.as_bytes());
        Self(Repr::Inline { len: len as u8, bytes })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Default for Text {
    fn default() -> Self {
        "".into()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_is_its_str(left in "\\PC{0,14}", right in "\\PC{0,14}") {
            let (l, r) = (Text::from(left.as_str()), Text::from(right.as_str()));
            prop_assert_eq!(l.as_str(), left.as_str());
            prop_assert_eq!(l.cmp(&r), left.cmp(&right));
            prop_assert_eq!(l == r, left == right);
            prop_assert_eq!(l.clone().to_string(), left);
        }
    }

    #[test]
    fn the_inline_limit_is_exact() {
        for len in [0, 29, 30, 31, 4000] {
            let text = "x".repeat(len);
            assert_eq!(Text::from(text.as_str()).as_str(), text);
        }
        assert_eq!(std::mem::size_of::<Text>(), 32);
    }
}
