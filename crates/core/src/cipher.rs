//! Authenticated encryption for what must not be readable at rest: names, addresses, account details, secrets, cursors.
//!
//! AES-256-GCM-SIV (RFC 8452) from aws-lc-rs. A sealed value is `version | key id | nonce | ciphertext`, so keys can rotate; the
//! associated data binds it to its place (table, key, column): a value copied elsewhere does not open.

use crate::error::{Error, ErrorCode};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

const NONCE_LEN: usize = 12;
const VERSION: u8 = 1;

/// One 256-bit key; prints no secret.
#[derive(Clone)]
pub struct Key(Arc<LessSafeKey>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// A key of these 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, Error> {
        let key =
            UnboundKey::new(&AES_256_GCM_SIV, bytes).map_err(|_| Error::internal("load encryption key"))?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// A fresh random key.
    pub fn random() -> Result<Self, Error> {
        Self::new(&random_bytes()?)
    }

    /// Encrypts `plain`; `associated` must be given again to open.
    pub fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM_SIV.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated),
                &mut sealed[NONCE_LEN..],
            )
            .map_err(|_| Error::internal("encrypt"))?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts what [`Key::seal`] gave for the same associated data.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let refused = || Error::internal("decrypt");
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        let mut buffer = rest.to_vec();
        let plain = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(associated), &mut buffer)
            .map_err(|_| refused())?;
        let len = plain.len();
        buffer.truncate(len);
        Ok(buffer)
    }
}

/// The keys for columns at rest: one that encrypts, the older ones that still open, and the one of the blind index.
#[derive(Clone, Debug)]
pub struct ColumnCipher {
    current: u32,
    keys: BTreeMap<u32, Key>,
    index: hmac::Key,
}

/// Where a sealed value stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The row's key, in one unambiguous text.
    pub key: &'a str,
    /// The column.
    pub column: &'a str,
}

impl Place<'_> {
    fn associated_data(&self, key_id: u32) -> Vec<u8> {
        let mut data = Vec::with_capacity(20 + self.table.len() + self.key.len() + self.column.len());
        data.push(VERSION);
        data.extend_from_slice(&key_id.to_be_bytes());
        for part in [self.table, self.key, self.column] {
            data.extend_from_slice(&(part.len() as u32).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

impl ColumnCipher {
    /// A cipher that encrypts under key `current`, which must be among `keys`. The key of the index is for ever: under another one
    /// nothing would be found again.
    pub fn new(current: u32, keys: BTreeMap<u32, Key>, index: &[u8; 32]) -> Result<Self, Error> {
        if keys.contains_key(&current) {
            Ok(Self { current, keys, index: hmac::Key::new(hmac::HMAC_SHA256, index) })
        } else {
            Err(Error::internal("the current encryption key is missing"))
        }
    }

    /// Seals one column's value for its place.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.key(self.current)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&self.current.to_be_bytes());
        sealed.extend(key.seal(&place.associated_data(self.current), plain)?);
        Ok(sealed)
    }

    /// Opens one column's value, under whichever key sealed it.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let Some((&[VERSION, a, b, c, d], rest)) = sealed.split_first_chunk::<5>() else {
            return Err(Error::internal("decrypt"));
        };
        let key_id = u32::from_be_bytes([a, b, c, d]);
        self.key(key_id)?.open(&place.associated_data(key_id), rest)
    }

    /// The blind index of a value: equal values of one column have equal ones, and without the key nobody can try values out
    /// (HMAC-SHA-256, cut to 128 bits).
    pub fn index(&self, table: &str, column: &str, plain: &[u8]) -> [u8; 16] {
        let mut mac = hmac::Context::with_key(&self.index);
        for part in [table, column] {
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(plain);
        let mut index = [0; 16];
        index.copy_from_slice(&mac.sign().as_ref()[..16]);
        index
    }

    fn key(&self, id: u32) -> Result<&Key, Error> {
        self.keys
            .get(&id)
            .ok_or_else(|| Error::new(ErrorCode::Internal).because("an encryption key is missing"))
    }
}

/// Random bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("read random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Place<'static> = Place { table: "clients", key: "sandbox/1", column: "name" };

    #[test]
    fn a_value_opens_in_its_place_only() {
        let cipher = ColumnCipher::new(1, BTreeMap::from([(1, Key::random().unwrap())]), &[7; 32]).unwrap();
        let sealed = cipher.seal(NAME, b"Ada").unwrap();
        assert!(!sealed.windows(3).any(|window| window == b"Ada"));
        assert_eq!(cipher.open(NAME, &sealed).unwrap(), b"Ada");
        assert!(cipher.open(Place { key: "sandbox/2", ..NAME }, &sealed).is_err());
        assert!(cipher.open(Place { column: "address", ..NAME }, &sealed).is_err());
        assert!(cipher.open(NAME, &sealed[..sealed.len() - 1]).is_err());
        assert!(cipher.open(NAME, b"").is_err());
    }

    #[test]
    fn an_index_is_of_a_value_a_column_and_a_key() {
        let cipher =
            |index| ColumnCipher::new(1, BTreeMap::from([(1, Key::random().unwrap())]), index).unwrap();
        let (one, same, other) = (cipher(&[1; 32]), cipher(&[1; 32]), cipher(&[2; 32]));
        let index = one.index("clients", "name", b"Ada");
        assert_eq!(same.index("clients", "name", b"Ada"), index);
        assert_ne!(other.index("clients", "name", b"Ada"), index);
        for (table, column, plain) in
            [("clients", "name", "Adb"), ("clientsn", "ame", "Ada"), ("clients", "nam", "eAda")]
        {
            assert_ne!(one.index(table, column, plain.as_bytes()), index);
        }
    }

    #[test]
    fn old_keys_open_after_rotation() {
        let (old, new) = (Key::random().unwrap(), Key::random().unwrap());
        let before = ColumnCipher::new(1, BTreeMap::from([(1, old.clone())]), &[7; 32]).unwrap();
        let after = ColumnCipher::new(2, BTreeMap::from([(1, old), (2, new)]), &[7; 32]).unwrap();
        let sealed = before.seal(NAME, b"Ada").unwrap();
        assert_eq!(after.open(NAME, &sealed).unwrap(), b"Ada");
        assert!(before.open(NAME, &after.seal(NAME, b"Ada").unwrap()).is_err());
    }
}
