//! Passwords: hashed with argon2id (RFC 9106), each with a salt of its own, in the PHC string format.
//!
//! One hash takes 19 MiB and two passes, as OWASP's cheat sheet on password storage has it: some tens of milliseconds, which is nothing to
//! a user and much to somebody who tries a list out.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use riskmesh_core::cipher::random_bytes;
use riskmesh_core::{Error, Result};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB.
const MEMORY: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Hashes made at once: their memory is bounded, and other work has processors left.
const AT_ONCE: usize = 2;

/// The hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

impl Hash {
    /// Hashes a password with a new salt. Keeps a processor busy for some tens of milliseconds.
    pub fn of(password: &str) -> Result<Self> {
        let doing = "hash a password";
        let params = Params::new(MEMORY, PASSES, 1, None);
        let params = params.map_err(|error| Error::internal(doing).because(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(password.as_bytes(), &random_bytes::<16>()?);
        let hash = hash.map_err(|error| Error::internal(doing).because(error.to_string()))?;
        Ok(Self(hash.to_string()))
    }

    /// Whether it is this password's. Takes as long as [`Hash::of`], by the parameters that the hash was made with.
    pub fn fits(&self, password: &str) -> bool {
        let hash = PasswordHash::new(&self.0);
        hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// From its text; none for a text that is no hash.
    pub(crate) fn parse(text: String) -> Option<Self> {
        PasswordHash::new(&text).is_ok().then_some(Self(text))
    }

    /// As it is stored, sealed.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes passwords aside from other work, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Hashing(Arc<Semaphore>);

impl Default for Hashing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Hashing {
    /// The hash of a password. Who gives up waiting gives up his turn; a hash that has begun is finished.
    pub(crate) async fn hash(&self, password: String) -> Result<Hash> {
        let doing = |error: &dyn fmt::Display| Error::internal("hash a password").because(error.to_string());
        let turn = self.0.clone().acquire_owned().await.map_err(|error| doing(&error))?;
        let hashed = tokio::task::spawn_blocking(move || {
            let hash = Hash::of(&password);
            drop(turn);
            hash
        });
        hashed.await.map_err(|error| doing(&error))?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_hash_fits_its_password_and_no_other() {
        let hash = Hash::of("correct horse battery").unwrap();
        assert!(hash.fits("correct horse battery"));
        for other in ["", "correct horse batterz", "correct horse battery ", "Correct horse battery"] {
            assert!(!hash.fits(other), "{other}");
        }
        assert_ne!(Hash::of("correct horse battery").unwrap(), hash, "the salt is another one");
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_eq!(format!("{hash:?}"), "Hash(…)");
    }

    #[test]
    fn a_hash_by_other_parameters_still_counts() {
        let params = Params::new(1024, 3, 2, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let other = argon2.hash_password_with_salt(b"correct horse battery", b"0123456789abcdef").unwrap();
        let hash = Hash::parse(other.to_string()).unwrap();
        assert!(hash.fits("correct horse battery") && !hash.fits("password"));
        assert_eq!(Hash::parse("plain".into()), None);
    }

    #[test]
    fn the_function_is_the_standard_s() {
        // RFC 9106, section 5.3.
        let params = argon2::ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
            .build()
            .unwrap();
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        assert_eq!(hex::encode(tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
    }
}
