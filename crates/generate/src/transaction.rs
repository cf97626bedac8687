//! Transactions: everyday ones, and the faults of their delivery.
//!
//! The mix of kinds follows PaySim (Lopez-Rojas et al., 2016: CASH_IN, CASH_OUT, DEBIT, PAYMENT, TRANSFER) in our terms. An
//! account deals with the same few counterparties again and again, so that many different ones in a short time mean
//! something.

use risk::{Amount, Channel, Counterparty, Country, Direction, Entry, Kind, time::HOUR_MS};

use crate::{
    account::{Ledger, convert},
    client::{ABROAD, Character},
    dist::{ONE, log_normal, zipf},
    generator::Generator,
    ids::{self, Side},
    pattern::Label,
    plan::ROWS_PER_BLOCK,
    rng::{Draw, Stream},
};

/// A generated transaction: one entry, or the two sides of a transfer between generated accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its place in the plan.
    pub index: u64,
    /// The only entry, or the debit of a transfer.
    pub entry: Entry,
    /// The credit of a transfer.
    pub credit: Option<Entry>,
    /// The pattern of laundering that it belongs to.
    pub label: Option<Label>,
    /// The index of the transaction that this one repeats to the last byte.
    pub repeats: Option<u64>,
}

impl Transaction {
    /// Its entries.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(&self.entry).chain(&self.credit)
    }

    /// The same by value.
    pub fn into_entries(self) -> impl Iterator<Item = Entry> {
        std::iter::once(self.entry).chain(self.credit)
    }
}

/// Ranks begin as if this many heavier accounts were missing: the heaviest of 2,000 then has 1 % of all, not 12 %.
const ZIPF_OFFSET: u64 = 20;
/// Counterparties that an account deals with.
const PARTIES: u64 = 16;
/// Generated accounts that an account transfers to.
const PARTNERS: u64 = 8;
/// How far back a repeat can reach, in blocks of transactions.
const REPEAT_BLOCKS: u64 = 64;

/// What an everyday entry is: kind, direction, logarithm to base 2 of the median in euro cents and its spread, both in
/// hundredths, and which counterparties it is with.
#[derive(Clone, Copy)]
struct Habit {
    kind: Kind,
    direction: Direction,
    log2_median: i64,
    sigma: i64,
    parties: Option<(u64, u64)>,
}

const fn habit(
    kind: Kind,
    direction: Direction,
    log2_median: i64,
    sigma: i64,
    parties: Option<(u64, u64)>,
) -> Habit {
    Habit { kind, direction, log2_median, sigma, parties }
}

const CARD: Habit = habit(Kind::Card, Direction::Debit, 1_129, 130, None);
const CASH_OUT: Habit = habit(Kind::Cash, Direction::Debit, 1_329, 90, None);
const CASH_IN: Habit = habit(Kind::Cash, Direction::Credit, 1_480, 130, None);
const COLLECTED: Habit = habit(Kind::DirectDebit, Direction::Debit, 1_255, 120, Some((12, 4)));
const SALARY: Habit = habit(Kind::Transfer, Direction::Credit, 1_775, 60, Some((0, 1)));
const RECEIPT: Habit = habit(Kind::Transfer, Direction::Credit, 1_460, 200, Some((9, 3)));
const PAYMENT: Habit = habit(Kind::Transfer, Direction::Debit, 1_410, 200, Some((1, 8)));
const FEE: Habit = habit(Kind::Fee, Direction::Debit, 880, 80, None);
const CRYPTO_BUY: Habit = habit(Kind::Crypto, Direction::Debit, 1_429, 200, Some((15, 1)));
const CRYPTO_SELL: Habit = habit(Kind::Crypto, Direction::Credit, 1_429, 200, Some((15, 1)));
const INTERNAL: Habit = habit(Kind::Transfer, Direction::Debit, 1_387, 200, None);

const OF_PERSONS: &[(Habit, u32)] = &[
    (CARD, 460),
    (CASH_OUT, 120),
    (CASH_IN, 25),
    (COLLECTED, 145),
    (SALARY, 60),
    (RECEIPT, 70),
    (PAYMENT, 85),
    (FEE, 22),
    (CRYPTO_BUY, 9),
    (CRYPTO_SELL, 4),
];
const OF_COMPANIES: &[(Habit, u32)] = &[
    (CARD, 200),
    (CASH_OUT, 30),
    (CASH_IN, 70),
    (COLLECTED, 120),
    (RECEIPT, 290),
    (PAYMENT, 250),
    (FEE, 30),
    (CRYPTO_BUY, 6),
    (CRYPTO_SELL, 4),
];

/// Companies move four times as much.
const COMPANY_LOG2: i64 = 200;

impl Generator {
    /// Transaction `index`, of those that the plan has.
    pub fn transaction(&self, index: u64) -> Transaction {
        if let Some(member) = self.member(index) {
            return self.suspicious(member);
        }
        let repeats = self.repeats(index);
        match repeats.and_then(|origin| self.member(origin)) {
            Some(member) => Transaction { index, repeats, ..self.suspicious(member) },
            None => Transaction { index, repeats, ..self.everyday(repeats.unwrap_or(index)) },
        }
    }

    /// Which transaction an everyday one repeats: an earlier one of its place in the block, so with as many entries.
    fn repeats(&self, index: u64) -> Option<u64> {
        let mut origin = index;
        // What is repeated may be a repeat itself, or belong to a pattern; each step goes back.
        while self.member(origin).is_none() {
            let mut draw = Draw::new(self.plan().seed, Stream::Fault, origin);
            let back = ROWS_PER_BLOCK * draw.between(1, REPEAT_BLOCKS);
            let earlier = origin
                .checked_sub(back)
                .filter(|earlier| self.plan().is_double(*earlier) == self.plan().is_double(index));
            match earlier {
                Some(earlier) if self.plan().duplicate_ppm > 0 && draw.chance(self.plan().duplicate_ppm) => {
                    origin = earlier;
                }
                _ => break,
            }
        }
        (origin != index).then_some(origin)
    }

    fn everyday(&self, index: u64) -> Transaction {
        let mut draw = Draw::new(self.plan().seed, Stream::Transaction, index);
        let at_ms = self.everyday_time(index);
        let rank = zipf(&mut draw, self.plan().accounts, ZIPF_OFFSET);
        let account = (u128::from(rank) * u128::from(self.spread) % u128::from(self.plan().accounts)) as u64;
        let ledger = self.in_use(account);
        let character = self.character(ledger.client);
        if self.plan().is_double(index) {
            let partner = self.partner(&ledger, &mut draw);
            let minor = amount(&mut draw, INTERNAL, character, &ledger);
            let channel = channel(&mut draw, INTERNAL, character);
            return self.transfer(index, at_ms, &ledger, &partner, minor, channel, None);
        }
        let habit = draw.pick(if character.company { OF_COMPANIES } else { OF_PERSONS });
        let minor = amount(&mut draw, habit, character, &ledger);
        let channel = channel(&mut draw, habit, character);
        let party = habit.parties.map(|(first, count)| {
            let slot = first + draw.below(count).min(draw.below(count));
            self.party(&ledger, slot, character)
        });
        let country = match (habit.kind, party) {
            (_, Some((_, country))) => Some(country),
            (Kind::Card, None) => Some(place(&mut draw, character)),
            _ => None,
        };
        let entry = Entry {
            at_ms,
            id: ids::entry(self.prefix, index, Side::Only),
            account: self.account_id(ledger.index),
            transfer_id: None,
            direction: habit.direction,
            amount: Amount::clamped(minor as i64),
            currency: ledger.currency,
            counterparty: party.map(|(party, _)| party),
            counterparty_country: country,
            kind: habit.kind,
            channel: Some(channel),
        };
        Transaction { index, entry, credit: None, label: None, repeats: None }
    }

    /// The time of its slice, or an earlier one if it is late.
    fn everyday_time(&self, index: u64) -> i64 {
        let mut draw = Draw::new(self.plan().seed, Stream::Time, index);
        let at_ms = self.rhythm.in_slice(index, &mut draw);
        if self.plan().late_ppm == 0 || !draw.chance(self.plan().late_ppm) {
            return at_ms;
        }
        let late_ms = draw.between(1, u64::from(self.plan().late_max_hours) * HOUR_MS as u64);
        (at_ms - late_ms as i64).max(self.plan().start_ms())
    }

    /// The two sides of a transfer, the receiver's in its own currency.
    #[expect(clippy::too_many_arguments, reason = "each is one column")]
    pub(crate) fn transfer(
        &self,
        index: u64,
        at_ms: i64,
        from: &Ledger,
        to: &Ledger,
        minor: u64,
        channel: Channel,
        label: Option<Label>,
    ) -> Transaction {
        let side = |direction, own: &Ledger, other: &Ledger| Entry {
            at_ms,
            id: ids::entry(
                self.prefix,
                index,
                if direction == Direction::Debit { Side::Debit } else { Side::Credit },
            ),
            account: self.account_id(own.index),
            transfer_id: Some(ids::transfer(self.prefix, index)),
            direction,
            amount: Amount::clamped(convert(minor, from.currency, own.currency) as i64),
            currency: own.currency,
            counterparty: Some(ids::own(self.account_id(other.index))),
            counterparty_country: Some(self.character(other.client).home),
            kind: Kind::Transfer,
            channel: Some(channel),
        };
        let (entry, credit) = (side(Direction::Debit, from, to), side(Direction::Credit, to, from));
        Transaction { index, entry, credit: Some(credit), label, repeats: None }
    }

    /// One of the generated accounts that this one transfers to, the first ones more often; never itself.
    fn partner(&self, from: &Ledger, draw: &mut Draw) -> Ledger {
        let slot = draw.below(PARTNERS).min(draw.below(PARTNERS));
        let drawn = Draw::new(self.plan().seed, Stream::Partner, from.index * PARTNERS + slot)
            .below(self.plan().accounts);
        let to = self.in_use(drawn);
        if to.index != from.index {
            return to;
        }
        let next = (from.client + 1) % self.plan().clients;
        self.ledger(self.first_account(next))
    }

    /// One of the counterparties elsewhere that this account deals with.
    fn party(&self, ledger: &Ledger, slot: u64, character: Character) -> (Counterparty, Country) {
        let mut draw = Draw::new(self.plan().seed, Stream::Party, ledger.index * PARTIES + slot);
        let country = place(&mut draw, character);
        (ids::foreign(country, &mut draw), country)
    }
}

/// At home, or as often abroad as this client deals with.
fn place(draw: &mut Draw, character: Character) -> Country {
    if draw.chance(character.abroad_ppm) { draw.pick(ABROAD) } else { character.home }
}

/// Minor units of the account's currency; cash is round, and so is half of what people type in.
fn amount(draw: &mut Draw, habit: Habit, character: Character, ledger: &Ledger) -> u64 {
    let log2 = habit.log2_median + if character.company { COMPANY_LOG2 } else { 0 };
    let cents = log_normal(draw, log2 * ONE / 100, habit.sigma * ONE / 100);
    let minor = convert(cents, risk::Currency::EUR, ledger.currency);
    let typed = matches!(habit.kind, Kind::Transfer | Kind::Crypto) && draw.chance(500_000);
    let step = match habit.kind {
        Kind::Cash => 1_000,
        _ if typed => 500,
        _ => 1,
    };
    (minor / step * step).max(step)
}

fn channel(draw: &mut Draw, habit: Habit, character: Character) -> Channel {
    match (habit.kind, habit.direction) {
        (Kind::Card, _) => draw.pick(&[(Channel::Online, 55), (Channel::Mobile, 45)]),
        (Kind::Cash, Direction::Debit) => draw.pick(&[(Channel::Atm, 85), (Channel::Branch, 15)]),
        (Kind::Cash, Direction::Credit) => draw.pick(&[(Channel::Atm, 30), (Channel::Branch, 70)]),
        (Kind::Fee, _) => Channel::Branch,
        (Kind::DirectDebit | Kind::Crypto, _) => Channel::Online,
        (Kind::Transfer, _) if character.company => draw.pick(&[
            (Channel::Online, 75),
            (Channel::Branch, 10),
            (Channel::Mobile, 8),
            (Channel::Intermediary, 7),
        ]),
        (Kind::Transfer, _) => draw.pick(&[
            (Channel::Mobile, 55),
            (Channel::Online, 35),
            (Channel::Branch, 8),
            (Channel::Intermediary, 2),
        ]),
    }
}
