//! What a workload shows when it calls on its own behalf: a short-lived token of role `service` for one tenant.

use crate::claims::Role;
use crate::issuer::{Grant, Issuer};
use http::HeaderValue;
use riskmesh_core::{Error, Result, TenantId, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a token lives.
const TTL: Duration = Duration::from_mins(5);
/// How long one is handed out: what is left must cover the longest call and skewed clocks.
const USE_FOR: Duration = Duration::from_secs(200);
/// The most tenants whose tokens are kept.
const CAPACITY: usize = 10_000;

/// Where a workload's credentials come from: the issuer in the same process, or the `auth` role over the network.
#[async_trait::async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// The value of an `authorization` header that lets the workload act in a tenant.
    async fn token(&self, tenant: &TenantId) -> Result<HeaderValue>;
}

/// [`Credentials`] from an [`Issuer`] in the same process, kept and renewed.
pub struct ServiceTokens {
    issuer: Arc<Issuer>,
    subject: String,
    kept: Mutex<HashMap<TenantId, (HeaderValue, Timestamp)>>,
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTokens").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl ServiceTokens {
    /// Tokens for a workload, the name of its role: `analytics` becomes the subject `service:analytics`.
    pub fn new(issuer: Arc<Issuer>, workload: &str) -> Self {
        Self { issuer, subject: format!("service:{workload}"), kept: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Credentials for ServiceTokens {
    async fn token(&self, tenant: &TenantId) -> Result<HeaderValue> {
        let now = self.issuer.clock().now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((value, _)) = kept.get(tenant).filter(|(_, until)| now < *until) {
            return Ok(value.clone());
        }
        let token = self.issuer.issue(&Grant {
            sub: self.subject.clone(),
            user_id: None,
            role: Role::Service,
            tenant: tenant.clone(),
            scope: Vec::new(),
            client_id: None,
            ttl: TTL,
        })?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|error| Error::internal("make an authorization header").because(error))?;
        value.set_sensitive(true);
        if kept.len() >= CAPACITY {
            kept.retain(|_, (_, until)| now < *until);
        }
        if kept.len() < CAPACITY {
            kept.insert(tenant.clone(), (value.clone(), now.plus(USE_FOR)));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::verifier::tests::World;

    #[tokio::test]
    async fn a_token_is_kept_a_while_and_renewed_before_it_expires() {
        let world = World::new();
        let verifier = world.verifier();
        let tokens = ServiceTokens::new(Arc::new(world.issuer()), "analytics");
        let (one, two) = (TenantId::new("one").unwrap(), TenantId::new("two").unwrap());
        let first = tokens.token(&one).await.unwrap();
        assert_eq!(tokens.token(&one).await.unwrap(), first);
        assert_ne!(tokens.token(&two).await.unwrap(), first);
        assert!(first.is_sensitive());

        let claims = verifier.verify(&first.to_str().unwrap()["Bearer ".len()..]).unwrap();
        assert_eq!(
            (claims.sub.as_str(), claims.role, &claims.tenant),
            ("service:analytics", Role::Service, &one)
        );

        world.clock.advance(USE_FOR);
        let renewed = tokens.token(&one).await.unwrap();
        assert_ne!(renewed, first);
        assert!(
            verifier.verify(&first.to_str().unwrap()["Bearer ".len()..]).is_ok(),
            "the old one still holds"
        );
    }
}
