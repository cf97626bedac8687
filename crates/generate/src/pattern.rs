//! Patterns of laundering, labelled.
//!
//! The shapes are AMLSim's alert patterns (Weber et al., arXiv:1812.00076: fan-in, fan-out, cycle, scatter-gather, gather-scatter,
//! bipartite, stack, random) and the two of everyday casework, structuring and rapid movement. Schemes are laid out once, by seed alone: each takes over the transactions whose slices of time its steps fall into, so time
//! order and the number of entries stay what the plan says. A transaction's content is computed from its scheme when asked
//! for.

use std::{collections::BTreeMap, fmt};

use risk::{
    Amount, Channel, Direction, Entry, Kind,
    time::{DAY_MS, HOUR_MS},
};

use crate::{
    client::ABROAD,
    generator::Generator,
    ids::{self, Side},
    rng::{Draw, Stream},
    transaction::Transaction,
};

/// A shape of laundering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Many senders to one account within a day.
    FanIn,
    /// One account to many receivers within eight hours.
    FanOut,
    /// Cash deposits just below 10,000 euros within days.
    Structuring,
    /// Money out within a day of its receipt.
    RapidMovement,
    /// Money that returns to where it started through others' accounts within days.
    Cycle,
    /// Money from one account through many others to one receiver.
    ScatterGather,
    /// Money from many senders through one account to many receivers.
    GatherScatter,
    /// Every one of some senders to every one of some receivers.
    Bipartite,
    /// Two such layers, one upon the other.
    Stack,
    /// Money that wanders from account to account.
    Random,
}

impl Pattern {
    /// All of them, in the order in which schemes take turns.
    pub const ALL: [Self; 10] = [
        Self::Structuring,
        Self::Cycle,
        Self::ScatterGather,
        Self::GatherScatter,
        Self::FanIn,
        Self::FanOut,
        Self::RapidMovement,
        Self::Bipartite,
        Self::Stack,
        Self::Random,
    ];

    /// Its name in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FanIn => "fan_in",
            Self::FanOut => "fan_out",
            Self::Structuring => "structuring",
            Self::RapidMovement => "rapid_movement",
            Self::Cycle => "cycle",
            Self::ScatterGather => "scatter_gather",
            Self::GatherScatter => "gather_scatter",
            Self::Bipartite => "bipartite",
            Self::Stack => "stack",
            Self::Random => "random",
        }
    }
}

/// Which scheme a transaction belongs to: `fan_in:17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Its shape.
    pub pattern: Pattern,
    /// Its number; no two schemes of a plan share one.
    pub scheme: u32,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pattern.as_str(), self.scheme)
    }
}

/// A transaction that a scheme took over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    row: u64,
    at_ms: i64,
    scheme: u32,
    step: u32,
}

/// What a scheme is; all of it follows from its number.
#[derive(Clone, Copy, Debug)]
struct Scheme {
    label: Label,
    /// How many transactions.
    steps: u32,
    /// Of these, how many come first: what is received before it is paid on, or scattered before it is gathered.
    first: u32,
    /// When it starts, from the first of the plan's days.
    start_ms: i64,
    /// Over how long its steps are spread.
    span_ms: i64,
    /// The longest it may take, or it is not what its label says.
    limit_ms: i64,
    /// The client in the middle.
    main: u64,
    /// From one client involved to the next.
    stride: u64,
    /// In euro cents.
    amount: u64,
}

/// Fewer clients than this cannot fill the longest scheme with different ones.
const MIN_CLIENTS: u64 = 14;
const MAX_STEPS: u64 = 12;
/// Senders and receivers of a bipartite scheme.
const HALF: u32 = 3;
/// Accounts in the layers of a stack: each pays to each of the next.
const LAYERS: [u32; 3] = [2, 3, 2];
/// How long before the end most schemes start at the earliest: within what the typologies look at.
const RECENT_MS: i64 = 28 * DAY_MS;
/// How many slices a step may move on to find a transaction of the right size that is still free.
const REACH: u64 = 64;

/// Lays out schemes until they hold as many entries as the plan wants, by row.
pub(crate) fn lay_out(generator: &Generator) -> Vec<Member> {
    let plan = generator.plan();
    let wanted = (u128::from(plan.entries) * u128::from(plan.suspicious_ppm) / 1_000_000) as u64;
    let mut taken: BTreeMap<u64, Member> = BTreeMap::new();
    let mut entries = 0;
    if plan.clients >= MIN_CLIENTS {
        // Schemes that do not fit are given up; the bound is for plans so thin that hardly any does.
        for number in 0..(wanted.min(u64::from(u32::MAX) / 4) as u32).saturating_mul(2) {
            if entries >= wanted {
                break;
            }
            let Some(members) = place(generator, &generator.scheme(number), &taken) else { continue };
            entries += members.iter().map(|member| 1 + u64::from(plan.is_double(member.row))).sum::<u64>();
            taken.extend(members.into_iter().map(|member| (member.row, member)));
        }
    }
    taken.into_values().collect()
}

/// Finds a transaction for each step; `None` if the plan is too thin for this scheme.
fn place(generator: &Generator, scheme: &Scheme, taken: &BTreeMap<u64, Member>) -> Option<Vec<Member>> {
    let plan = generator.plan();
    let mut members: Vec<Member> = Vec::new();
    for step in 0..scheme.steps {
        let mut draw = scheme.draw(generator, step);
        let each_ms = scheme.span_ms / i64::from(scheme.steps);
        let offset_ms = each_ms * i64::from(step) + draw.below(each_ms.unsigned_abs()) as i64;
        let wanted_ms = plan.start_ms() + scheme.start_ms + offset_ms;
        let first = generator.rhythm.slice_at(wanted_ms).max(members.last().map_or(0, |last| last.row + 1));
        let fits = |row: &u64| !taken.contains_key(row) && scheme.takes(plan.is_double(*row));
        let row = (first..plan.transactions()).take(REACH as usize).find(fits)?;
        let (from_ms, to_ms) = generator.rhythm.bounds(row);
        members.push(Member {
            row,
            at_ms: wanted_ms.clamp(from_ms, to_ms),
            scheme: scheme.label.scheme,
            step,
        });
    }
    let took_ms = members.last()?.at_ms - members.first()?.at_ms;
    (took_ms <= scheme.limit_ms).then_some(members)
}

impl Scheme {
    /// Cash has one entry; where money goes on from an account that it came to, both must be generated; the others take what comes.
    fn takes(&self, double: bool) -> bool {
        match self.label.pattern {
            Pattern::Structuring => !double,
            Pattern::Cycle
            | Pattern::ScatterGather
            | Pattern::Bipartite
            | Pattern::Stack
            | Pattern::Random => double,
            Pattern::FanIn | Pattern::FanOut | Pattern::RapidMovement | Pattern::GatherScatter => true,
        }
    }

    fn draw(&self, generator: &Generator, step: u32) -> Draw {
        Draw::new(generator.plan().seed, Stream::Member, u64::from(self.label.scheme) << 8 | u64::from(step))
    }

    /// One of the clients involved: the one in the middle, or the n-th other.
    fn client(&self, party: Party, clients: u64) -> u64 {
        match party {
            Party::Main => self.main,
            Party::Other(n) => (self.main + 1 + u64::from(n) * self.stride) % clients,
        }
    }

    /// Who pays at a step, and who is paid.
    fn parties(&self, step: u32) -> (Party, Party) {
        use Party::{Main, Other};
        // Where nobody is in the middle, the main one is the first of all.
        let nth = |n: u32| n.checked_sub(1).map_or(Main, Other);
        let first = self.first;
        match self.label.pattern {
            Pattern::FanIn | Pattern::Structuring => (Other(step), Main),
            Pattern::RapidMovement | Pattern::GatherScatter if step < first => (Other(step), Main),
            Pattern::FanOut | Pattern::RapidMovement | Pattern::GatherScatter => (Main, Other(step)),
            Pattern::ScatterGather if step < first => (Main, Other(step)),
            Pattern::ScatterGather => (Other(step - first), Other(first)),
            // The last one pays to the first.
            Pattern::Cycle => (nth(step), nth((step + 1) % self.steps)),
            Pattern::Random => (nth(step), nth(step + 1)),
            Pattern::Bipartite => (nth(step / HALF), nth(HALF + step % HALF)),
            Pattern::Stack => {
                let [top, middle, bottom] = LAYERS;
                match step.checked_sub(top * middle) {
                    None => (nth(step / middle), nth(top + step % middle)),
                    Some(step) => (nth(top + step / bottom), nth(top + middle + step % bottom)),
                }
            }
        }
    }

    /// How much is paid at a step, in euro cents; `vary` gives a part in per cent, always the same for the same step.
    fn minor(&self, step: u32, vary: &dyn Fn(u32, u64, u64) -> u64) -> u64 {
        let (first, later) = (u64::from(self.first), u64::from(self.steps.saturating_sub(self.first)));
        match self.label.pattern {
            Pattern::FanIn | Pattern::FanOut => self.amount * vary(step, 80, 120) / 100,
            // Round, and below the threshold of 10,000 euros.
            Pattern::Structuring => vary(step, 8_000, 9_990) / 10 * 1_000,
            Pattern::RapidMovement if step < self.first => self.amount / first,
            Pattern::RapidMovement => self.amount * vary(step, 95, 99) / 100 / later,
            // Each takes its two per cent.
            Pattern::Cycle | Pattern::Random => self.amount * (100 - 2 * u64::from(step)) / 100,
            Pattern::ScatterGather if step < self.first => self.amount * vary(step, 80, 120) / 100,
            Pattern::ScatterGather => self.minor(step - self.first, vary) * vary(step, 92, 98) / 100,
            Pattern::GatherScatter if step < self.first => self.amount * vary(step, 90, 110) / 100,
            Pattern::GatherScatter => self.amount * vary(step, 88, 98) / 100,
            Pattern::Bipartite | Pattern::Stack => self.amount * vary(step, 90, 110) / 100,
        }
    }
}

/// Who takes part in a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    /// The client in the middle.
    Main,
    /// Another one; no two numbers below [`MAX_STEPS`] are the same client.
    Other(u32),
}

impl Generator {
    /// What took over transaction `row`.
    pub(crate) fn member(&self, row: u64) -> Option<&Member> {
        let at = self.members.binary_search_by_key(&row, |member| member.row).ok()?;
        Some(&self.members[at])
    }

    fn scheme(&self, number: u32) -> Scheme {
        let mut draw = Draw::new(self.plan().seed, Stream::Pattern, u64::from(number));
        let pattern = Pattern::ALL[number as usize % Pattern::ALL.len()];
        let main = draw.below(self.plan().clients);
        let stride = draw.between(1, ((self.plan().clients - 1) / MAX_STEPS).max(1));
        let receipts = draw.between(1, 3);
        let between = draw.between(4, 6);
        let quick = draw.chance(700_000);
        let whole = |hours: i64| hours * HOUR_MS;
        let (steps, first, span_ms, limit_ms, euros) = match pattern {
            Pattern::FanIn => (draw.between(6, 10), 0, whole(20), whole(24), draw.between(400, 4_000)),
            Pattern::FanOut => (draw.between(6, 10), 0, whole(6), whole(8), draw.between(400, 4_000)),
            Pattern::Structuring if quick => (draw.between(3, 5), 0, whole(20), whole(24), 0),
            Pattern::Structuring => (draw.between(4, 6), 0, 4 * DAY_MS, 5 * DAY_MS, 0),
            Pattern::RapidMovement => {
                let payments = draw.between(1, 3);
                (receipts + payments, receipts, whole(14), whole(24), draw.between(5_000, 40_000))
            }
            Pattern::Cycle => (draw.between(3, 6), 0, 10 * DAY_MS, 30 * DAY_MS, draw.between(3_000, 30_000)),
            Pattern::ScatterGather => {
                (2 * between, between, 8 * DAY_MS, 14 * DAY_MS, draw.between(1_500, 8_000))
            }
            Pattern::GatherScatter => {
                (2 * between, between, 5 * DAY_MS, 7 * DAY_MS, draw.between(1_500, 8_000))
            }
            Pattern::Bipartite => {
                (u64::from(HALF * HALF), 0, 6 * DAY_MS, 10 * DAY_MS, draw.between(1_500, 8_000))
            }
            Pattern::Stack => {
                let [top, middle, bottom] = LAYERS;
                (u64::from(middle * (top + bottom)), 0, 8 * DAY_MS, 14 * DAY_MS, draw.between(1_500, 8_000))
            }
            Pattern::Random => (draw.between(5, 8), 0, 10 * DAY_MS, 20 * DAY_MS, draw.between(3_000, 30_000)),
        };
        let days_ms = i64::from(self.plan().days) * DAY_MS;
        // Most schemes are recent, so that there is something to find at the end of the plan's days.
        let from_ms = if draw.chance(600_000) { (days_ms - RECENT_MS).max(0) } else { 0 };
        let start_ms = from_ms + draw.below((days_ms - from_ms - span_ms).max(1).unsigned_abs()) as i64;
        let label = Label { pattern, scheme: number };
        Scheme {
            label,
            steps: steps as u32,
            first: first as u32,
            start_ms,
            span_ms,
            limit_ms,
            main,
            stride,
            amount: euros * 100,
        }
    }

    /// The transaction that a scheme made of one.
    pub(crate) fn suspicious(&self, member: &Member) -> Transaction {
        let scheme = self.scheme(member.scheme);
        let step = member.step;
        let mut draw = scheme.draw(self, step);
        // The first number was for its time, the second one is for its amount.
        draw.next();
        let vary = |step: u32, low: u64, high: u64| {
            let mut draw = scheme.draw(self, step);
            draw.next();
            draw.between(low, high)
        };
        let minor = scheme.minor(step, &vary);
        draw.next();
        let (payer, payee) = scheme.parties(step);
        let first = |party| self.ledger(self.first_account(scheme.client(party, self.plan().clients)));
        let (from, to) = (first(payer), first(payee));
        let label = Some(scheme.label);
        if self.plan().is_double(member.row) {
            return self.transfer(member.row, member.at_ms, &from, &to, minor, Channel::Online, label);
        }
        let incoming = payee == Party::Main;
        let main = if incoming { to } else { from };
        let cash = scheme.label.pattern == Pattern::Structuring;
        let country = draw.pick(ABROAD);
        let entry = Entry {
            at_ms: member.at_ms,
            id: ids::entry(self.prefix, member.row, Side::Only),
            account: self.account_id(main.index),
            transfer_id: None,
            direction: if incoming { Direction::Credit } else { Direction::Debit },
            amount: Amount::clamped(minor as i64),
            currency: main.currency,
            counterparty: (!cash).then(|| ids::foreign(country, &mut draw)),
            counterparty_country: (!cash).then_some(country),
            kind: if cash { Kind::Cash } else { Kind::Transfer },
            channel: Some(if cash { Channel::Branch } else { Channel::Online }),
        };
        Transaction { index: member.row, entry, credit: None, label, repeats: None }
    }
}
