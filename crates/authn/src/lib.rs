//! Who is calling: access tokens (JWT, RFC 7519 and 9068) are issued here, verified locally by every service, and never asked
//! about over the network.
//!
//! [`Issuer`] signs with the Ed25519 key of [`Keys`]; [`Verifier`] checks with public keys only ([`Jwks`]), so any OIDC issuer can
//! take the issuer's place. [`AuthnLayer`] is the interceptor in front of every service; [`caller`] gives its handlers the
//! [`Claims`]. [`ServiceTokens`] are what a workload calls others with when no caller's token is at hand.

mod cache;
mod claims;
mod issuer;
mod keys;
mod layer;
mod service_tokens;
mod verifier;

pub use claims::{Claims, Role, UnknownRole};
pub use issuer::{Grant, Issuer, MAX_TTL};
pub use jsonwebtoken::jwk::JwkSet as Jwks;
pub use keys::{Error as KeyError, Keys, SigningKey};
pub use layer::{Authn, AuthnLayer, bearer, caller};
pub use service_tokens::{Credentials, ServiceTokens};
pub use verifier::{LEEWAY, MAX_TOKEN_LEN, Verifier};
