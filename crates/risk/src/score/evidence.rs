//! What a score is computed from: the views of the caller, cut at `as_of`, sorted and freed of repeats.

use std::collections::BTreeMap;

use crate::{
    entry::{self, AccountId, Entry},
    hash::StateHash,
    model::Model,
    score::Facts,
    state::{HourState, StateHasher},
    time::{DAY_MS, Hour},
};

/// What the caller has of one account. Order and repeats do not matter, neither in the slices nor among views.
#[derive(Clone, Copy, Debug)]
pub struct AccountView<'a> {
    /// Which account.
    pub account: AccountId,
    /// Its hours: all there are, or at least those of the model's flow window (a shorter past makes less confidence).
    pub hours: &'a [HourState],
    /// Its entries of at least the model's retained window.
    pub retained: &'a [Entry],
}

pub(super) struct Account<'a> {
    pub(super) id: AccountId,
    pub(super) hours: Vec<&'a HourState>,
    pub(super) entries: Vec<&'a Entry>,
}

/// Accounts with anything in them, ascending.
pub(super) struct Evidence<'a> {
    pub(super) accounts: Vec<Account<'a>>,
    /// The end of `as_of`'s hour: nothing at or after it counts.
    pub(super) cutoff_ms: i64,
}

impl<'a> Evidence<'a> {
    pub(super) fn gather(views: &[AccountView<'a>], model: &Model, as_of_ms: i64) -> Self {
        let cutoff_ms = Hour::of(as_of_ms.saturating_sub(1)).end_ms();
        let retained_from = cutoff_ms.saturating_sub(model.window.retained_ms());
        let mut by_account: BTreeMap<AccountId, (Vec<&HourState>, Vec<&Entry>)> = BTreeMap::new();
        for view in views {
            let (hours, entries) = by_account.entry(view.account).or_default();
            hours.reserve(view.hours.len());
            hours.extend(view.hours.iter().filter(|one| one.hour.start_ms() < cutoff_ms));
            entries
                .extend(view.retained.iter().filter(|one| (retained_from..cutoff_ms).contains(&one.at_ms)));
        }
        let accounts = by_account
            .into_iter()
            .filter(|(_, (hours, entries))| !hours.is_empty() || !entries.is_empty())
            .map(|(id, (hours, entries))| Account {
                id,
                hours: each_once(hours),
                entries: entry::canonical(entries),
            })
            .collect();
        Self { accounts, cutoff_ms }
    }

    /// Hours of the flow window.
    pub(super) fn flow_hours(&self, model: &Model) -> impl Iterator<Item = &'a HourState> {
        let from = self.cutoff_ms.saturating_sub(model.window.flow_ms());
        self.accounts
            .iter()
            .flat_map(|account| account.hours.iter().copied())
            .filter(move |one| one.hour.start_ms() >= from)
    }

    /// Whole days between the first hour and the cut.
    pub(super) fn days_observed(&self) -> u64 {
        let first =
            self.accounts.iter().filter_map(|account| account.hours.first()).map(|one| one.hour).min();
        first.map_or(0, |first| (self.cutoff_ms.saturating_sub(first.start_ms()) / DAY_MS).unsigned_abs())
    }

    pub(super) fn hash(&self, facts: &Facts<'_>) -> StateHash {
        let mut hasher = StateHasher::new();
        hasher.profile(facts.profile);
        for account in &self.accounts {
            hasher.account(account.id);
            account.hours.iter().for_each(|hour| hasher.hour(hour));
            account.entries.iter().for_each(|entry| hasher.entry(entry));
        }
        if let Some(network) = facts.network {
            network.hash_into(&mut hasher);
        }
        if let Some(screening) = facts.screening {
            hasher.screening(screening);
        }
        hasher.finish()
    }
}

/// Each hour once, ascending. There should be one state an hour; of two, the one with the lesser bytes counts, whichever
/// came first.
fn each_once(mut hours: Vec<&HourState>) -> Vec<&HourState> {
    if !hours.is_sorted_by(|a, b| a.hour < b.hour) {
        hours.sort_by_cached_key(|one| (one.hour, one.encode()));
        hours.dedup_by_key(|one| one.hour);
    }
    hours
}
