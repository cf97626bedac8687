//! Which accounts to read around a client's own, and when to stop.
//!
//! A pattern goes on where an amount like the one that came goes out again. So of the client's payments those are followed that have a
//! like payment the other way on the same account, and those with many different parties at the same end; from then on only what is
//! like the payment it follows, in its direction, within the time that a pattern may take. Accounts are asked for in rounds, the most
//! recent payments first; the model says how many rounds and how many accounts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Network, Payment, Steps, are_alike};
use crate::{
    AccountView,
    entry::{self, AccountId, Direction, Entry},
    fx::Exchange,
    model::{self, Model},
    refdata::RefData,
    text::Counterparty,
    time::{DAY_MS, Hour},
};

/// A payment that led somewhere: what comes next there must be like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    /// Whether money is followed or where it came from.
    forward: bool,
    at_ms: i64,
    amount: u64,
}

/// Gathers a [`Network`] without reading anything itself: ask what is [wanted](Self::wanted), [add](Self::add) it, until nothing is.
#[derive(Debug)]
pub struct Explorer<'a> {
    rule: &'a model::Network,
    exchange: Exchange<'a>,
    span_ms: i64,
    like_bp: u32,
    many: u32,
    range: Range<i64>,
    own: BTreeSet<AccountId>,
    /// Of each account that is in, in canonical order.
    payments: BTreeMap<AccountId, Vec<Payment>>,
    /// Where the payments that were followed last lead.
    leads: BTreeMap<AccountId, BTreeSet<Step>>,
    /// What led to the accounts that were asked for and are not added yet.
    waiting: BTreeMap<AccountId, BTreeSet<Step>>,
    asked: BTreeSet<AccountId>,
    budget: Steps,
    rounds: u32,
    room: u32,
    left_out: u32,
}

impl<'a> Explorer<'a> {
    /// Around the accounts of a client. `None` under a model that has no pattern over the network.
    pub fn new(
        accounts: &[AccountView<'_>],
        model: &'a Model,
        refdata: &'a RefData,
        as_of_ms: i64,
    ) -> Option<Self> {
        let rule = model.network.as_ref()?;
        let behaviour = &model.behaviour;
        let span_ms = i64::from(behaviour.network_days()?) * DAY_MS;
        let parts = [
            behaviour.round_tripping.as_ref().map(|rule| rule.amount_bp),
            behaviour.scatter_gather.as_ref().map(|rule| rule.amount_bp),
        ];
        let until_ms = Hour::of(as_of_ms.saturating_sub(1)).end_ms();
        let from_ms = until_ms.saturating_sub(model.window.retained_ms());
        let mut this = Self {
            rule,
            exchange: Exchange::new(refdata.rates()),
            span_ms,
            like_bp: parts.into_iter().flatten().min().unwrap_or(10_000),
            many: behaviour.scatter_gather.as_ref().map_or(u32::MAX, |rule| rule.min_between),
            range: from_ms.saturating_sub(span_ms)..until_ms.saturating_add(span_ms),
            own: accounts.iter().map(|view| view.account).collect(),
            payments: BTreeMap::new(),
            leads: BTreeMap::new(),
            waiting: BTreeMap::new(),
            asked: BTreeSet::new(),
            budget: Steps(rule.max_steps),
            rounds: rule.hops,
            room: rule.max_accounts,
            left_out: 0,
        };
        let mut entries: BTreeMap<AccountId, Vec<&Entry>> = BTreeMap::new();
        for view in accounts {
            let retained = view.retained.iter().filter(|one| (from_ms..until_ms).contains(&one.at_ms));
            entries.entry(view.account).or_default().extend(retained);
        }
        for (account, entries) in entries {
            this.keep(account, &entry::canonical(entries));
            this.set_out(account);
        }
        Some(this)
    }

    /// The time whose entries are wanted: that of the client's retained entries, and as long before and after as a pattern may take.
    /// What became of the client's money afterwards counts, as far as it is known.
    pub fn range(&self) -> Range<i64> {
        self.range.clone()
    }

    /// An account with more entries than this in the [range](Self::range) is too busy to be followed; a reader may stop there.
    pub fn max_entries(&self) -> usize {
        self.rule.max_entries as usize
    }

    /// The accounts whose entries are wanted next, each once; none when it is done. Some may not be ours: those have no entries.
    pub fn wanted(&mut self) -> Vec<AccountId> {
        while self.rounds > 0 {
            self.rounds -= 1;
            let mut unknown = Vec::new();
            for (account, steps) in std::mem::take(&mut self.leads) {
                if self.payments.contains_key(&account) {
                    // It is in already: there is nothing to wait for.
                    self.follow(account, &steps);
                } else if !self.asked.contains(&account) {
                    unknown.push((Reverse(steps.iter().map(|step| step.at_ms).max()), account, steps));
                }
            }
            unknown.sort_unstable_by_key(|(latest, account, _)| (*latest, *account));
            let surplus = unknown.len().saturating_sub(self.room as usize);
            unknown.truncate(self.room as usize);
            self.room -= unknown.len() as u32;
            self.leave_out(surplus);
            if !unknown.is_empty() {
                let accounts: Vec<AccountId> = unknown.iter().map(|(_, account, _)| *account).collect();
                self.asked.extend(&accounts);
                self.waiting.extend(unknown.into_iter().map(|(_, account, steps)| (account, steps)));
                return accounts;
            }
        }
        Vec::new()
    }

    /// The entries of an account that was wanted. More than [the most](Self::max_entries) of them: the account is left out.
    pub fn add<'e>(&mut self, account: AccountId, entries: impl IntoIterator<Item = &'e Entry>) {
        let Some(steps) = self.waiting.remove(&account) else { return };
        let range = self.range();
        let within = |one: &&Entry| one.account == account && range.contains(&one.at_ms);
        let entries = entry::canonical(entries.into_iter().filter(within));
        if entries.len() > self.max_entries() {
            return self.leave_out(1);
        }
        self.keep(account, &entries);
        self.follow(account, &steps);
    }

    /// The network of what was added.
    pub fn finish(self) -> Network {
        let payments = self.payments.values().flatten();
        Network::new(payments, &self.own, self.left_out, self.rule.max_steps)
    }

    fn leave_out(&mut self, accounts: usize) {
        self.left_out = self.left_out.saturating_add(u32::try_from(accounts).unwrap_or(u32::MAX));
    }

    fn keep(&mut self, account: AccountId, entries: &[&Entry]) {
        let mut payments = Vec::with_capacity(entries.len());
        payments.extend(entries.iter().filter_map(|entry| Payment::of(entry, self.rule, &mut self.exchange)));
        self.payments.insert(account, payments);
    }

    /// Which of the client's own payments are followed.
    fn set_out(&mut self, account: AccountId) {
        let payments = std::mem::take(self.payments.entry(account).or_default());
        let (debits, credits): (Vec<&Payment>, Vec<&Payment>) =
            payments.iter().partition(|payment| payment.entry.direction == Direction::Debit);
        for (mine, others) in [(&debits, &credits), (&credits, &debits)] {
            let mut amounts: Vec<u64> = others.iter().map(|one| one.amount).collect();
            amounts.sort_unstable();
            let many = mine.len() >= self.many as usize && parties(mine) >= self.many as usize;
            for payment in mine {
                if many || has_like(&amounts, payment.amount, self.like_bp) {
                    self.lead(payment);
                }
            }
        }
        self.payments.insert(account, payments);
    }

    /// What an account does with what came, or where it had from what it paid.
    fn follow(&mut self, account: AccountId, steps: &BTreeSet<Step>) {
        let payments = std::mem::take(self.payments.entry(account).or_default());
        'account: for payment in &payments {
            for step in steps {
                if !self.budget.take() {
                    self.leave_out(1);
                    break 'account;
                }
                let onward = (payment.entry.direction == Direction::Debit) == step.forward;
                let soon = payment.entry.at_ms.abs_diff(step.at_ms) <= self.span_ms.unsigned_abs();
                let (least, most) = (payment.amount.min(step.amount), payment.amount.max(step.amount));
                if onward && soon && are_alike(least, most, self.like_bp) {
                    self.lead(payment);
                    break;
                }
            }
        }
        self.payments.insert(account, payments);
    }

    /// A payment leads to its other side, if that is named as an account of ours would be.
    fn lead(&mut self, payment: &Payment) {
        if let Some(account) = payment.other.account().filter(|account| !self.own.contains(account)) {
            let forward = payment.entry.direction == Direction::Debit;
            let step = Step { forward, at_ms: payment.entry.at_ms, amount: payment.amount };
            self.leads.entry(account).or_default().insert(step);
        }
    }
}

/// How many different parties these payments were with.
fn parties(payments: &[&Payment]) -> usize {
    let mut parties: Vec<&Counterparty> = payments.iter().map(|payment| &payment.other).collect();
    parties.sort_unstable();
    parties.dedup();
    parties.len()
}

/// Whether one of these amounts, which are ascending, is like this one.
fn has_like(amounts: &[u64], amount: u64, bp: u32) -> bool {
    let at = amounts.partition_point(|one| *one < amount);
    let nearest = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|at| amounts.get(at));
    nearest.into_iter().any(|one| are_alike((*one).min(amount), (*one).max(amount), bp))
}
