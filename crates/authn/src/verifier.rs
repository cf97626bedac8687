//! Checks access tokens, locally: signature, algorithm, issuer, audience, time.
//!
//! The algorithm is the key's, never the header's: `none`, an HMAC keyed with a public key, or a key of another kind are refused
//! (RFC 8725). Every refusal is `AUTH_TOKEN_INVALID` or `AUTH_TOKEN_EXPIRED` and says no more; the reason goes to the log.

use crate::cache::Cache;
use crate::claims::Claims;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use riskmesh_core::{Clock, Error, ErrorCode, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_LEN: usize = 8192;

/// How far a token's `nbf` may lie ahead of our clock: machines disagree. `exp` has no leeway.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The most keys of an issuer that are kept.
const MAX_KEYS: usize = 64;

struct Key {
    decoding: DecodingKey,
    validation: Validation,
}

/// Keys with what was verified by them: replaced together, so nothing outlives the key that vouched for it.
#[derive(Default)]
struct KeySet {
    keys: HashMap<String, Key>,
    cache: Cache,
}

/// Verifies tokens of one issuer for one audience; share it in an `Arc`.
pub struct Verifier {
    keys: RwLock<Arc<KeySet>>,
    issuer: String,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier with these public keys. Keys without an id, for other uses or of kinds that we do not take are left out.
    pub fn new(
        jwks: &JwkSet,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let verifier =
            Self { keys: RwLock::default(), issuer: issuer.into(), audience: audience.into(), clock };
        verifier.replace_keys(jwks);
        verifier
    }

    /// Takes these keys instead of the ones so far; verifications made with the old ones are forgotten.
    pub fn replace_keys(&self, jwks: &JwkSet) {
        let keys = jwks.keys.iter().filter_map(|jwk| self.key(jwk)).take(MAX_KEYS).collect();
        let fresh = Arc::new(KeySet { keys, cache: Cache::default() });
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    fn key(&self, jwk: &Jwk) -> Option<(String, Key)> {
        let kid = jwk.common.key_id.clone()?;
        let signs = jwk
            .common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| matches!(usage, jsonwebtoken::jwk::PublicKeyUse::Signature));
        if !signs {
            return None;
        }
        let mut validation = Validation::new(algorithm(jwk)?);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Time is ours to check: the library reads the machine's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Some((kid, Key { decoding: DecodingKey::from_jwk(jwk).ok()?, validation }))
    }

    /// The claims of a valid token: `AUTH_TOKEN_EXPIRED` past its time, `AUTH_TOKEN_INVALID` for anything else that is wrong.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(invalid("longer than allowed"));
        }
        let now = self.clock.now();
        let set = self.key_set();
        let fingerprint = Cache::fingerprint(token);
        if let Some(claims) = set.cache.get(&fingerprint, now) {
            return Ok(claims);
        }
        let claims = Arc::new(set.check_signature(token)?);
        if claims.expires_at() <= now {
            return Err(Error::new(ErrorCode::TokenExpired));
        }
        if claims.nbf.saturating_mul(1000) > now.plus(LEEWAY).millis() {
            return Err(invalid("not valid yet"));
        }
        set.cache.insert(fingerprint, Arc::clone(&claims), now);
        Ok(claims)
    }

    fn key_set(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeySet {
    fn check_signature(&self, token: &str) -> Result<Claims> {
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        if header.crit.is_some() {
            return Err(invalid("critical header extensions are not understood"));
        }
        let kid = header.kid.ok_or_else(|| invalid("names no key"))?;
        let key = self.keys.get(&kid).ok_or_else(|| invalid("signed with an unknown key"))?;
        // Refuses where the header's algorithm is not the key's.
        let token = jsonwebtoken::decode::<Claims>(token, &key.decoding, &key.validation).map_err(invalid)?;
        Ok(token.claims)
    }
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorCode::TokenInvalid).because(reason)
}

/// The one algorithm that a key is for; `None` for symmetric keys and kinds that we do not take.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let by_kind = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    let stated = jwk.common.key_algorithm.map(|stated| stated.to_string());
    stated.is_none_or(|stated| stated == format!("{by_kind:?}")).then_some(by_kind)
}

#[cfg(test)]
pub(crate) mod tests;
