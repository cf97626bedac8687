//! Answers what callers ask: one client's risk, or a page of all. Both versions of the API read here.

use crate::cached::{ScoreCache, Shown};
use crate::repo::list::List;
use crate::repo::scores::Scores;
use crate::scorer::Scorer;
use crate::upstream::Upstream;
use riskmesh_core::{ClientId, Error, ErrorCode, TenantId};
use store::list::{Listed, Start};

/// Reads scores.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) cache: ScoreCache,
    pub(crate) scores: Scores,
    pub(crate) list: List,
    pub(crate) scorer: Scorer,
    pub(crate) upstream: Upstream,
}

impl Reader {
    /// A client's risk. One that was just created and has no score yet is scored now, by the same code as ever.
    pub(crate) async fn get(&self, tenant: &TenantId, client: &ClientId) -> Result<Shown, Error> {
        let load = {
            let (reader, tenant, client) = (self.clone(), tenant.clone(), client.clone());
            move || async move { reader.load(&tenant, &client).await }
        };
        self.cache.get(tenant, client, load).await
    }

    async fn load(&self, tenant: &TenantId, client: &ClientId) -> Result<Shown, Error> {
        let standing = match self.scores.get(tenant, client).await? {
            Some(standing) if !standing.deleted => Some(standing),
            // Asked first, so that no question writes anything for a client that does not exist.
            _ if self.upstream.client(tenant, client).await?.is_none() => None,
            _ => self.scorer.score(tenant, client).await?,
        };
        let missing = || Error::not_found(ErrorCode::ClientNotFound, "clientId", client.as_str());
        standing.map(Shown::from).ok_or_else(missing)
    }

    /// A page of the list of all clients that have a score. Always from the store: a page of cached risks would cost as much.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Shown>, Error> {
        let listed = self.list.page(tenant, start, limit).await?;
        let standings = self.scores.get_many(tenant, &listed.items).await?;
        Ok(listed.with(standings.into_iter().map(Shown::from).collect()))
    }
}
