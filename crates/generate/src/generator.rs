//! The generator: a plan, and the little that is worked out once.

use std::ops::Range;

use risk::Entry;

use crate::{
    ids,
    pattern::{self, Member},
    plan::{Error, Plan},
    rhythm::Rhythm,
    rng::{Draw, Stream},
    transaction::Transaction,
};

/// Computes anything of a plan by its index. Cheap to share between threads; holds a few bytes for each hour of the plan and
/// for each suspicious transaction.
#[derive(Clone, Debug)]
pub struct Generator {
    plan: Plan,
    pub(crate) prefix: ids::Prefix,
    pub(crate) rhythm: Rhythm,
    /// By row.
    pub(crate) members: Vec<Member>,
    /// Spreads ranks over accounts: has no factor in common with their number.
    pub(crate) spread: u64,
}

impl Generator {
    /// Checks the plan and lays out its patterns.
    pub fn new(plan: Plan) -> Result<Self, Error> {
        plan.check()?;
        let rhythm = Rhythm::new(plan.start_ms(), plan.days, plan.transactions().max(1));
        let mut this = Self {
            prefix: ids::prefix(fingerprint(&plan)),
            rhythm,
            members: Vec::new(),
            spread: spread(plan.accounts),
            plan,
        };
        this.members = pattern::lay_out(&this);
        Ok(this)
    }

    /// What is generated.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Transactions of a range of indices, in time order but for late ones and repeats.
    pub fn transactions(&self, range: Range<u64>) -> impl Iterator<Item = Transaction> {
        range.map(|i| self.transaction(i))
    }

    /// All entries of the plan, in the order of their transactions.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.transactions(0..self.plan.transactions()).flat_map(Transaction::into_entries)
    }
}

/// A number that hardly any two plans share.
fn fingerprint(plan: &Plan) -> u64 {
    let Plan {
        seed,
        clients,
        accounts,
        entries,
        days,
        end_ms,
        suspicious_ppm,
        late_ppm,
        late_max_hours,
        duplicate_ppm,
    } = *plan;
    let small = [days, suspicious_ppm, late_ppm, late_max_hours, duplicate_ppm].map(u64::from);
    [clients, accounts, entries, end_ms as u64]
        .into_iter()
        .chain(small)
        .fold(seed, |so_far, part| Draw::new(so_far, Stream::Layout, part).next())
}

/// The first number from about 0.618 n on that has no factor in common with `n`.
fn spread(n: u64) -> u64 {
    let golden = (u128::from(n) * 618_033_989 / 1_000_000_000) as u64;
    (golden.max(1)..=n.max(1)).find(|step| gcd(*step, n) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
