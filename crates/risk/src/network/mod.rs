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
    fx::Exchange,
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
    paid: Lists,
    received: Lists,
    /// What others' accounts contributed, ascending by account and then canonical.
    foreign: Vec<Entry>,
    left_out: u32,
    max_steps: u32,
}

impl Network {
    /// A payment with one of the client's own accounts is told by that account's entry alone.
    fn new<'p>(
        payments: impl Iterator<Item = &'p Payment>,
        own: &BTreeSet<AccountId>,
        left_out: u32,
        max_steps: u32,
    ) -> Self {
        let is_own = |one: &Payment| own.contains(&one.entry.account);
        let counts =
            |one: &&Payment| is_own(one) || !one.other.account().is_some_and(|other| own.contains(&other));
        let payments: Vec<&Payment> = payments.filter(counts).collect();
        let foreign = payments.iter().filter(|one| !is_own(one)).map(|one| one.entry);
        let mut foreign: Vec<Entry> = foreign.collect();
        foreign.sort_unstable_by(|a, b| (a.account, a.at_ms, &a.id).cmp(&(b.account, b.at_ms, &b.id)));
        let parties = parties(&payments);
        let flows = flows(&sided(&payments, &parties));
        Self {
            paid: Lists::new(parties.len(), flows.iter().map(|flow| flow.from)),
            received: Lists::new(parties.len(), flows.iter().map(|flow| flow.to)),
            parties,
            flows,
            foreign,
            left_out,
            max_steps,
        }
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
        self.paid.of(party).iter().copied()
    }

    /// What a party received, in the order of time.
    pub(crate) fn received(&self, party: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.received.of(party).iter().copied()
    }

    /// What a party paid in `from_ms..=to_ms`.
    pub(crate) fn paid_within(&self, party: usize, from_ms: i64, to_ms: i64) -> &[usize] {
        self.within(self.paid.of(party), from_ms, to_ms)
    }

    /// What a party received in `from_ms..=to_ms`.
    pub(crate) fn received_within(&self, party: usize, from_ms: i64, to_ms: i64) -> &[usize] {
        self.within(self.received.of(party), from_ms, to_ms)
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

/// Flows by party, in the order of time: one list after the other.
#[derive(Clone, Debug, Default)]
struct Lists {
    /// Where the list of each party starts, and where the last one ends.
    starts: Vec<usize>,
    flows: Vec<usize>,
}

impl Lists {
    /// Of flows whose parties these are.
    fn new(parties: usize, of: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + Clone) -> Self {
        let mut starts = vec![0; parties + 1];
        of.clone().for_each(|party| starts[party] += 1);
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        // Filled from behind, each start moves to where it belongs.
        let mut flows = vec![0; end];
        for (flow, party) in of.enumerate().rev() {
            starts[party] -= 1;
            flows[starts[party]] = flow;
        }
        Self { starts, flows }
    }

    fn of(&self, party: usize) -> &[usize] {
        &self.flows[self.starts[party]..self.starts[party + 1]]
    }
}

/// An entry as a payment between two parties.
#[derive(Clone, Copy, Debug)]
struct Payment {
    /// The party that is not the account itself.
    other: Counterparty,
    amount: u64,
    entry: Entry,
}

impl Payment {
    /// If it is one that is worth following: of the kinds that count, with a party other than the account itself, large enough, and
    /// with an exchange rate.
    fn of(entry: &Entry, rule: &model::Network, exchange: &mut Exchange<'_>) -> Option<Self> {
        let minor = entry.amount.minor().unsigned_abs();
        if !rule.kinds.has(entry.kind) || minor < rule.min_amount.minor(entry.currency) {
            return None;
        }
        let other = entry.counterparty.filter(|other| other.account() != Some(entry.account))?;
        let factor = exchange.factor(entry.currency, Day::of(entry.at_ms))?;
        let amount = u64::try_from(factor.convert(u128::from(minor))).unwrap_or(u64::MAX);
        Some(Self { other, amount, entry: *entry })
    }
}

/// A payment with the places of its parties.
struct Sided<'a> {
    payment: &'a Payment,
    from: usize,
    to: usize,
}

impl Sided<'_> {
    /// The two sides of a transfer are neighbours, the payer's first.
    fn order(&self) -> (Option<&TransferId>, usize, usize, Direction, i64, &EntryId) {
        let Entry { transfer_id, direction, at_ms, id, .. } = &self.payment.entry;
        (transfer_id.as_ref(), self.from, self.to, *direction, *at_ms, id)
    }

    fn is_same_transfer(&self, other: &Self) -> bool {
        let (a, b) = (&self.payment.entry.transfer_id, &other.payment.entry.transfer_id);
        a.is_some() && (self.from, self.to) == (other.from, other.to) && a == b
    }
}

/// All parties of these payments, ascending.
fn parties(payments: &[&Payment]) -> Vec<Counterparty> {
    let mut parties: Vec<Counterparty> = Vec::with_capacity(payments.len() + 1);
    for of_account in payments.chunk_by(|a, b| a.entry.account == b.entry.account) {
        parties.push(of_account[0].entry.account.party());
        parties.extend(of_account.iter().map(|one| one.other));
    }
    parties.sort_unstable();
    parties.dedup();
    parties
}

/// The payments with their parties, in their order.
fn sided<'a>(payments: &[&'a Payment], parties: &[Counterparty]) -> Vec<Sided<'a>> {
    let place = |party: &Counterparty| parties.partition_point(|one| one < party);
    let mut sided: Vec<Sided<'a>> = Vec::with_capacity(payments.len());
    for of_account in payments.chunk_by(|a, b| a.entry.account == b.entry.account) {
        let own = place(&of_account[0].entry.account.party());
        sided.extend(of_account.iter().map(|payment| {
            let other = place(&payment.other);
            match payment.entry.direction {
                Direction::Debit => Sided { payment, from: own, to: other },
                Direction::Credit => Sided { payment, from: other, to: own },
            }
        }));
    }
    sided.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
    sided
}

/// What was paid, in the order of time: the two entries of a transfer are one flow.
fn flows(sided: &[Sided<'_>]) -> Vec<Flow> {
    let mut paired: Vec<(Option<&Sided<'_>>, Option<&Sided<'_>>)> = Vec::with_capacity(sided.len());
    for transfer in sided.chunk_by(Sided::is_same_transfer) {
        let is_debit = |one: &Sided<'_>| one.payment.entry.direction == Direction::Debit;
        let (debits, credits) = transfer.split_at(transfer.partition_point(is_debit));
        let most = debits.len().max(credits.len());
        paired.extend((0..most).map(|at| (debits.get(at), credits.get(at))));
    }
    let id = |one: Option<&'_ Sided<'_>>| one.map(|one| one.payment.entry.id);
    let at_ms = |one: Option<&'_ Sided<'_>>| one.map(|one| one.payment.entry.at_ms);
    paired.sort_unstable_by(|a, b| {
        let time = at_ms(a.0.or(a.1)).cmp(&at_ms(b.0.or(b.1)));
        time.then_with(|| (id(a.0), id(a.1)).cmp(&(id(b.0), id(b.1))))
    });
    let flow = |(debit, credit): (Option<&Sided<'_>>, Option<&Sided<'_>>)| {
        let known = debit.or(credit)?;
        let Sided { payment, from, to } = known;
        let (debit, credit) = (id(debit), id(credit));
        Some(Flow { at_ms: payment.entry.at_ms, amount: payment.amount, from: *from, to: *to, debit, credit })
    };
    paired.into_iter().filter_map(flow).collect()
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
