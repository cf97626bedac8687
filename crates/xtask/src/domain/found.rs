//! What a typology flags of accounts that are labelled, held against two that need no typology: chance, and volume alone.

use crate::report::Measurement;
use risk::typology::{self, Input};
use risk::{AccountId, AccountView, Entry, EntryId, Model, RefData, entry, network, state};
use std::collections::{BTreeMap, BTreeSet};

/// Entries by account.
pub(super) type Ledger = BTreeMap<AccountId, Vec<Entry>>;

/// What the rules found, each on its own.
pub(super) struct Found {
    /// By reason code: the accounts with a hit, and the transactions that its hits name.
    pub(super) by_code: BTreeMap<&'static str, (BTreeSet<AccountId>, BTreeSet<EntryId>)>,
    /// Accounts whose network was cut.
    pub(super) cut: usize,
}

/// A model's text with other values.
pub(super) fn model_with(edits: &[(&str, &str)]) -> anyhow::Result<Model> {
    let mut text = Model::BUILTIN.to_owned();
    for (from, to) in edits {
        anyhow::ensure!(text.contains(from), "the model has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    Ok(Model::parse(&text)?)
}

/// Runs every rule over each account's whole history, as if it had been looked at all the time.
pub(super) fn search(ledger: &Ledger, model: &Model, refdata: &RefData) -> Found {
    let mut found = Found { by_code: BTreeMap::new(), cut: 0 };
    let newest = ledger.values().flatten().map(|entry| entry.at_ms).max().unwrap_or_default();
    let of = |account: AccountId| ledger.get(&account).cloned().unwrap_or_default();
    for (account, entries) in ledger {
        let hours = state::hours(entries);
        let hours: Vec<_> = hours.iter().collect();
        let view = AccountView { account: *account, hours: &[], retained: entries };
        let network = network::explore(&[view], model, refdata, newest + 1, |account, _| of(account));
        let canonical = entry::canonical(entries);
        let input = Input {
            account: *account,
            entries: &canonical,
            hours: &hours,
            network: network.as_ref(),
            model,
            refdata,
        };
        let mut complete = network.as_ref().is_none_or(|network| network.left_out() == 0);
        for typology in typology::ALL {
            let result = typology.search(&input);
            complete &= result.complete;
            let (accounts, transactions) = found.by_code.entry(typology.code().as_str()).or_default();
            if !result.hits.is_empty() {
                accounts.insert(*account);
            }
            transactions.extend(result.hits.into_iter().flat_map(|hit| hit.transactions));
        }
        found.cut += usize::from(!complete);
    }
    found
}

/// Adds how well a set of accounts matches the labelled ones, and how chance and volume would have done with as many.
pub(super) fn compared(
    measurement: Measurement,
    ledger: &Ledger,
    labelled: &BTreeSet<AccountId>,
    flagged: &BTreeSet<AccountId>,
) -> Measurement {
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let hit = |accounts: &BTreeSet<AccountId>| accounts.intersection(labelled).count();
    let mut by_volume: Vec<(i128, AccountId)> = ledger
        .iter()
        .map(|(account, entries)| (entries.iter().map(|one| i128::from(one.amount.minor())).sum(), *account))
        .collect();
    by_volume.sort_unstable_by(|a, b| b.cmp(a));
    let largest = by_volume.into_iter().take(flagged.len()).map(|(_, account)| account).collect();
    let chance = share(labelled.len(), ledger.len());
    measurement
        .with("accounts", ledger.len())
        .with("labelled", labelled.len())
        .with("flagged", flagged.len())
        .with_decimals("precision", share(hit(flagged), flagged.len()))
        .with_decimals("recall", share(hit(flagged), labelled.len()))
        .with_decimals("random_precision", chance)
        .with_decimals("random_recall", share(flagged.len(), ledger.len()))
        .with_decimals("volume_precision", share(hit(&largest), flagged.len()))
        .with_decimals("volume_recall", share(hit(&largest), labelled.len()))
}
