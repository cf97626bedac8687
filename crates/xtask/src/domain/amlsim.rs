//! AMLSim's labelled accounts (Weber et al., arXiv:1812.00076). See docs/amlsim.md for what these sets are like.
//!
//! Each set is looked at twice: by the model as it is, only that no amount is too small (these amounts are of no currency), and by one
//! whose windows are as long as the set and whose rounds need no order, as its alerts have none.

use super::found::{self, Ledger};
use crate::report::Measurement;
use anyhow::Context as _;
use risk::time::DAY_MS;
use risk::{AccountId, Amount, Currency, Direction, Entry, EntryId, Kind, RefData, TransferId};
use std::collections::BTreeSet;
use std::path::Path;

/// 2026-01-01T00:00:00Z: step 0, as in examples/amlsim/mapping.toml.
const START_MS: i64 = 1_767_225_600_000;

const AS_IT_IS: &[(&str, &str)] = &[
    ("retained-days = 30", "retained-days = 366"),
    ("min-amount = { default = 1000,", "min-amount = { default = 1,"),
];
const AS_THE_SET_IS: &[(&str, &str)] = &[
    ("hops = 2", "hops = 3"),
    // Without it only like payments are followed, so that there is room for them.
    ("min-between = 4", "min-between = 1000"),
    ("retained-days = 30", "retained-days = 366"),
    ("min-amount = { default = 1000,", "min-amount = { default = 1,"),
    (
        "max-length = 6\ndays = 30\namount-bp = 8000\nin-order = true",
        "max-length = 8\ndays = 149\namount-bp = 10000\nin-order = false",
    ),
    ("hours = 24\nmin-counterparties = 5", "hours = 3576\nmin-counterparties = 5"),
];

/// Each set that is there, by each model and each rule that fits its alerts.
pub(super) fn measure(directory: Option<&Path>) -> anyhow::Result<Vec<Measurement>> {
    let Some(directory) = directory else {
        let skipped = "no --amlsim DIR; the sets are IBM's, github.com/IBM/AMLSim";
        return Ok(vec![Measurement::without_goal("amlsim").with("skipped", skipped)]);
    };
    let refdata = RefData::builtin()?;
    let mut measurements = Vec::new();
    for (set, code) in [("cycle", "ROUND_TRIPPING"), ("fanin", "FAN_IN")] {
        let directory = directory.join(set);
        if !directory.is_dir() {
            let skipped = format!("no {}", directory.display());
            measurements.push(Measurement::without_goal("amlsim").with("set", set).with("skipped", skipped));
            continue;
        }
        let ledger = ledger(&directory).with_context(|| format!("read {}", directory.display()))?;
        let labelled = labelled(&directory).with_context(|| format!("read {}", directory.display()))?;
        for (by, edits) in [("scorecard-2", AS_IT_IS), ("as the set is", AS_THE_SET_IS)] {
            let found = found::search(&ledger, &found::model_with(edits)?, &refdata);
            for (rule, (flagged, _)) in &found.by_code {
                if by == "scorecard-2" || *rule == code {
                    let measurement = Measurement::without_goal("amlsim")
                        .with("set", set)
                        .with("model", by)
                        .with("rule", *rule);
                    measurements.push(found::compared(measurement, &ledger, &labelled, flagged));
                }
            }
            let cut = Measurement::without_goal("amlsim_cut").with("set", set).with("model", by);
            measurements.push(cut.with("accounts_with_a_cut_network", found.cut));
        }
    }
    Ok(measurements)
}

/// The rows of a file with a header and no quotes.
fn rows(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

fn account(node: &str) -> anyhow::Result<AccountId> {
    Ok(AccountId::new(1_000_000_000 + node.parse::<u64>()?)?)
}

fn labelled(directory: &Path) -> anyhow::Result<BTreeSet<AccountId>> {
    let rows = rows(&directory.join("nodes.csv"))?;
    let fraud = rows.iter().filter(|row| row.get(1).is_some_and(|flag| flag == "1"));
    fraud.map(|row| account(&row[0])).collect()
}

/// Both sides of each transfer, as the import makes them; the line is the id.
fn ledger(directory: &Path) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::new();
    for (at, row) in rows(&directory.join("transactions.csv"))?.iter().enumerate() {
        let [from, to, value, step] = &row[..] else {
            anyhow::bail!("line {}: four columns are wanted", at + 2)
        };
        let (from, to) = (account(from)?, account(to)?);
        let id = format!("amlsim-{}", at + 2);
        for (own, other, direction, end) in
            [(from, to, Direction::Debit, "out"), (to, from, Direction::Credit, "in")]
        {
            ledger.entry(own).or_default().push(Entry {
                at_ms: START_MS + step.parse::<i64>()? * DAY_MS,
                id: EntryId::new(&format!("{id}-{end}"))?,
                account: own,
                transfer_id: Some(TransferId::new(&id)?),
                direction,
                amount: Amount::new((value.parse::<f64>()? * 100.0).round() as i64)?,
                currency: Currency::EUR,
                counterparty: Some(other.party()),
                counterparty_country: None,
                kind: Kind::Transfer,
                channel: None,
            });
        }
    }
    Ok(ledger)
}
