//! What follows a changed score: its row in the history, its place in the list, and the events. The row says what is pending until all
//! are done; if the process dies before, the outbox's relay finds the row by its pointer and does the rest. The history comes first: who
//! is told of a change finds it there.

use crate::domain::change::Change;
use crate::domain::standing::{Pending, Standing};
use crate::error::{Doing as _, Error};
use crate::repo::history::History;
use crate::repo::list::List;
use crate::repo::scores::Scores;
use api::events::v1::RiskScoreChanged;
use async_trait::async_trait;
use bus::outbox::Intents;
use bus::{Bus, Event, Kind, Outbox, Outgoing, PendingSource, Pointer, event, kinds};
use riskmesh_core::{ClientId, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::race::Race;

/// The CloudEvents source of this service.
const SOURCE: &str = "/riskmesh/analytics";
/// The kind of its outbox pointers.
const SCORE: &str = "analytics.score";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tells of changed scores.
#[derive(Clone)]
pub(crate) struct News {
    pub(crate) scores: Scores,
    pub(crate) history: History,
    pub(crate) list: List,
    pub(crate) outbox: Outbox,
    pub(crate) bus: Arc<dyn Bus>,
}

impl News {
    /// Writes the pointer that must stand before a row with something pending is written.
    pub(crate) async fn intend(&self, tenant: &TenantId, client: &ClientId) -> Result<Intents, Error> {
        let pointer = Pointer::new(SCORE, format!("{tenant}\n{client}"));
        self.outbox.intend(vec![pointer]).await.doing("write outbox pointer")
    }

    /// Removes a pointer; what fails here is done by the relay.
    pub(crate) async fn settle(&self, intents: Intents) {
        if let Err(error) = self.outbox.settle(intents).await {
            tracing::warn!(%error, "outbox pointer left to the relay");
        }
    }

    /// Keeps the change in the history, puts the client where it belongs in the list, publishes what is pending and takes the mark off
    /// the row. To be repeated until it succeeds: whatever was done already is done again without harm.
    pub(crate) async fn tell(&self, tenant: &TenantId, standing: &Standing) -> Result<(), Error> {
        self.history.keep(tenant, &Change::last_of(standing)).await?;
        let mut topics: BTreeMap<&'static str, Vec<bus::Record>> = BTreeMap::new();
        for outgoing in events(tenant, standing) {
            topics.entry(outgoing.topic).or_default().push(outgoing.record);
        }
        let publish = async {
            for (topic, records) in topics {
                self.bus.publish(topic, records).await.doing("publish score change")?;
            }
            Ok(())
        };
        tokio::try_join!(self.place(tenant, standing), publish)?;
        self.scores.told(tenant, standing).await
    }

    /// Makes the list show the client, or not show it, as its row says. The row is read again afterwards: if it says otherwise by
    /// then, somebody's older word may have come last, so this is repeated.
    pub(crate) async fn place(&self, tenant: &TenantId, standing: &Standing) -> Result<(), Error> {
        let mut deleted = standing.deleted;
        let mut race = Race::default();
        while race.again((tenant, &standing.client)).await {
            self.list.place(tenant, &standing.client, standing.ordinal, !deleted).await?;
            match self.scores.latest(tenant, &standing.client).await? {
                Some(now) if now.deleted != deleted => deleted = now.deleted,
                _ => return Ok(()),
            }
        }
        Err(Error::Contended { doing: "place client in list" })
    }

    async fn pending(&self, reference: &[u8]) -> Result<Option<(TenantId, Standing)>, Failure> {
        let (tenant, client) =
            std::str::from_utf8(reference)?.split_once('\n').ok_or("reference of a score")?;
        let (tenant, client) = (TenantId::new(tenant)?, ClientId::new(client)?);
        let standing = self.scores.latest(&tenant, &client).await?;
        Ok(standing.filter(|standing| standing.pending.is_some()).map(|standing| (tenant, standing)))
    }
}

/// For the relay.
#[async_trait]
impl PendingSource for News {
    fn kind(&self) -> &'static str {
        SCORE
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        let Some((tenant, standing)) = Self::pending(self, reference).await? else { return Ok(Vec::new()) };
        self.history.keep(&tenant, &Change::last_of(&standing)).await?;
        Ok(events(&tenant, &standing))
    }

    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Failure> {
        if let Some((tenant, standing)) = Self::pending(self, reference).await?
            && events(&tenant, &standing) == published
        {
            self.place(&tenant, &standing).await?;
            self.scores.told(&tenant, &standing).await?;
        }
        Ok(())
    }
}

/// The events that a row with something pending stands for: always the same for the same version of it.
fn events(tenant: &TenantId, standing: &Standing) -> Vec<Outgoing> {
    let kinds: &[Kind<RiskScoreChanged>] = match standing.pending {
        None => &[],
        Some(Pending::Changed) => &[kinds::RISK_SCORE_CHANGED],
        Some(Pending::Alert) => &[kinds::RISK_SCORE_CHANGED, kinds::HIGH_RISK_ALERT],
    };
    kinds.iter().map(|kind| outgoing(kind, tenant, standing)).collect()
}

fn outgoing(kind: &Kind<RiskScoreChanged>, tenant: &TenantId, standing: &Standing) -> Outgoing {
    let client = &standing.client;
    let id = event::id(&[
        kind.name.as_bytes(),
        tenant.as_str().as_bytes(),
        client.as_str().as_bytes(),
        &standing.version.to_be_bytes(),
    ]);
    let data = RiskScoreChanged {
        tenant: tenant.to_string(),
        client_id: client.to_string(),
        previous_score: standing.previous_score.map(i32::from),
        score: standing.assessment.score.into(),
        version: standing.version,
        at_ms: standing.updated_at.millis(),
    };
    let record =
        kind.encode(format!("{tenant}/{client}"), &Event::new(id, SOURCE, standing.updated_at, data));
    Outgoing { topic: kind.topic.name, record }
}
