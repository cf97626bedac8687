//! What is known of a client apart from its transactions. Everything is optional: an unknown input has its own points and
//! its own reason code, it is never taken for harmless.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::{Invalid, code::Country};

/// A natural person, or anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientType {
    /// A natural person.
    Individual,
    /// A legal person or arrangement.
    Company,
}

/// An economic activity in the manner of ISIC Rev. 4: a section letter A to U, then up to four digits (`K`, `K64`, `R9200`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Industry {
    bytes: [u8; 5],
    len: u8,
}

impl Industry {
    /// Takes a section letter and up to four digits.
    pub fn new(code: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { field: "industry", expected: "an ISIC section A to U and up to four digits" };
        let source = code.as_bytes();
        let (section, digits) = source.split_first().ok_or(invalid)?;
        if !(b'A'..=b'U').contains(section) || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(invalid);
        }
        let mut bytes = [0; 5];
        bytes[..source.len()].copy_from_slice(source);
        Ok(Self { bytes, len: source.len() as u8 })
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for Industry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Industry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Industry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The inputs of a score that do not come from transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClientProfile {
    /// Person or company.
    pub client_type: Option<ClientType>,
    /// Where the client lives or has its seat.
    pub residence: Option<Country>,
    /// A person's nationality.
    pub nationality: Option<Country>,
    /// Where a company is incorporated.
    pub incorporation: Option<Country>,
    /// What a company does (or a person's occupation, if it is recorded so).
    pub industry: Option<Industry>,
    /// How many owners' layers lie between a company and the natural persons behind it; 0 = held directly.
    pub ownership_layers: Option<u8>,
    /// Whether private banking is used.
    pub private_banking: Option<bool>,
    /// When the relationship began, milliseconds since the epoch.
    pub onboarded_at_ms: Option<i64>,
    /// When the client was last reviewed, milliseconds since the epoch.
    pub last_reviewed_at_ms: Option<i64>,
}

impl ClientProfile {
    /// The country against which a flow crosses a border: residence, else incorporation.
    pub fn home(&self) -> Option<Country> {
        self.residence.or(self.incorporation)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn industries_are_a_section_and_digits() {
        for good in ["A", "K64", "R9200", "U9900"] {
            assert_eq!(Industry::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "V", "k64", "64", "K64199", "K-1", "Ü"] {
            assert!(Industry::new(bad).is_err(), "{bad}");
        }
    }
}
