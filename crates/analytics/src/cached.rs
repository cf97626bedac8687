//! Standings in the cache: what callers see of them, for five minutes at the most, and never an older one over a newer one.

use crate::domain::assessment::{Assessment, Reason};
use crate::domain::standing::Standing;
use bytes::Bytes;
use cache::{Cache, CacheAside, Config, Loaded, Value};
use prost::Message;
use risk::{Band, StateHash};
use riskmesh_core::{ClientId, Clock, Error, TenantId, Timestamp};
use std::sync::Arc;

/// What callers see of a client's risk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) client: ClientId,
    pub(crate) version: i64,
    pub(crate) updated_at: Timestamp,
    pub(crate) assessment: Assessment,
}

impl From<Standing> for Shown {
    fn from(standing: Standing) -> Self {
        let Standing { client, version, updated_at, assessment, .. } = standing;
        Self { client, version, updated_at, assessment }
    }
}

/// The cache of scores.
#[derive(Clone)]
pub(crate) struct ScoreCache(CacheAside<Shown>);

impl ScoreCache {
    pub(crate) fn new(cache: Arc<dyn Cache>, clock: Arc<dyn Clock>) -> Self {
        // The chance of early refreshes needs no secrecy and no variety: any seed is as good as another.
        Self(CacheAside::new(cache, clock, Config::new("risk-profile", 0x5c0e)))
    }

    /// A client's risk, from the cache or by `load`.
    pub(crate) async fn get<F, L>(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        load: L,
    ) -> Result<Shown, Error>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Shown, Error>> + Send + 'static,
    {
        let load = || async move {
            let shown = load().await?;
            Ok(Loaded { version: shown.version, value: shown })
        };
        self.0.get_or_load(&key(tenant, client), load).await
    }

    /// Another version of the row is about to be written: whatever becomes of that, older ones are not shown any more.
    pub(crate) async fn changes(&self, tenant: &TenantId, standing: &Standing) {
        self.0.announce(&key(tenant, &standing.client), standing.version).await;
    }

    /// Another version of the row was written: older ones are not shown any more.
    pub(crate) async fn changed(&self, tenant: &TenantId, standing: &Standing) {
        self.0.invalidate(&key(tenant, &standing.client), standing.version).await;
    }
}

fn key(tenant: &TenantId, client: &ClientId) -> String {
    format!("{tenant}/{client}")
}

/// How a value is kept.
#[derive(Clone, PartialEq, Message)]
struct Kept {
    #[prost(string, tag = "1")]
    client: String,
    #[prost(int64, tag = "2")]
    version: i64,
    #[prost(int64, tag = "3")]
    updated_at_ms: i64,
    #[prost(uint32, tag = "4")]
    score: u32,
    #[prost(string, tag = "5")]
    category: String,
    #[prost(uint32, tag = "6")]
    confidence_bp: u32,
    #[prost(message, repeated, tag = "7")]
    reasons: Vec<Reason>,
    #[prost(string, tag = "8")]
    model_version: String,
    #[prost(string, tag = "9")]
    refdata_version: String,
    #[prost(int64, tag = "10")]
    as_of_ms: i64,
    #[prost(bytes = "vec", tag = "11")]
    state_hash: Vec<u8>,
}

impl Value for Shown {
    fn encode(&self) -> Bytes {
        let assessment = &self.assessment;
        let kept = Kept {
            client: self.client.to_string(),
            version: self.version,
            updated_at_ms: self.updated_at.millis(),
            score: assessment.score.into(),
            category: assessment.category.as_str().to_owned(),
            confidence_bp: assessment.confidence_bp.into(),
            reasons: assessment.reasons.clone(),
            model_version: assessment.model_version.clone(),
            refdata_version: assessment.refdata_version.clone(),
            as_of_ms: assessment.as_of.millis(),
            state_hash: assessment.state_hash.0.to_vec(),
        };
        kept.encode_to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let kept = Kept::decode(bytes).ok()?;
        Some(Self {
            client: ClientId::new(&kept.client).ok()?,
            version: kept.version,
            updated_at: Timestamp(kept.updated_at_ms),
            assessment: Assessment {
                score: u8::try_from(kept.score).ok()?,
                category: band(&kept.category)?,
                confidence_bp: u16::try_from(kept.confidence_bp).ok()?,
                reasons: kept.reasons,
                model_version: kept.model_version,
                refdata_version: kept.refdata_version,
                as_of: Timestamp(kept.as_of_ms),
                state_hash: StateHash(kept.state_hash.try_into().ok()?),
            },
        })
    }
}

/// The band of this name.
pub(crate) fn band(name: &str) -> Option<Band> {
    [Band::Low, Band::Medium, Band::High].into_iter().find(|band| band.as_str() == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::assessment::tests::score;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_kept_comes_back(value in 0u8..=100, version in any::<i64>(), at in any::<i64>()) {
            let shown = Shown {
                client: ClientId::new("42").unwrap(),
                version,
                updated_at: Timestamp(at),
                assessment: Assessment::of(&score(value)),
            };
            prop_assert_eq!(Shown::decode(&shown.encode()), Some(shown));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Shown::decode(&bytes);
        }
    }
}
