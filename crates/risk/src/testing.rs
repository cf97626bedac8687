//! Entries for tests: one builder, and strategies that make hostile sets of them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use crate::{
    code::{Country, Currency},
    entry::{AccountId, Amount, Channel, Direction, Entry, Kind},
    text::{Counterparty, EntryId, TransferId},
};

pub(crate) const ACCOUNT: u64 = 1_234_567_890;

/// A plain incoming transfer of 100.00 EUR.
pub(crate) fn entry(id: &str, at_ms: i64) -> Entry {
    Entry {
        at_ms,
        id: EntryId::new(id).unwrap(),
        account: AccountId::new(ACCOUNT).unwrap(),
        transfer_id: None,
        direction: Direction::Credit,
        amount: Amount::new(10_000).unwrap(),
        currency: Currency::EUR,
        counterparty: None,
        counterparty_country: None,
        kind: Kind::Transfer,
        channel: Some(Channel::Online),
    }
}

/// Account number `n`.
pub(crate) fn account(n: u64) -> AccountId {
    AccountId::new(n).unwrap()
}

/// Both sides of a transfer between accounts `from` and `to`.
pub(crate) fn transfer(id: &str, from: u64, to: u64, at_ms: i64, minor: i64) -> [Entry; 2] {
    let side = |direction, own: u64, other: u64, end: &str| Entry {
        direction,
        account: account(own),
        transfer_id: Some(TransferId::new(id).unwrap()),
        counterparty: Some(account(other).party()),
        amount: amount(minor),
        ..entry(&format!("{id}{end}"), at_ms)
    };
    [side(Direction::Debit, from, to, "-d"), side(Direction::Credit, to, from, "-c")]
}

pub(crate) fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn counterparty(name: &str) -> Counterparty {
    Counterparty::new(name).unwrap()
}

pub(crate) fn country(code: &str) -> Country {
    Country::new(code).unwrap()
}

/// Entries of one account over `span_ms`, dense enough that windows fill, with few ids so that repeats and conflicting
/// repeats occur.
pub(crate) fn entries(max: usize, span_ms: i64) -> impl Strategy<Value = Vec<Entry>> {
    // Times on a coarse grid make ties and exact window lengths common.
    let one = (
        (0..span_ms / 600_000).prop_map(|step| step * 600_000),
        0_u32..(max as u32 * 2),
        prop::sample::select(Direction::ALL),
        prop_oneof![
            Just(10_000_i64),
            799_990..800_010_i64,
            999_990..1_000_010_i64,
            1..2_000_000_i64,
            Just(Amount::MAX_MINOR)
        ],
        prop::sample::select(&["EUR", "USD", "JPY"][..]),
        prop::option::weighted(0.8, 0_u8..8),
        prop::option::weighted(0.7, prop::sample::select(&["DE", "NA", "IR", "FR", "KP"][..])),
        prop::sample::select(Kind::ALL),
        prop::option::weighted(0.9, prop::sample::select(Channel::ALL)),
    )
        .prop_map(|(at_ms, id, direction, minor, currency, party, place, kind, channel)| Entry {
            direction,
            amount: amount(minor),
            currency: Currency::new(currency).unwrap(),
            counterparty: party.map(|n| counterparty(&format!("party-{n}"))),
            counterparty_country: place.map(country),
            kind,
            channel,
            ..entry(&format!("t{id}"), at_ms)
        });
    prop::collection::vec(one, 0..=max)
}
