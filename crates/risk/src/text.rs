//! Short text kept inline.
//!
//! Ids are compared, sorted and copied far more often than they are read, and an entry holds three of them. Held inline
//! in a fixed array they cost no allocation, compare with one `memcmp`, and an [`crate::Entry`] is `Copy`.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::Invalid;

/// UTF-8 text of 1 to `N` bytes without control characters, zero padded. `N` is at most 255.
///
/// As NUL is refused, the order of the padded arrays is the order of the strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    fn new(text: &str) -> Option<Self> {
        let source = text.as_bytes();
        let ascii = source.iter().all(|b| (0x20..0x7f).contains(b));
        if source.is_empty() || source.len() > N || (!ascii && text.chars().any(char::is_control)) {
            return None;
        }
        let mut bytes = [0; N];
        bytes[..source.len()].copy_from_slice(source);
        Some(Self { bytes, len: source.len() as u8 })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn as_str(&self) -> &str {
        // Made from a &str and never changed: the fallback is unreachable, and cheaper than a panic path.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $max:literal, $field:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text<$max>);

        impl $name {
            /// The longest value, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Takes text of 1 to [`Self::MAX_LEN`] bytes without control characters.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                Text::new(text).map(Self).ok_or(Invalid { field: $field, expected: $expected })
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Its UTF-8 bytes.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// Its bytes, padded with zeros.
            pub(crate) fn padded(&self) -> &[u8; $max] {
                &self.0.bytes
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

text_type!(
    /// The id of one entry: unique in its tenant, the key of deduplication.
    EntryId, 64, "transactionId", "1 to 64 bytes without control characters"
);
text_type!(
    /// What the two entries of a transfer share.
    TransferId, 64, "transferId", "1 to 64 bytes without control characters"
);
text_type!(
    /// The other side's account: one of ours, an IBAN (at most 34 characters, ISO 13616) or another bank's number.
    Counterparty, 34, "counterpartyAccount", "1 to 34 bytes without control characters"
);

impl EntryId {
    /// A hash for tables in memory: it is kept nowhere, and another one would change no result. Each word has a factor of its own, so
    /// that none waits for another.
    pub(crate) fn tag(&self) -> u64 {
        const FACTORS: [u64; 8] = [
            0x9E37_79B1_85EB_CA87,
            0xC2B2_AE3D_27D4_EB4F,
            0x1656_67B1_9E37_79F9,
            0x85EB_CA77_C2B2_AE63,
            0x27D4_EB2F_1656_67C5,
            0xBF58_476D_1CE4_E5B9,
            0x94D0_49BB_1331_11EB,
            0x9E37_79B9_7F4A_7C15,
        ];
        let (words, _) = self.0.bytes.as_chunks::<8>();
        let products = words.iter().zip(FACTORS).map(|(word, by)| u64::from_le_bytes(*word).wrapping_mul(by));
        let sum = products.fold(0_u64, u64::wrapping_add);
        (sum ^ sum >> 32).wrapping_mul(FACTORS[0])
    }
}

impl Counterparty {
    /// Of an account number of ours.
    pub(crate) fn of_digits(digits: &[u8; 10]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..digits.len()].copy_from_slice(digits);
        Self(Text { bytes, len: digits.len() as u8 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_long_and_control_characters_are_refused() {
        assert!(EntryId::new("").is_err());
        assert!(EntryId::new(&"x".repeat(65)).is_err());
        assert!(EntryId::new("a\0b").is_err());
        assert!(EntryId::new("a\u{85}b").is_err());
        assert_eq!(EntryId::new(&"x".repeat(64)).unwrap().as_str().len(), 64);
        assert_eq!(Counterparty::new("DÜSSEL").unwrap().as_str(), "DÜSSEL");
    }

    proptest! {
        #[test]
        fn order_is_the_order_of_the_strings(a in "\\PC{1,16}", b in "\\PC{1,16}") {
            let (x, y) = (EntryId::new(&a), EntryId::new(&b));
            if let (Ok(x), Ok(y)) = (x, y) {
                prop_assert_eq!(x.cmp(&y), a.cmp(&b));
                prop_assert_eq!(x.as_str(), a);
            }
        }
    }
}
