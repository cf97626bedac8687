//! What to generate.

use risk::time::{DAY_MS, Day};

/// How many of what, from which seed. Two equal plans give equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// How many clients, 1 to 50 million.
    pub clients: u64,
    /// How many accounts, at least one a client, at most 64 a client on average.
    pub accounts: u64,
    /// How many entries of accounts, exactly: a transfer between generated accounts is two.
    pub entries: u64,
    /// Over how many days they are spread, 1 to 3,660.
    pub days: u32,
    /// The end of these days, milliseconds since the epoch; every entry is before it.
    pub end_ms: i64,
    /// How many entries in a million belong to a labelled pattern of laundering, about; at most 100,000.
    pub suspicious_ppm: u32,
    /// How many transactions in a million arrive late: their time is up to [`Self::late_max_hours`] before their place.
    pub late_ppm: u32,
    /// How late at most, 1 to 720.
    pub late_max_hours: u32,
    /// How many transactions in a million are a repeat of a recent one, to the last byte.
    pub duplicate_ppm: u32,
}

/// A plan that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct Error {
    /// Which field of the plan.
    pub field: &'static str,
    /// What it may be.
    pub expected: &'static str,
}

impl Plan {
    /// The sandbox: 1,000 clients, 2,000 accounts, 100,000 entries over the 120 days before `end_ms`, one in a thousand
    /// suspicious, none late or repeated.
    pub fn sandbox(seed: u64, end_ms: i64) -> Self {
        Self { entries: 100_000, ..Self::of_clients(seed, 1_000, end_ms) }
    }

    /// This many clients with two accounts each and fifty entries an account over 120 days.
    pub fn of_clients(seed: u64, clients: u64, end_ms: i64) -> Self {
        let accounts = clients.saturating_mul(2);
        Self {
            seed,
            clients,
            accounts,
            entries: accounts.saturating_mul(50),
            days: 120,
            end_ms,
            suspicious_ppm: 1_000,
            late_ppm: 0,
            late_max_hours: 48,
            duplicate_ppm: 0,
        }
    }

    /// The first millisecond of its days.
    pub fn start_ms(&self) -> i64 {
        self.end_ms.saturating_sub(i64::from(self.days) * DAY_MS)
    }

    /// How many transactions its entries make: of every five entries, two are the sides of one transfer between generated
    /// accounts. That fixed layout is what makes any transaction computable alone.
    pub fn transactions(&self) -> u64 {
        self.entries / ENTRIES_PER_BLOCK * ROWS_PER_BLOCK + self.entries % ENTRIES_PER_BLOCK
    }

    /// Whether transaction `i` has two entries.
    pub(crate) fn is_double(&self, i: u64) -> bool {
        i.is_multiple_of(ROWS_PER_BLOCK) && i / ROWS_PER_BLOCK < self.entries / ENTRIES_PER_BLOCK
    }

    /// How many entries the transactions before transaction `i` have.
    pub fn entries_before(&self, i: u64) -> u64 {
        let doubles = i.div_ceil(ROWS_PER_BLOCK).min(self.entries / ENTRIES_PER_BLOCK);
        i + doubles
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let ensure =
            |holds: bool, field, expected| if holds { Ok(()) } else { Err(Error { field, expected }) };
        ensure((1..=50_000_000).contains(&self.clients), "clients", "1 to 50000000")?;
        let accounts = self.clients..=self.clients * 64;
        ensure(accounts.contains(&self.accounts), "accounts", "1 to 64 for each client")?;
        ensure(self.entries <= 100_000_000_000, "entries", "at most 100000000000")?;
        ensure((1..=3_660).contains(&self.days), "days", "1 to 3660")?;
        // Onboarding lies up to 15 years before the first entry, and all of it in years of four digits.
        let (earliest, latest) = (Day::from_civil(1980, 1, 1), Day::from_civil(2200, 1, 1));
        let in_range = earliest.is_some_and(|day| day.start_ms() <= self.end_ms)
            && latest.is_some_and(|day| self.end_ms <= day.start_ms());
        ensure(in_range, "end", "from 1980 to 2200")?;
        ensure(self.suspicious_ppm <= 100_000, "suspicious", "at most 100000 in a million")?;
        ensure(self.late_ppm <= 1_000_000, "late", "at most 1000000 in a million")?;
        ensure((1..=720).contains(&self.late_max_hours), "late hours", "1 to 720")?;
        ensure(self.duplicate_ppm <= 500_000, "duplicates", "at most 500000 in a million")
    }
}

/// Transactions in a block, of which the first has two entries.
pub(crate) const ROWS_PER_BLOCK: u64 = 4;
const ENTRIES_PER_BLOCK: u64 = ROWS_PER_BLOCK + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_has_its_size() {
        let plan = Plan::sandbox(1, 1_780_272_000_000);
        assert_eq!((plan.clients, plan.accounts, plan.entries, plan.days), (1_000, 2_000, 100_000, 120));
        assert_eq!(plan.transactions(), 80_000);
        assert_eq!(plan.check(), Ok(()));
    }

    #[test]
    fn every_number_of_entries_comes_out_exactly() {
        for entries in 0..200 {
            let plan = Plan { entries, ..Plan::sandbox(1, 1_780_272_000_000) };
            let mut before = 0;
            for i in 0..plan.transactions() {
                assert_eq!(plan.entries_before(i), before);
                before += 1 + u64::from(plan.is_double(i));
            }
            assert_eq!(before, entries);
        }
    }

    #[test]
    fn impossible_plans_name_their_field() {
        let plan = Plan::sandbox(1, 1_780_272_000_000);
        let field = |plan: Plan| plan.check().map_err(|error| error.field);
        assert_eq!(field(Plan { clients: 0, ..plan }), Err("clients"));
        assert_eq!(field(Plan { accounts: 999, ..plan }), Err("accounts"));
        assert_eq!(field(Plan { days: 0, ..plan }), Err("days"));
        assert_eq!(field(Plan { end_ms: i64::MAX, ..plan }), Err("end"));
        assert_eq!(field(Plan { suspicious_ppm: 100_001, ..plan }), Err("suspicious"));
        assert_eq!(field(Plan { late_max_hours: 0, ..plan }), Err("late hours"));
    }
}
