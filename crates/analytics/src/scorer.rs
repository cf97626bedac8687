//! Scores clients: gathers the inputs, computes, writes the row and tells of the change.
//!
//! A row is written only if it still has the revision that was read *before* the inputs. Every scoring, also one that changes
//! nothing, counts the revision up; so scorings of a client are in one order, each rests on inputs read after the one before it was
//! written, and an older result never stands over a newer one, whoever computes.

use crate::cached::ScoreCache;
use crate::domain::standing::Standing;
use crate::error::Error;

use crate::inputs::Gather;
use crate::news::News;
use crate::reference::InUse;
use crate::repo::scores::Scores;
use bus::outbox::Intents;
use risk::{Model, RefData};
use riskmesh_core::{ClientId, Clock, TenantId};
use std::sync::Arc;
use store::race::Race;

/// Scores clients.
#[derive(Clone)]
pub(crate) struct Scorer {
    pub(crate) gather: Gather,
    pub(crate) scores: Scores,
    pub(crate) news: News,
    pub(crate) cache: ScoreCache,
    pub(crate) model: Arc<Model>,
    pub(crate) refdata: InUse,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Scorer {
    /// Scores a client by what is known of it now. None if it does not exist; it has no score then, and is in no list.
    ///
    /// When this returns, the score is durable and has been told of. After an error, or if this is dropped, it may have been
    /// written; what is left to do is then done by the next scoring or by the relay, whichever comes first.
    pub(crate) async fn score(
        &self,
        tenant: &TenantId,
        client: &ClientId,
    ) -> Result<Option<Standing>, Error> {
        let mut intents = None;
        let mut race = Race::default();
        while race.again((tenant, client)).await {
            let before = self.scores.latest(tenant, client).await?;
            if let Some(before) = before.as_ref().filter(|before| before.pending.is_some()) {
                // The row that replaces this one has no room for its news.
                self.news.tell(tenant, before).await?;
            }
            let refdata = self.refdata.current();
            let Some(after) = self.next(tenant, client, before.as_ref(), &refdata).await? else {
                settle(&self.news, intents).await;
                return Ok(None);
            };
            if after.pending.is_some() && intents.is_none() {
                intents = Some(self.news.intend(tenant, client).await?);
            }
            self.cache.changes(tenant, &after).await;
            if !self.scores.replace(tenant, before.as_ref(), &after).await? {
                continue;
            }
            self.cache.changed(tenant, &after).await;
            if after.pending.is_some() {
                self.news.tell(tenant, &after).await?;
            } else if after.deleted {
                self.news.place(tenant, &after).await?;
            }
            if !after.deleted && !self.refdata.is_current(&refdata) {
                // The sweep that brings scores up to what is in use now may have passed by here before.
                continue;
            }
            settle(&self.news, intents).await;
            return Ok((!after.deleted).then_some(after));
        }
        Err(Error::Contended { doing: "write score" })
    }

    /// The row that follows, from inputs read now; none if there was none and there shall be none.
    async fn next(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        before: Option<&Standing>,
        refdata: &Arc<RefData>,
    ) -> Result<Option<Standing>, Error> {
        let Some(inputs) = self.gather.of(tenant, client, refdata).await? else {
            return Ok(before.map(Standing::gone));
        };
        let score = inputs.score(&self.model, refdata).await?;
        let now = self.clock.now();
        Ok(Some(match before {
            Some(before) if before.deleted => before.reborn(&score, &self.model, now),
            Some(before) => before.next(&score, &self.model, now),
            None => {
                let ordinal = self.news.list.reserve(tenant).await?;
                Standing::first(client.clone(), &score, ordinal, &self.model, now)
            }
        }))
    }
}

async fn settle(news: &News, intents: Option<Intents>) {
    if let Some(intents) = intents {
        news.settle(intents).await;
    }
}
