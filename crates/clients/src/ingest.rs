//! Recording entries: each exactly once, whatever is repeated, raced or cut off.
//!
//! 1. Claim the ids: insert-if-absent by (tenant, id). An id held with other content is a conflict; with the same content it is
//!    this entry, finished or not.
//! 2. Write the outbox pointer, and enter the months in the accounts' directories.
//! 3. Month by month, in one conditional batch on the month's version: the rows that are not there, the hour counts, the untold
//!    hours. Whoever loses the race reads again: rows that are there by now are not added or counted twice.
//! 4. Tell: publish the untold hours, mark them as told, drop the pointer. A crash before leaves all three to the relay.

use crate::domain::entry::Entry;
use crate::error::Error;
use crate::events::{Events, Told};
use crate::repo::RACES;
use crate::repo::accounts::Accounts;
use crate::repo::buckets::Buckets;
use crate::repo::transactions::{Month, Transactions};
use riskmesh_core::{AccountId, ClientId, ErrorCode, TenantId, TransactionId};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use store::Outcome;

/// Rows that one conditional batch adds at the most.
const GROUP: usize = 1000;

/// Accounts that were seen to exist, with their clients.
pub(crate) type Known = moka::sync::Cache<(TenantId, AccountId), ClientId>;

/// Records entries.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) accounts: Accounts,
    pub(crate) buckets: Buckets,
    pub(crate) transactions: Transactions,
    pub(crate) events: Arc<Events>,
    pub(crate) known: Known,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) created: u64,
    pub(crate) duplicates: u64,
    /// By position in the batch, in order.
    pub(crate) rejected: Vec<Rejected>,
}

impl Recorded {
    /// One entry that could not be recorded.
    pub(crate) fn reject(&mut self, index: usize, id: String, code: ErrorCode, message: String) {
        self.rejected.push(Rejected { index, id, code, message });
    }
}

/// An entry that could not be recorded.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) index: usize,
    pub(crate) id: String,
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

/// An entry on its way, with its place in the batch.
struct Work {
    index: usize,
    entry: Entry,
    /// Whether a write of it had an unknown outcome: a row that is there later is then this batch's own.
    unsure: bool,
}

impl Ingest {
    /// Records a batch; when this returns, what it counts is durable and will be told of.
    pub(crate) async fn record(
        &self,
        tenant: &TenantId,
        batch: Vec<(usize, Entry)>,
        recorded: &mut Recorded,
    ) -> Result<(), riskmesh_core::Error> {
        self.events.ready().await;
        let work = drop_repeats(batch, recorded);
        let owners = self.owners(tenant, &work).await?;
        let (work, orphans): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|work| owners.contains_key(&work.entry.account));
        recorded.rejected.extend(orphans.iter().map(|work| {
            work.rejected(
                ErrorCode::AccountNotFound,
                format!("Account {} does not exist", work.entry.account),
            )
        }));
        let mut groups: BTreeMap<Month, Vec<Work>> = BTreeMap::new();
        for work in self.claim(tenant, work, recorded).await? {
            let month = Month { account: work.entry.account.clone(), bucket: work.entry.bucket() };
            groups.entry(month).or_default().push(work);
        }
        if groups.is_empty() {
            return Ok(());
        }

        let months: Vec<Month> = groups.keys().cloned().collect();
        let directory: Vec<_> = months.iter().map(|month| (month.account.clone(), month.bucket)).collect();
        let (pointer, opened) = tokio::try_join!(self.events.intend_months(tenant, &months), async {
            self.buckets.open(tenant, &directory).await.map_err(riskmesh_core::Error::from)
        })?;
        for (month, opened) in months.iter().zip(opened) {
            if !opened && let Some(closed) = groups.remove(month) {
                recorded.rejected.extend(
                    closed.iter().map(|work| {
                        work.rejected(ErrorCode::AccountNotFound, "The account was deleted".into())
                    }),
                );
            }
        }
        let told = self.add(tenant, groups, &owners, recorded).await?;
        self.events.tell_months(tenant, pointer, told);
        recorded.rejected.sort_by_key(|rejected| rejected.index);
        Ok(())
    }

    /// Whose accounts these are; missing and deleted ones are absent.
    async fn owners(&self, tenant: &TenantId, work: &[Work]) -> Result<HashMap<AccountId, ClientId>, Error> {
        let mut owners = HashMap::new();
        let mut unknown = Vec::new();
        for work in work {
            let account = &work.entry.account;
            if owners.contains_key(account) {
                continue;
            }
            match self.known.get(&(tenant.clone(), account.clone())) {
                Some(client) => drop(owners.insert(account.clone(), client)),
                None => unknown.push(account.clone()),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        for account in self.accounts.get_many(tenant, &unknown).await?.into_iter().flatten() {
            if !account.deleted {
                self.known.insert((tenant.clone(), account.id.clone()), account.client.clone());
                owners.insert(account.id, account.client);
            }
        }
        Ok(owners)
    }

    /// Claims the ids; entries whose id is held by another content are rejected.
    async fn claim(
        &self,
        tenant: &TenantId,
        work: Vec<Work>,
        recorded: &mut Recorded,
    ) -> Result<Vec<Work>, Error> {
        let entries: Vec<&Entry> = work.iter().map(|work| &work.entry).collect();
        let held = self.transactions.claim(tenant, &entries).await?;
        let mut kept = Vec::with_capacity(work.len());
        for (work, held) in work.into_iter().zip(held) {
            if held {
                kept.push(work);
            } else {
                recorded.rejected.push(other_content(&work));
            }
        }
        Ok(kept)
    }

    /// Adds rows month by month; gives the months that have something to tell.
    async fn add(
        &self,
        tenant: &TenantId,
        groups: BTreeMap<Month, Vec<Work>>,
        owners: &HashMap<AccountId, ClientId>,
        recorded: &mut Recorded,
    ) -> Result<Vec<Told>, riskmesh_core::Error> {
        let mut told = BTreeMap::new();
        let mut left: VecDeque<_> = groups.into_iter().flat_map(parts).collect();
        let mut rounds_lost = 0;
        while !left.is_empty() && rounds_lost < RACES {
            rounds_lost += 1;
            let mut round = one_part_a_month(&mut left);
            let entries: Vec<(&Month, Vec<&Entry>)> = round
                .iter()
                .map(|(month, work)| (month, work.iter().map(|work| &work.entry).collect()))
                .collect();
            let read = self.transactions.read(tenant, &entries).await?;

            let mut writes = Vec::with_capacity(round.len());
            let mut afters = Vec::with_capacity(round.len());
            for ((month, entries), (before, present)) in entries.iter().zip(&read) {
                let absent: Vec<&Entry> = std::iter::zip(entries, present)
                    .filter(|(_, present)| !**present)
                    .map(|(entry, _)| *entry)
                    .collect();
                if absent.is_empty() {
                    afters.push(None);
                    continue;
                }
                let after = before
                    .with(absent.iter().map(|entry| entry.booked_at.hour()), owners.get(&month.account));
                writes.push(self.transactions.add(tenant, month, &absent, before, &after)?);
                afters.push(Some(after));
            }
            let mut outcomes = self.transactions.write(writes).await?.into_iter();

            for ((before, present), after) in read.into_iter().zip(afters) {
                let Some((month, mut work)) = round.pop_front() else { break };
                let outcome = match after {
                    None => Some(Outcome::Applied), // nothing to write: every row was there
                    Some(_) => outcomes.next(),
                };
                match outcome {
                    Some(Outcome::Applied) => {
                        rounds_lost = 0;
                        for (work, present) in work.iter().zip(present) {
                            let duplicate = present && !work.unsure;
                            *(if duplicate { &mut recorded.duplicates } else { &mut recorded.created }) += 1;
                        }
                        let told_of = Told::new(month.clone(), after.unwrap_or(before));
                        told_of.map(|of| told.insert(month, of));
                        continue;
                    }
                    Some(Outcome::Unknown) => work.iter_mut().for_each(|work| work.unsure = true),
                    Some(Outcome::Conflict(_)) | None => {}
                }
                left.push_front((month, work));
            }
        }
        if left.is_empty() {
            Ok(told.into_values().collect())
        } else {
            Err(Error::Contended { doing: "write transactions" }.into())
        }
    }
}

/// A month's work in parts that one conditional batch holds.
fn parts((month, work): (Month, Vec<Work>)) -> Vec<(Month, Vec<Work>)> {
    let mut parts = Vec::with_capacity(work.len() / GROUP + 1);
    let mut work = work.into_iter().peekable();
    while work.peek().is_some() {
        parts.push((month.clone(), work.by_ref().take(GROUP).collect()));
    }
    parts
}

/// The first part of each month: the parts of one month share a version, so they are written one after the other.
fn one_part_a_month(left: &mut VecDeque<(Month, Vec<Work>)>) -> VecDeque<(Month, Vec<Work>)> {
    let mut seen = HashSet::new();
    let (now, later) = std::mem::take(left).into_iter().partition(|(month, _)| seen.insert(month.clone()));
    *left = later;
    now
}

/// Keeps one of entries that a batch holds twice; the others are duplicates, or conflicts where they differ.
fn drop_repeats(batch: Vec<(usize, Entry)>, recorded: &mut Recorded) -> Vec<Work> {
    let mut first: HashMap<TransactionId, [u8; 16]> = HashMap::with_capacity(batch.len());
    let mut work = Vec::with_capacity(batch.len());
    for (index, entry) in batch {
        let one = Work { index, entry, unsure: false };
        match first.get(&one.entry.id) {
            None => {
                first.insert(one.entry.id.clone(), one.entry.content());
                work.push(one);
            }
            Some(content) if *content == one.entry.content() => recorded.duplicates += 1,
            Some(_) => recorded.rejected.push(other_content(&one)),
        }
    }
    work
}

fn other_content(work: &Work) -> Rejected {
    work.rejected(ErrorCode::AlreadyExists, "The transaction id exists with other content".into())
}

impl Work {
    fn rejected(&self, code: ErrorCode, message: String) -> Rejected {
        Rejected { index: self.index, id: self.entry.id.to_string(), code, message }
    }
}
