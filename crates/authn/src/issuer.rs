//! Makes access tokens.

use crate::claims::{Claims, Role};
use crate::keys::Keys;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use riskmesh_core::cipher::random_bytes;
use riskmesh_core::{Clock, Detail, Error, Result, TenantId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a token may live.
pub const MAX_TTL: Duration = Duration::from_hours(30 * 24);

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whom it stands for: a user, an API client, or `service:<workload>`.
    pub sub: String,
    /// The user's id, where a person acts.
    pub user_id: Option<String>,
    /// The role.
    pub role: Role,
    /// The tenant.
    pub tenant: TenantId,
    /// The permissions it is limited to; for a client these are all it has, for others none means no limit.
    pub scope: Vec<String>,
    /// The API client it is issued to.
    pub client_id: Option<String>,
    /// How long it lives: one second to [`MAX_TTL`], whole seconds.
    pub ttl: Duration,
}

/// Signs tokens with an issuer's key.
#[derive(Clone)]
pub struct Issuer {
    keys: Arc<Keys>,
    name: String,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("name", &self.name)
            .field("key", self.keys.signing())
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer of this name (`iss`) for this audience (`aud`).
    pub fn new(
        keys: Arc<Keys>,
        name: impl Into<String>,
        audience: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { keys, name: name.into(), audience: audience.into(), clock }
    }

    /// A signed token. `INVALID_INPUT` for a lifetime out of bounds.
    pub fn issue(&self, grant: &Grant) -> Result<String> {
        let ttl = i64::try_from(grant.ttl.as_secs()).unwrap_or(i64::MAX);
        if ttl < 1 || grant.ttl > MAX_TTL {
            return Err(Error::invalid(Detail::expected("ttl", "must be 1 second to 30 days", "1s..30d")));
        }
        let now = self.clock.now().seconds();
        let claims = Claims {
            sub: grant.sub.clone(),
            user_id: grant.user_id.clone(),
            role: grant.role,
            tenant: grant.tenant.clone(),
            scope: grant.scope.clone(),
            client_id: grant.client_id.clone(),
            iss: self.name.clone(),
            aud: vec![self.audience.clone()],
            iat: now,
            nbf: now,
            exp: now.saturating_add(ttl),
            jti: URL_SAFE_NO_PAD.encode(random_bytes::<16>()?),
        };
        let signing = self.keys.signing();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(signing.kid().to_owned());
        jsonwebtoken::encode(&header, &claims, signing.encoding_key())
            .map_err(|error| Error::internal("sign a token").because(error))
    }

    /// The public keys, for `/.well-known/jwks.json` and verifiers.
    pub fn jwks(&self) -> jsonwebtoken::jwk::JwkSet {
        self.keys.jwks()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}
