//! Files with detached signatures: models and reference data that must be the operator's own. Ed25519 (RFC 8032) over the file's
//! bytes, 64 bytes in `FILE.sig`.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An Ed25519 public key, written as 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no signature beside it.
    #[error("{path} is not signed: read {signature}")]
    Unsigned {
        /// The file.
        path: PathBuf,
        /// Where its signature should be.
        signature: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The signature is another file's, or another key's.
    #[error("{path} is not what the key of signed-by signed")]
    Wrong {
        /// The file.
        path: PathBuf,
    },
}

/// A file's text; with a key, only if what is beside it is that key's signature of it.
pub fn read(path: &Path, signed_by: Option<&PublicKey>) -> Result<String, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if let Some(key) = signed_by {
        key.check(path, text.as_bytes())?;
    }
    Ok(text)
}

impl PublicKey {
    fn check(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut signature = path.as_os_str().to_owned();
        signature.push(".sig");
        let signature = PathBuf::from(signature);
        let signed = std::fs::read(&signature).map_err(|source| Error::Unsigned {
            path: path.to_owned(),
            signature,
            source,
        })?;
        let checked = UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, &signed);
        checked.map_err(|_| Error::Wrong { path: path.to_owned() })
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use testkit::signer::Signer;

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
        let file = directory.path().join("file");
        std::fs::write(directory.path().join("file.sig"), hex::decode(signature).unwrap()).unwrap();
        std::fs::write(&file, b"\x72").unwrap();
        assert_eq!(read(&file, Some(&PublicKey::try_from(key).unwrap())).unwrap(), "\x72");
    }

    #[test]
    fn with_a_key_only_what_it_signed_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("model.toml");
        let (signer, other) = (Signer::new().unwrap(), Signer::new().unwrap());
        let key = |signer: &Signer| PublicKey::try_from(signer.public_key()).unwrap();
        assert!(matches!(read(&file, Some(&key(&signer))), Err(Error::Read { .. })), "no file");
        std::fs::write(&file, "version = 1").unwrap();
        assert_eq!(read(&file, None).unwrap(), "version = 1", "without a key files are taken as they are");
        assert!(matches!(read(&file, Some(&key(&signer))), Err(Error::Unsigned { .. })), "no signature");
        signer.sign(&file).unwrap();
        assert_eq!(read(&file, Some(&key(&signer))).unwrap(), "version = 1");
        assert!(matches!(read(&file, Some(&key(&other))), Err(Error::Wrong { .. })), "another key");
        std::fs::write(&file, "version = 2").unwrap();
        assert!(matches!(read(&file, Some(&key(&signer))), Err(Error::Wrong { .. })), "changed since");
        std::fs::write(directory.path().join("model.toml.sig"), "short").unwrap();
        assert!(matches!(read(&file, Some(&key(&signer))), Err(Error::Wrong { .. })), "no signature at all");
    }
}
