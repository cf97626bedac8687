//! The network around a client's accounts: payments between parties, as far as they are worth following.
//!
//! Some patterns run over several accounts. What they need is gathered by an [`Explorer`], which says whose entries it wants next and
//! reads nothing itself, and becomes a [`Network`]: parties, and payments between them in the order of time. A party is what a
//! [`Counterparty`] names; one of ours is named by its ten digits. A payment between two of our accounts has two entries; where both
//! are known they are one [`Flow`]. Amounts are in the base currency, so that a round through two currencies is one round.
//!
//! Everything is bounded by the model, and what is left out is counted: a network that is cut is never taken for a whole one. It is a
//! pure function of the entries that were given, whatever their order.

mod explore;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use explore::Explorer;

use crate::{
    entry::{AccountId, Direction, Entry},
    model::{self, Model},
    refdata::RefData,
    state::StateHasher,
    text::{Counterparty, EntryId, TransferId},
    time::Day,
};

/// A payment from one party to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// When it was booked, by the payer's entry if that is known.
    pub at_ms: i64,
    /// In minor units of the base currency.
    pub amount: u64,
    /// The payer, by its place in the network.
    pub from: usize,
    /// The receiver, by its place in the network.
    pub to: usize,
    /// The payer's entry, if it is known.
    pub debit: Option<EntryId>,
    /// The receiver's entry, if it is known.
    pub credit: Option<EntryId>,
}

impl Flow {
    /// Its entries that are known: one at least.
    pub fn entries(&self) -> impl Iterator<Item = EntryId> {
        self.debit.into_iter().chain(self.credit)
    }

    /// Whether the lesser of two amounts is at least this part of the larger.
    pub(crate) fn is_like(&self, other: &Self, bp: u32) -> bool {
        are_alike(self.amount.min(other.amount), self.amount.max(other.amount), bp)
    }
}

/// Whether `least` is at least this part of `most`.
pub(crate) fn are_alike(least: u64, most: u64, bp: u32) -> bool {
    u128::from(least) * 10_000 >= u128::from(most) * u128::from(bp)
}

/// Parties and the payments between them.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Ascending.
    parties: Vec<Counterparty>,
    /// In the order of time.
    flows: Vec<Flow>,
    /// By party, in the order of time.
    paid: Vec<Vec<usize>>,
    received: Vec<Vec<usize>>,
    /// What others' accounts contributed, ascending by account and then canonical.
    foreign: Vec<Entry>,
    left_out: u32,
    max_steps: u32,
}

impl Network {
    /// A payment with one of the client's own accounts is told by that account's entry alone.
    fn new(mut payments: Vec<Payment>, own: &BTreeSet<AccountId>, left_out: u32, max_steps: u32) -> Self {
        let is_own = |entry: &Entry| own.contains(&entry.account);
        payments.retain(|one| {
            is_own(&one.entry) || !one.other().account().is_some_and(|other| own.contains(&other))
        });
        payments.sort_unstable_by_key(Payment::order);
        let mut foreign: Vec<Entry> =
            payments.iter().map(|one| one.entry).filter(|entry| !is_own(entry)).collect();
        foreign.sort_unstable_by_key(|entry| (entry.account, entry.key()));
        let mut parties: Vec<Counterparty> = payments.iter().flat_map(|one| [one.from, one.to]).collect();
        parties.sort_unstable();
        parties.dedup();
        let place = |party: &Counterparty| parties.partition_point(|one| one < party);
        let same = |a: &Payment, b: &Payment| {
            a.entry.transfer_id.is_some()
                && (a.entry.transfer_id, a.from, a.to) == (b.entry.transfer_id, b.from, b.to)
        };
        let mut flows: Vec<Flow> = Vec::with_capacity(payments.len());
        for transfer in payments.chunk_by(same) {
            let (debits, credits) =
                transfer.split_at(transfer.partition_point(|one| one.entry.direction == Direction::Debit));
            for at in 0..debits.len().max(credits.len()) {
                let (debit, credit) = (debits.get(at), credits.get(at));
                let Some(known) = debit.or(credit) else { continue };
                flows.push(Flow {
                    at_ms: known.entry.at_ms,
                    amount: known.amount,
                    from: place(&known.from),
                    to: place(&known.to),
                    debit: debit.map(|one| one.entry.id),
                    credit: credit.map(|one| one.entry.id),
                });
            }
        }
        flows.sort_unstable_by_key(|flow| (flow.at_ms, flow.debit, flow.credit));
        let (mut paid, mut received) = (vec![Vec::new(); parties.len()], vec![Vec::new(); parties.len()]);
        for (at, flow) in flows.iter().enumerate() {
            paid[flow.from].push(at);
            received[flow.to].push(at);
        }
        Self { parties, flows, paid, received, foreign, left_out, max_steps }
    }

    /// Accounts that would have been followed, had there been room or had they been less busy.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// How many parties there are.
    pub fn parties(&self) -> usize {
        self.parties.len()
    }

    /// All payments, in the order of time.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The place of one of our accounts, if it has a payment.
    pub(crate) fn place(&self, account: AccountId) -> Option<usize> {
        self.parties.binary_search(&account.party()).ok()
    }

    /// What a party paid, in the order of time.
    pub(crate) fn paid(&self, party: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.paid[party].iter().copied()
    }

    /// What a party received, in the order of time.
    pub(crate) fn received(&self, party: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.received[party].iter().copied()
    }

    /// What a party paid in `from_ms..=to_ms`.
    pub(crate) fn paid_within(&self, party: usize, from_ms: i64, to_ms: i64) -> &[usize] {
        self.within(&self.paid[party], from_ms, to_ms)
    }

    /// What a party received in `from_ms..=to_ms`.
    pub(crate) fn received_within(&self, party: usize, from_ms: i64, to_ms: i64) -> &[usize] {
        self.within(&self.received[party], from_ms, to_ms)
    }

    fn within<'a>(&self, flows: &'a [usize], from_ms: i64, to_ms: i64) -> &'a [usize] {
        let first = flows.partition_point(|at| self.flows[*at].at_ms < from_ms);
        let end = flows.partition_point(|at| self.flows[*at].at_ms <= to_ms);
        &flows[first..end.max(first)]
    }

    /// How many steps a search may take.
    pub(crate) fn steps(&self) -> Steps {
        Steps(self.max_steps)
    }

    /// What is not the client's own and went into its score.
    pub(crate) fn hash_into(&self, hasher: &mut StateHasher) {
        if self.foreign.is_empty() && self.left_out == 0 {
            return;
        }
        hasher.network(self.left_out);
        for entries in self.foreign.chunk_by(|a, b| a.account == b.account) {
            hasher.account(entries[0].account);
            for entry in entries {
                hasher.entry(entry);
            }
        }
    }
}

/// Steps that a search has left.
#[derive(Debug)]
pub(crate) struct Steps(u32);

impl Steps {
    /// Takes one; false if there is none left.
    pub(crate) fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// An entry as a payment between two parties.
#[derive(Clone, Copy, Debug)]
struct Payment {
    from: Counterparty,
    to: Counterparty,
    amount: u64,
    entry: Entry,
}

impl Payment {
    /// If it is one that is worth following: of the kinds that count, with a party other than the account itself, large enough, and
    /// with an exchange rate.
    fn of(entry: &Entry, rule: &model::Network, refdata: &RefData) -> Option<Self> {
        let minor = entry.amount.minor().unsigned_abs();
        if !rule.kinds.has(entry.kind) || minor < rule.min_amount.minor(entry.currency) {
            return None;
        }
        let (own, other) = (entry.account.party(), entry.counterparty?);
        if own == other {
            return None;
        }
        let amount = refdata.rates().to_base(u128::from(minor), entry.currency, Day::of(entry.at_ms))?;
        let (from, to) = match entry.direction {
            Direction::Debit => (own, other),
            Direction::Credit => (other, own),
        };
        Some(Self { from, to, amount: u64::try_from(amount).unwrap_or(u64::MAX), entry: *entry })
    }

    /// The party that is not the account itself.
    fn other(&self) -> Counterparty {
        if self.entry.direction == Direction::Debit { self.to } else { self.from }
    }

    /// The two sides of a transfer are neighbours, the payer's first.
    fn order(&self) -> (Option<TransferId>, Counterparty, Counterparty, Direction, i64, EntryId) {
        let Entry { transfer_id, direction, at_ms, id, .. } = self.entry;
        (transfer_id, self.from, self.to, direction, at_ms, id)
    }
}

/// Reads all of it from memory: for tools and tests, and wherever entries of all accounts are at hand.
///
/// `entries_of` gives the entries of an account from the first time on and before the second; more than wanted does no harm.
pub fn explore<E: AsRef<[Entry]>>(
    accounts: &[crate::AccountView<'_>],
    model: &Model,
    refdata: &RefData,
    as_of_ms: i64,
    entries_of: impl Fn(AccountId, std::ops::Range<i64>) -> E,
) -> Option<Network> {
    let mut explorer = Explorer::new(accounts, model, refdata, as_of_ms)?;
    loop {
        let wanted = explorer.wanted();
        if wanted.is_empty() {
            return Some(explorer.finish());
        }
        for account in wanted {
            explorer.add(account, entries_of(account, explorer.range()).as_ref());
        }
    }
}
