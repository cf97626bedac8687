//! Answers what callers ask: one client's risk, a page of all, or a page of one's history. Both versions of the API read here.

use crate::cached::{ScoreCache, Shown};
use crate::domain::change::Change;
use crate::domain::standing::Standing;
use crate::repo::history::History;
use crate::repo::list::List;
use crate::repo::scores::Scores;
use crate::scorer::Scorer;
use crate::upstream::Upstream;
use riskmesh_core::{ClientId, Error, ErrorCode, TenantId};
use store::list::{Listed, Ordinal, Start};

/// Reads scores.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) cache: ScoreCache,
    pub(crate) scores: Scores,
    pub(crate) history: History,
    pub(crate) list: List,
    pub(crate) scorer: Scorer,
    pub(crate) upstream: Upstream,
}

impl Reader {
    /// A client's risk. One that was just created and has no score yet is scored now, by the same code as ever.
    pub(crate) async fn get(&self, tenant: &TenantId, client: &ClientId) -> Result<Shown, Error> {
        let load = {
            let (reader, tenant, client) = (self.clone(), tenant.clone(), client.clone());
            move || async move { reader.standing(&tenant, &client).await.map(Shown::from) }
        };
        self.cache.get(tenant, client, load).await
    }

    /// Where a client stands, from the store.
    pub(crate) async fn standing(&self, tenant: &TenantId, client: &ClientId) -> Result<Standing, Error> {
        let standing = match self.scores.get(tenant, client).await? {
            Some(standing) if !standing.deleted => Some(standing),
            // Asked first, so that no question writes anything for a client that does not exist.
            _ if self.upstream.client(tenant, client).await?.is_none() => None,
            _ => self.scorer.score(tenant, client).await?,
        };
        standing.ok_or_else(|| missing(client))
    }

    /// A page of a client's history, the newest change first.
    pub(crate) async fn history(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Change>, Error> {
        let standing = self.standing(tenant, client).await?;
        if standing.pending.is_some() {
            // It is being told of now: its row may not be there yet.
            self.history.keep(tenant, &Change::last_of(&standing)).await?;
        }
        let newest = match start {
            Start::Offset(skip) => standing.change.saturating_sub_unsigned(skip),
            Start::After(Ordinal(number)) => number.cast_signed() - 1,
        };
        let changes = self.history.newest_first(tenant, client, standing.born..=newest, limit).await?;
        let next = changes.last().filter(|last| last.number > standing.born);
        Ok(Listed {
            places: changes.len(),
            total: (standing.change + 1 - standing.born).cast_unsigned(),
            next: next.map(|last| Ordinal(last.number.cast_unsigned())),
            items: changes,
        })
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

/// The client does not exist, or does not any more.
pub(crate) fn missing(client: &ClientId) -> Error {
    Error::not_found(ErrorCode::ClientNotFound, "clientId", client.as_str())
}
