//! Detached signatures of model and reference data files: Ed25519 (RFC 8032) over the file's bytes, 64 bytes in `FILE.sig`.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// An Ed25519 public key, written as 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// Why a file's signature does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("read signature {path}")]
    Read {
        /// Where it should be.
        path: std::path::PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// It is another file's, or another key's.
    #[error("the signature does not fit the file and the key")]
    Wrong,
}

impl PublicKey {
    /// Checks the signature beside a file.
    pub(crate) fn check(&self, file: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut path = file.as_os_str().to_owned();
        path.push(".sig");
        let signature = std::fs::read(&path).map_err(|source| Error::Read { path: path.into(), source })?;
        UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, &signature).map_err(|_| Error::Wrong)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let mut key = [0; 32];
        match hex::decode_to_slice(text, &mut key) {
            Ok(()) => Ok(Self(key)),
            Err(_) => Err("an Ed25519 public key has 64 hex digits"),
        }
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        hex::encode(key.0)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    #![allow(clippy::unwrap_used)]
    use super::PublicKey;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    /// A new key, and what signs with it.
    pub(crate) fn key() -> (PublicKey, impl Fn(&[u8]) -> Vec<u8>) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public = PublicKey(pair.public_key().as_ref().try_into().unwrap());
        (public, move |bytes: &[u8]| pair.sign(bytes).as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_64_hex_digits() {
        let text = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".to_owned();
        assert_eq!(String::from(PublicKey::try_from(text.clone()).unwrap()), text);
        for bad in [&text[1..], &format!("{text}0"), &text.replace('d', "+"), ""] {
            assert!(PublicKey::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_published_signature_holds() {
        // RFC 8032, section 7.1, test 2.
        let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".to_owned();
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
                         387b2eaeb4302aeeb00d291612bb0c00";
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file.sig"), hex::decode(signature).unwrap()).unwrap();
        let (key, file) = (PublicKey::try_from(key).unwrap(), directory.path().join("file"));
        key.check(&file, b"\x72").unwrap();
        assert!(matches!(key.check(&file, b"\x73"), Err(Error::Wrong)));
        assert!(matches!(key.check(&directory.path().join("other"), b"\x72"), Err(Error::Read { .. })));
    }
}
