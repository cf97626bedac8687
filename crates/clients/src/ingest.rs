//! Recording entries: each exactly once, whatever is repeated, raced or cut off.
//!
//! 1. Read where the months stand.
//! 2. Claim the ids: insert-if-absent by (tenant, id). An id held with other content is a conflict; with the same content it is
//!    this entry, finished or not.
//! 3. Enter new months in the accounts' directories.
//! 4. Write the outbox pointer: which hours are added to which version of which month.
//! 5. Month by month, in one conditional batch on the month's version: the rows that are not there, and the hour counts. Only
//!    rows of ids that were claimed before can be there; an id that was new has none as long as the month is as it was read
//!    before the claim. Whoever loses the race reads again and writes another pointer: rows that are there by now are not added
//!    or counted twice.
//! 6. Tell: publish the hours, drop the pointer. A crash before leaves both to the relay.

use crate::domain::entry::{Content, Entry};
use crate::error::Error;
use crate::events::{Addition, Events};
use crate::repo::accounts::Accounts;
use crate::repo::buckets::Buckets;
use crate::repo::transactions::{Claim, Month, Summary, Transactions};
use riskmesh_core::{AccountId, ClientId, Clock, Detail, Error as Outward, ErrorCode, TenantId};
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use store::Outcome;
use store::race::Race;

/// Rows that one conditional batch adds at the most.
const GROUP: usize = 1000;

/// Accounts that were seen to exist, with their clients.
pub(crate) type Owners = moka::sync::Cache<(TenantId, AccountId), ClientId>;

/// Records entries.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) accounts: Accounts,
    pub(crate) buckets: Buckets,
    pub(crate) transactions: Transactions,
    pub(crate) events: Arc<Events>,
    pub(crate) owners: Owners,
    pub(crate) clock: Arc<dyn Clock>,
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
    pub(crate) fn reject(&mut self, index: usize, id: String, error: Outward) {
        self.rejected.push(Rejected { index, id, error });
    }
}

/// An entry that could not be recorded.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) index: usize,
    pub(crate) id: String,
    pub(crate) error: Outward,
}

/// An entry on its way, with its place in the batch. Boxed: it is sorted and grouped several times.
struct Work {
    index: usize,
    entry: Box<Entry>,
    content: Content,
    /// Whether its row may be there: not if its id was new, and the month is still as it was read before that.
    may_be_there: bool,
    /// Whether a write of it had an unknown outcome: a row that is there later is then this batch's own.
    unsure: bool,
}

/// A month that is to be changed in one round.
struct Attempt {
    addition: Addition,
    after: Summary,
    work: Vec<Work>,
    /// For each work whether its row is there.
    present: Vec<bool>,
}

/// What is known of months, as of the last read or write of this batch.
type Known = HashMap<Month, Summary>;

impl Ingest {
    /// Records a batch; when this returns, what it counts is durable and will be told of.
    pub(crate) async fn record(
        &self,
        tenant: &TenantId,
        batch: Vec<(usize, Box<Entry>)>,
        recorded: &mut Recorded,
    ) -> Result<(), riskmesh_core::Error> {
        self.events.ready().await;
        let work = self.drop_repeats(batch, recorded);
        let owners = self.owners(tenant, &work).await?;
        let (work, orphans): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|work| owners.contains_key(&work.entry.account));
        recorded.rejected.extend(
            orphans
                .iter()
                .map(|work| work.no_account(format!("Account {} does not exist", work.entry.account))),
        );
        let mut groups: BTreeMap<Month, Vec<Work>> = BTreeMap::new();
        for work in work {
            groups.entry(work.month()).or_default().push(work);
        }
        let months: Vec<Month> = groups.keys().cloned().collect();
        let summaries = self.transactions.summaries(tenant, &months).await?;
        let known: Known = months.into_iter().zip(summaries).collect();
        self.claim(tenant, &mut groups, recorded).await?;
        if !groups.is_empty() {
            self.enter(tenant, groups, known, &owners, recorded).await?;
        }
        recorded.rejected.sort_by_key(|rejected| rejected.index);
        Ok(())
    }

    /// Enters what was claimed into its months.
    async fn enter(
        &self,
        tenant: &TenantId,
        mut groups: BTreeMap<Month, Vec<Work>>,
        known: Known,
        owners: &HashMap<AccountId, ClientId>,
        recorded: &mut Recorded,
    ) -> Result<(), riskmesh_core::Error> {
        let months: Vec<Month> = groups.keys().cloned().collect();
        // A month that has ever been written is in the directory, and its account cannot be deleted any more.
        let is_new =
            |month: &&Month| known.get(*month).is_none_or(|summary: &Summary| summary.version.is_none());
        let new: Vec<_> =
            months.iter().filter(is_new).map(|month| (month.account.clone(), month.bucket)).collect();
        let opened = self.buckets.open(tenant, &new).await?;
        for ((account, bucket), opened) in new.into_iter().zip(opened) {
            if !opened && let Some(closed) = groups.remove(&Month { account, bucket }) {
                recorded
                    .rejected
                    .extend(closed.iter().map(|work| work.no_account("The account was deleted".into())));
            }
        }
        self.add(tenant, groups, known, owners, recorded).await
    }

    /// Keeps one of entries that a batch holds twice; the others are duplicates, or conflicts where they differ.
    fn drop_repeats(&self, batch: Vec<(usize, Box<Entry>)>, recorded: &mut Recorded) -> Vec<Work> {
        let mut work: Vec<_> = batch
            .into_iter()
            .map(|(index, entry)| {
                let content = self.transactions.content(&entry);
                Work { index, entry, content, may_be_there: true, unsure: false }
            })
            .collect();
        let mut first: HashMap<&str, &Content> = HashMap::with_capacity(work.len());
        let kept: Vec<_> = work
            .iter()
            .map(|work| match first.entry(work.entry.id.as_str()) {
                Slot::Vacant(slot) => {
                    slot.insert(&work.content);
                    true
                }
                Slot::Occupied(first) => {
                    if **first.get() == work.content {
                        recorded.duplicates += 1;
                    } else {
                        recorded.rejected.push(other_content(work));
                    }
                    false
                }
            })
            .collect();
        let mut kept = kept.into_iter();
        work.retain(|_| kept.next().unwrap_or(true));
        work
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
            match self.owners.get(&(tenant.clone(), account.clone())) {
                Some(client) => drop(owners.insert(account.clone(), client)),
                None => unknown.push(account.clone()),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        for account in self.accounts.get_many(tenant, &unknown).await?.into_iter().flatten() {
            if !account.deleted {
                self.owners.insert((tenant.clone(), account.id.clone()), account.client.clone());
                owners.insert(account.id, account.client);
            }
        }
        Ok(owners)
    }

    /// Claims the ids; entries whose id is held by another content are rejected.
    async fn claim(
        &self,
        tenant: &TenantId,
        groups: &mut BTreeMap<Month, Vec<Work>>,
        recorded: &mut Recorded,
    ) -> Result<(), Error> {
        let entries: Vec<_> = groups.values().flatten().map(|work| (&*work.entry, work.content)).collect();
        let mut claims = self.transactions.claim(tenant, &entries).await?.into_iter();
        for group in groups.values_mut() {
            group.retain_mut(|work| match claims.next() {
                Some(claim @ (Claim::New | Claim::Same)) => {
                    work.may_be_there = claim == Claim::Same;
                    true
                }
                Some(Claim::Other) | None => {
                    recorded.rejected.push(other_content(work));
                    false
                }
            });
        }
        groups.retain(|_, group| !group.is_empty());
        Ok(())
    }

    /// Adds rows month by month, and sees to it that they are told of.
    async fn add(
        &self,
        tenant: &TenantId,
        groups: BTreeMap<Month, Vec<Work>>,
        mut known: Known,
        owners: &HashMap<AccountId, ClientId>,
        recorded: &mut Recorded,
    ) -> Result<(), riskmesh_core::Error> {
        let mut left: VecDeque<_> = groups.into_iter().flat_map(parts).collect();
        let mut race = Race::default();
        let mut lost: Vec<Month> = Vec::new();
        while !left.is_empty() {
            if !race.again_at(lost.iter().map(|month| (tenant, month))).await {
                return Err(Error::Contended { doing: "write transactions" }.into());
            }
            lost.clear();
            let round = one_part_a_month(&mut left);
            self.look(tenant, &round, &mut known).await?;
            let present = self.present(tenant, &round).await?;

            let mut writes = Vec::with_capacity(round.len());
            let mut attempts = Vec::with_capacity(round.len());
            for ((month, work), present) in round.into_iter().zip(present) {
                let absent: Vec<&Entry> = std::iter::zip(&work, &present)
                    .filter(|(_, present)| !**present)
                    .map(|(work, _)| &*work.entry)
                    .collect();
                if absent.is_empty() {
                    count(&work, &present, recorded);
                    race.won();
                    continue;
                }
                let before =
                    known.get(&month).ok_or_else(|| riskmesh_core::Error::internal("look at a month"))?;
                let mut hours: Vec<i64> = absent.iter().map(|entry| entry.booked_at.hour()).collect();
                let after = before.with(&hours, owners.get(&month.account));
                writes.push(self.transactions.add(tenant, &month, &absent, before, &after)?);
                hours.sort_unstable();
                hours.dedup();
                let addition = Addition { month, version: before.version.unwrap_or(0), hours };
                attempts.push(Attempt { addition, after, work, present });
            }
            let additions = attempts.iter().map(|attempt| &attempt.addition);
            let pointer = self.events.intend_months(tenant, additions).await?;
            let outcomes = self.transactions.write(writes).await?;
            let unsure = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Unknown));
            debug_assert_eq!(outcomes.len(), attempts.len());

            let mut applied = Vec::with_capacity(attempts.len());
            for (Attempt { addition, after, mut work, present }, outcome) in
                attempts.into_iter().zip(outcomes)
            {
                let month = &addition.month;
                if outcome.is_applied() {
                    race.won();
                    count(&work, &present, recorded);
                    known.insert(month.clone(), after);
                    let client = owners.get(&month.account).cloned();
                    applied.extend(client.map(|client| (addition, client)));
                    continue;
                }
                known.remove(month);
                // Whoever has changed the month may work on the same entries; its other parts rest on what was known of it, too.
                let others = left.iter_mut().filter(|(other, _)| other == month);
                for work in others.flat_map(|(_, work)| work).chain(&mut work) {
                    work.may_be_there = true;
                }
                if matches!(outcome, Outcome::Unknown) {
                    for work in &mut work {
                        work.unsure = true;
                    }
                }
                lost.push(addition.month.clone());
                left.push_front((addition.month, work));
            }
            self.events.tell_months(tenant, applied, (!unsure).then_some(pointer));
        }
        Ok(())
    }

    /// Reads the months of which nothing is known.
    async fn look(
        &self,
        tenant: &TenantId,
        round: &VecDeque<(Month, Vec<Work>)>,
        known: &mut Known,
    ) -> Result<(), Error> {
        let unknown = round.iter().map(|(month, _)| month).filter(|month| !known.contains_key(*month));
        let unknown: Vec<Month> = unknown.cloned().collect();
        if !unknown.is_empty() {
            let summaries = self.transactions.summaries(tenant, &unknown).await?;
            known.extend(unknown.into_iter().zip(summaries));
        }
        Ok(())
    }

    /// For each entry of a round whether its row is there. Asked after the months were read: a row that comes later comes with
    /// another version of its month.
    async fn present(
        &self,
        tenant: &TenantId,
        round: &VecDeque<(Month, Vec<Work>)>,
    ) -> Result<Vec<Vec<bool>>, Error> {
        let mut doubtful = Vec::new();
        for (month, work) in round {
            doubtful.extend(work.iter().filter(|work| work.may_be_there).map(|work| (month, &*work.entry)));
        }
        let mut found = self.transactions.present(tenant, &doubtful).await?.into_iter();
        let mut of = |work: &Work| work.may_be_there && found.next().unwrap_or(true);
        Ok(round.iter().map(|(_, work)| work.iter().map(&mut of).collect()).collect())
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

/// Counts what is in a month.
fn count(work: &[Work], present: &[bool], recorded: &mut Recorded) {
    for (work, present) in work.iter().zip(present) {
        let duplicate = *present && !work.unsure;
        *(if duplicate { &mut recorded.duplicates } else { &mut recorded.created }) += 1;
    }
}

fn other_content(work: &Work) -> Rejected {
    let detail = Detail::expected(
        "transactionId",
        "is the id of another transaction",
        "an id of its own, or the same content",
    );
    let error =
        Outward::new(ErrorCode::AlreadyExists).message("The transaction id exists with other content");
    work.rejected(error.detail(detail))
}

impl Work {
    fn month(&self) -> Month {
        Month { account: self.entry.account.clone(), bucket: self.entry.bucket() }
    }

    fn no_account(&self, message: String) -> Rejected {
        let account = self.entry.account.as_str();
        self.rejected(Outward::not_found(ErrorCode::AccountNotFound, "accountId", account).message(message))
    }

    fn rejected(&self, error: Outward) -> Rejected {
        Rejected { index: self.index, id: self.entry.id.to_string(), error }
    }
}
