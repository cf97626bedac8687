//! Accounts: ten digits, a client, a currency.

use risk::{AccountId, Currency};

use crate::{
    generator::Generator,
    ids,
    rng::{Draw, Stream},
};

/// Whether an account is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountStatus {
    /// In use.
    Active,
    /// Open, without transactions in the plan's days.
    Dormant,
}

impl AccountStatus {
    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Dormant => "dormant",
        }
    }
}

/// A generated account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its place in the plan.
    pub index: u64,
    /// Its number; unique in the plan, without a leading zero.
    pub id: AccountId,
    /// The index of its client.
    pub client: u64,
    /// A client's first account is in euros.
    pub currency: Currency,
    /// A client's first account is active.
    pub status: AccountStatus,
    /// When it was opened, milliseconds since the epoch: with the first day of its client.
    pub opened_at_ms: i64,
}

/// What transactions need to know of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    pub(crate) index: u64,
    pub(crate) client: u64,
    pub(crate) currency: Currency,
    pub(crate) dormant: bool,
}

/// Currencies of a client's further accounts, and units of each for 1,000 euros: fixed here, for ever, so that the bytes of
/// a plan do not change with any table of rates.
const CURRENCIES: &[((Currency, u64), u32)] = &[
    ((Currency::EUR, 1_000), 700),
    ((Currency::of(b"USD"), 1_100), 120),
    ((Currency::of(b"GBP"), 860), 60),
    ((Currency::of(b"CHF"), 950), 50),
    ((Currency::of(b"NAD"), 19_800), 30),
    ((Currency::of(b"ZAR"), 19_800), 20),
    ((Currency::of(b"JPY"), 160_000), 20),
];

/// `minor` units of one generated currency in minor units of another, rounded down, at least 1.
pub(crate) fn convert(minor: u64, from: Currency, to: Currency) -> u64 {
    if from == to {
        return minor;
    }
    let units = |currency: Currency| {
        let rate =
            CURRENCIES.iter().find(|((one, _), _)| *one == currency).map_or(1_000, |((_, rate), _)| *rate);
        u128::from(rate) * 10_u128.pow(currency.exponent())
    };
    ((u128::from(minor) * units(to) / units(from)) as u64).max(1)
}

/// Numbers are `FIRST + (index * STEP + shift) mod COUNT`. STEP has no factor in common with COUNT = 2^9 3^2 5^9, so this is
/// a permutation: no two accounts share a number, and neighbours do not look alike.
const FIRST: u64 = 1_000_000_000;
const COUNT: u64 = 9_000_000_000;
const STEP: u64 = 5_562_305_903;

impl Generator {
    /// Account `index`, of those that the plan has. Accounts of one client are neighbours.
    pub fn account(&self, index: u64) -> Account {
        let ledger = self.ledger(index);
        Account {
            index,
            id: self.account_id(index),
            client: ledger.client,
            currency: ledger.currency,
            status: if ledger.dormant { AccountStatus::Dormant } else { AccountStatus::Active },
            opened_at_ms: self.onboarded_at_ms(ledger.client),
        }
    }

    /// The accounts of client `index`.
    pub fn accounts_of(&self, client: u64) -> std::ops::Range<u64> {
        self.first_account(client)..self.first_account(client + 1)
    }

    pub(crate) fn account_id(&self, index: u64) -> AccountId {
        let shift = u128::from(Draw::new(self.plan().seed, Stream::Layout, 0).next());
        let place = (u128::from(index) * u128::from(STEP) + shift) % u128::from(COUNT);
        ids::account(FIRST + place as u64)
    }

    /// The first client's accounts come first; the first `accounts mod clients` clients have one more.
    pub(crate) fn first_account(&self, client: u64) -> u64 {
        let (each, more) =
            (self.plan().accounts / self.plan().clients, self.plan().accounts % self.plan().clients);
        client * each + client.min(more)
    }

    fn client_of(&self, account: u64) -> u64 {
        let (each, more) =
            (self.plan().accounts / self.plan().clients, self.plan().accounts % self.plan().clients);
        let larger = more * (each + 1);
        if account < larger { account / (each + 1) } else { more + (account - larger) / each }
    }

    pub(crate) fn ledger(&self, index: u64) -> Ledger {
        let client = self.client_of(index);
        if self.first_account(client) == index {
            return Ledger { index, client, currency: Currency::EUR, dormant: false };
        }
        let mut draw = Draw::new(self.plan().seed, Stream::Account, index);
        let (currency, _) = draw.pick(CURRENCIES);
        Ledger { index, client, currency, dormant: draw.chance(20_000) }
    }

    /// This account, or its client's first one if it is not in use.
    pub(crate) fn in_use(&self, index: u64) -> Ledger {
        let ledger = self.ledger(index);
        if ledger.dormant { self.ledger(self.first_account(ledger.client)) } else { ledger }
    }
}
