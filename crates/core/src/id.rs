//! Typed identifiers. Each is validated where it enters, so code behind the edge never meets a malformed one.

use crate::error::{Detail, Error};
use std::fmt;

/// A text that is not an id of the kind wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct InvalidId {
    /// What an id of this kind looks like, in words.
    pub expected: &'static str,
    /// The same as a regular expression.
    pub pattern: &'static str,
}

impl InvalidId {
    /// `INVALID_INPUT` for an id that a caller sent in this field.
    pub fn of(self, field: &'static str) -> Error {
        Error::invalid(Detail::expected(field, self.expected, self.pattern))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and wraps an id.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&[u8]) -> bool = $valid;
                if valid(text.as_bytes()) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { expected: $expected, pattern: $pattern })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

fn digits(text: &[u8], lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// 1 to 64 characters that need no escape anywhere.
fn token(text: &[u8]) -> bool {
    (1..=64).contains(&text.len())
        && text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-'))
}

id!(
    /// A tenant: one bank, regulator or team; nothing is ever visible across tenants.
    TenantId,
    "must be 1 to 63 lower-case letters, digits or hyphens and start with a letter",
    "^[a-z][a-z0-9-]{0,62}$",
    |text| {
        (1..=63).contains(&text.len())
            && text[0].is_ascii_lowercase()
            && text.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-')
    }
);
id!(
    /// A client of a tenant; the caller chooses it.
    ClientId,
    "must be 1 to 12 digits",
    "^[0-9]{1,12}$",
    |text| digits(text, 1..=12)
);
id!(
    /// An account within a tenant.
    AccountId,
    "must be 10 digits",
    "^[0-9]{10}$",
    |text| digits(text, 10..=10)
);
id!(
    /// One account's entry; unique within a tenant, whatever its timestamp.
    TransactionId,
    "must be 1 to 64 letters, digits, '.', '_', ':' or '-'",
    "^[A-Za-z0-9._:-]{1,64}$",
    token
);
id!(
    /// A payment; made by us.
    PaymentId,
    "must be 1 to 64 letters, digits, '.', '_', ':' or '-'",
    "^[A-Za-z0-9._:-]{1,64}$",
    token
);
id!(
    /// A portfolio; the caller chooses it.
    PortfolioId,
    "must be 1 to 64 letters, digits, '.', '_', ':' or '-'",
    "^[A-Za-z0-9._:-]{1,64}$",
    token
);
id!(
    /// An instrument: an ISIN, or an id of the caller's.
    InstrumentId,
    "must be 1 to 64 letters, digits, '.', '_', ':' or '-'",
    "^[A-Za-z0-9._:-]{1,64}$",
    token
);
id!(
    /// A trade within a portfolio; the caller chooses it.
    TradeId,
    "must be 1 to 64 letters, digits, '.', '_', ':' or '-'",
    "^[A-Za-z0-9._:-]{1,64}$",
    token
);
id!(
    /// A user of a tenant; made by us of the user's name, which it does not tell.
    UserId,
    "must be 32 hex digits",
    "^[0-9a-f]{32}$",
    |text| text.len() == 32 && text.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_are_ten_digits() {
        assert!(AccountId::new("0000000001").is_ok());
        for bad in ["", "123", "12345678901", "12345abcde", "１２３４５６７８９０"] {
            assert_eq!(AccountId::new(bad).unwrap_err().to_string(), "must be 10 digits");
        }
    }

    #[test]
    fn tenants_start_with_a_letter() {
        assert!(TenantId::new("sandbox").is_ok());
        for bad in ["", "-a", "9a", "A", "a b", "a/b"] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
    }
}
