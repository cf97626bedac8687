//! Currency and country codes, packed.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Invalid;

macro_rules! code_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $field:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes exactly this many letters A to Z; lower case is refused, as in the contract.
            pub fn new(code: &str) -> Result<Self, Invalid> {
                code.as_bytes()
                    .try_into()
                    .ok()
                    .and_then(Self::from_bytes)
                    .ok_or(Invalid { field: $field, expected: $expected })
            }

            /// The code of these letters, for constants: with anything but A to Z it does not compile there.
            pub const fn of(letters: &[u8; $len]) -> Self {
                let mut at = 0;
                while at < $len {
                    assert!(letters[at].is_ascii_uppercase(), "letters A to Z");
                    at += 1;
                }
                Self(*letters)
            }

            /// The same from raw bytes.
            pub fn from_bytes(bytes: [u8; $len]) -> Option<Self> {
                bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
            }

            /// The letters.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The letters as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or_default()
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
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

code_type!(
    /// An ISO 4217 currency code.
    Currency, 3, "currency", "three letters A to Z (ISO 4217)"
);
code_type!(
    /// An ISO 3166-1 alpha-2 country code. Namibia's is `NA`.
    Country, 2, "country", "two letters A to Z (ISO 3166-1 alpha-2)"
);

impl Country {
    /// How many codes there could be.
    pub(crate) const INDICES: usize = 26 * 26;

    /// Its place among all codes there could be.
    pub(crate) fn index(self) -> usize {
        let [first, second] = self.0.map(|letter| usize::from(letter - b'A'));
        26 * first + second
    }
}

impl Currency {
    /// The euro: the base currency of flows.
    pub const EUR: Self = Self::of(b"EUR");

    /// How many decimal places its minor unit has (ISO 4217, list one): 2 unless the list says otherwise.
    pub fn exponent(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_are_upper_case_letters_of_the_right_length() {
        assert_eq!(Country::new("NA").unwrap().as_str(), "NA");
        for bad in ["", "N", "na", "N1", "NAM", "Ä"] {
            assert!(Country::new(bad).is_err(), "{bad}");
        }
        assert!(Currency::new("EURO").is_err());
        assert_eq!(Currency::new("EUR").unwrap(), Currency::EUR);
    }

    #[test]
    fn every_country_code_has_a_place_of_its_own() {
        let letters = || b'A'..=b'Z';
        let all =
            letters().flat_map(|a| letters().map(move |b| Country::from_bytes([a, b]).unwrap().index()));
        assert!(all.eq(0..Country::INDICES));
    }

    #[test]
    fn minor_units_follow_iso_4217() {
        let exponent = |code| Currency::new(code).unwrap().exponent();
        assert_eq!((exponent("EUR"), exponent("JPY"), exponent("KWD"), exponent("NAD")), (2, 0, 3, 2));
    }
}
