//! Everything that a client's score is computed from, gathered; and the computation.
//!
//! `as_of` is the end of the hour of the newest entry that the state of any of the client's accounts holds; for a client without
//! entries, of the hour of its last change. It depends on the state alone and never on the clock, so the same state gives the same
//! score: today, after a crash, and in a replay.

use crate::domain::profile;
use crate::error::Error;
use crate::repo::hours::Hours;
use crate::repo::onlookers::Onlookers;
use crate::upstream::Upstream;
use futures::{StreamExt as _, TryStreamExt as _};
use risk::time::DAY_MS;
use risk::{
    AccountView, ClientProfile, Entry, Facts, Hour, HourState, Model, Network, RefData, Score, Screening,
};
use riskmesh_core::{AccountId, ClientId, TenantId};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

/// Accounts of one client that are read at once.
const AT_ONCE: usize = 8;
/// Entries of one account that the order-dependent rules see at the most: the newest ones, which is a rule that does not depend on
/// how they came.
const MAX_RETAINED: usize = 200_000;
/// From this many hours and entries on, a score is computed on a thread of its own, so that other work goes on meanwhile.
const HEAVY: usize = 4_096;

/// Gathers inputs.
#[derive(Clone)]
pub(crate) struct Gather {
    pub(crate) hours: Hours,
    pub(crate) upstream: Upstream,
    /// Where those are noted who look at others' accounts; nowhere if what comes of it is not kept.
    pub(crate) onlookers: Option<Onlookers>,
    pub(crate) model: Arc<Model>,
}

/// What a score is computed from.
#[derive(Debug)]
pub(crate) struct Inputs {
    profile: ClientProfile,
    accounts: Vec<Account>,
    network: Option<Network>,
    /// From whoever screens; nobody does yet.
    screening: Option<Screening>,
    as_of_ms: i64,
}

#[derive(Debug)]
struct Account {
    id: risk::AccountId,
    hours: Vec<HourState>,
    retained: Vec<Entry>,
}

impl Gather {
    /// The inputs of a client's score with this reference data; none if the client does not exist.
    pub(crate) async fn of(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        refdata: &RefData,
    ) -> Result<Option<Inputs>, Error> {
        let (known, accounts) =
            tokio::try_join!(self.upstream.client(tenant, client), self.upstream.accounts(tenant, client))?;
        let Some(known) = known else { return Ok(None) };
        let profile = profile::read(&known, &accounts);

        let newest = accounts.iter().map(|account| self.newest(tenant, &account.account_id));
        let newest: Vec<_> =
            futures::stream::iter(newest.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
        let active: Vec<(AccountId, Hour)> = newest.into_iter().flatten().collect();
        let as_of = active.iter().map(|(_, hour)| *hour).max();
        let as_of = as_of.unwrap_or_else(|| Hour::of(profile::known_at(&known).millis()));

        let reads = active.iter().map(|(id, _)| self.account(tenant, id, as_of));
        let accounts: Vec<Account> =
            futures::stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
        let as_of_ms = as_of.end_ms();
        let views = views(&accounts);
        let network = self.around(tenant, client, &views, refdata, as_of_ms).await?;
        Ok(Some(Inputs { profile, accounts, network, screening: None, as_of_ms }))
    }

    async fn newest(&self, tenant: &TenantId, id: &str) -> Result<Option<(AccountId, Hour)>, Error> {
        let id =
            AccountId::new(id).map_err(|_| Error::Answer { doing: "list accounts", field: "accountId" })?;
        Ok(self.hours.newest(tenant, &id).await?.map(|hour| (id, hour)))
    }

    async fn account(&self, tenant: &TenantId, id: &AccountId, as_of: Hour) -> Result<Account, Error> {
        let from = Hour::of(as_of.end_ms().saturating_sub(self.window_ms()));
        let (hours, retained) =
            tokio::try_join!(self.hours.since(tenant, id, from), self.retained(tenant, id, as_of))?;
        let id = risk::AccountId::parse(id.as_str());
        let id = id.map_err(|_| Error::Answer { doing: "list accounts", field: "accountId" })?;
        Ok(Account { id, hours, retained })
    }

    /// How far back hours count. What lies before tells a score only since when the client is observed.
    fn window_ms(&self) -> i64 {
        self.model.window.history_ms().max(i64::from(self.model.confidence.depth_days) * DAY_MS)
    }

    /// The entries that the order-dependent rules look at.
    async fn retained(&self, tenant: &TenantId, id: &AccountId, as_of: Hour) -> Result<Vec<Entry>, Error> {
        let until_ms = as_of.end_ms();
        let from_ms = until_ms.saturating_sub(self.model.window.retained_ms());
        let pieces = self.upstream.entries(tenant, id, from_ms, until_ms).await?;
        let mut pieces = pin!(pieces);
        let mut retained = VecDeque::new();
        while let Some(piece) = pieces.try_next().await? {
            retained.extend(piece);
            let surplus = retained.len().saturating_sub(MAX_RETAINED);
            if surplus > 0 {
                retained.drain(..surplus);
            }
        }
        Ok(retained.into())
    }
}

impl Inputs {
    /// The score.
    pub(crate) async fn score(self, model: &Arc<Model>, refdata: &Arc<RefData>) -> Result<Score, Error> {
        let size: usize =
            self.accounts.iter().map(|account| account.hours.len() + account.retained.len()).sum();
        let around = self.network.as_ref().map_or(0, |network| network.flows().len());
        if size + around < HEAVY {
            return Ok(self.compute(model, refdata));
        }
        let (model, refdata) = (model.clone(), refdata.clone());
        tokio::task::spawn_blocking(move || self.compute(&model, &refdata)).await.map_err(Error::Compute)
    }

    fn compute(&self, model: &Model, refdata: &RefData) -> Score {
        let (accounts, network) = (&views(&self.accounts), self.network.as_ref());
        let facts = Facts { profile: &self.profile, accounts, network, screening: self.screening.as_ref() };
        risk::score(&facts, model, refdata, self.as_of_ms)
    }
}

fn views(accounts: &[Account]) -> Vec<AccountView<'_>> {
    let view =
        accounts.iter().map(|Account { id, hours, retained }| AccountView { account: *id, hours, retained });
    view.collect()
}
