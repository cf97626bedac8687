//! Worked patterns over several accounts, and naive readings of the rules on everything at once, which exploring and searching from one
//! account must agree with.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    AccountView, ClientProfile, Currency, Model, RefData, Score,
    score::{Facts, ReasonCode},
    state,
    testing::{account, amount, counterparty, transfer},
    time::{DAY_MS, HOUR_MS},
    typology::{
        Found, Input, Typology, gather_scatter::GatherScatter, round_tripping::RoundTripping,
        scatter_gather::ScatterGather,
    },
};

const NOW: i64 = 1_780_272_000_000; // 2026-06-01T00:00:00Z

fn model_with(edits: &[(&str, &str)]) -> Model {
    let mut text = Model::BUILTIN.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Model::parse(&text).unwrap()
}

fn model() -> Model {
    model_with(&[])
}

fn refdata() -> RefData {
    RefData::builtin().unwrap()
}

/// Days before the end of the last hour that counts.
fn ago(days: i64) -> i64 {
    NOW - days * DAY_MS
}

/// All that an institution has, by account.
struct World {
    entries: BTreeMap<AccountId, Vec<Entry>>,
    model: Model,
}

impl World {
    fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self::under(model(), entries)
    }

    fn under(model: Model, all: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries: BTreeMap<AccountId, Vec<Entry>> = BTreeMap::new();
        for one in all {
            entries.entry(one.account).or_default().push(one);
        }
        Self { entries, model }
    }

    fn of(&self, account: AccountId) -> &[Entry] {
        self.entries.get(&account).map_or(&[], Vec::as_slice)
    }

    fn network(&self, accounts: &[u64]) -> Network {
        let views: Vec<_> = accounts.iter().map(|n| self.view(account(*n))).collect();
        explore(&views, &self.model, &refdata(), NOW, |account, _| self.of(account).to_vec()).unwrap()
    }

    fn view(&self, account: AccountId) -> AccountView<'_> {
        AccountView { account, hours: &[], retained: self.of(account) }
    }

    fn search(&self, typology: &dyn Typology, n: u64) -> Found {
        let network = self.network(&[n]);
        typology.search(&Input {
            account: account(n),
            entries: &[],
            hours: &[],
            network: Some(&network),
            model: &self.model,
            refdata: &refdata(),
        })
    }

    /// The entries of each hit.
    fn found(&self, typology: &dyn Typology, n: u64) -> Vec<Vec<String>> {
        let hits = self.search(typology, n).hits;
        hits.iter().map(|hit| hit.transactions.iter().map(ToString::to_string).collect()).collect()
    }

    /// A client's score, who has these accounts.
    fn score(&self, accounts: &[u64]) -> Score {
        let network = self.network(accounts);
        let accounts: Vec<AccountId> = accounts.iter().map(|n| account(*n)).collect();
        let hours: Vec<_> = accounts.iter().map(|one| state::hours(self.of(*one))).collect();
        let views: Vec<_> = accounts
            .iter()
            .zip(&hours)
            .map(|(account, hours)| AccountView { hours, ..self.view(*account) })
            .collect();
        let facts = Facts {
            profile: &ClientProfile::default(),
            accounts: &views,
            network: Some(&network),
            screening: None,
        };
        crate::score(&facts, &self.model, &refdata(), NOW)
    }
}

mod rounds {
    use super::*;

    /// A round of so many transfers, a day apart, each of 98 % of the one before.
    fn round(length: u64) -> Vec<Entry> {
        let hop = |n: u64| {
            let minor = 1_000_000 * i64::from(98_u8).pow(n as u32) / 100_i64.pow(n as u32);
            transfer(&format!("t{n}"), n + 1, (n + 1) % length + 1, ago(20 - n as i64), minor)
        };
        (0..length).flat_map(hop).collect()
    }

    #[test]
    fn every_account_on_a_round_has_it_and_it_names_its_transfers() {
        for length in 3..=6 {
            let world = World::new(round(length));
            for n in 1..=length {
                let found = world.found(&RoundTripping, n);
                assert_eq!(found.len(), 1, "account {n} of {length}");
                for hop in 0..length {
                    // Of its own payments the account names its own side, of others' what is known.
                    let own = [hop + 1 == n, (hop + 1) % length + 1 == n];
                    let named = [format!("t{hop}-d"), format!("t{hop}-c")].map(|id| found[0].contains(&id));
                    if own == [false, false] {
                        assert!(named.contains(&true));
                    } else {
                        assert_eq!(named, own);
                    }
                }
            }
        }
        assert!(World::new(round(7)).found(&RoundTripping, 1).is_empty(), "longer than six");
        assert!(World::new(round(2)).found(&RoundTripping, 1).is_empty(), "there and back is no round");
    }

    #[test]
    fn a_payment_before_the_one_that_it_should_follow_breaks_the_round() {
        let at = |times: [i64; 3]| {
            let hop = |n: u64| transfer(&format!("t{n}"), n + 1, (n + 1) % 3 + 1, times[n as usize], 500_000);
            World::new((0..3).flat_map(hop))
        };
        for good in [[1, 2, 3], [3, 1, 2], [2, 3, 1], [5, 5, 5]] {
            assert_eq!(at(good.map(|day| ago(10) + day)).found(&RoundTripping, 1).len(), 1, "{good:?}");
        }
        for bad in [[3, 2, 1], [1, 3, 2], [2, 1, 3]] {
            assert!(at(bad.map(|day| ago(10) + day)).found(&RoundTripping, 1).is_empty(), "{bad:?}");
        }
    }

    #[test]
    fn less_than_four_fifths_or_more_than_thirty_days_is_none() {
        let of = |last_ms: i64, minor: i64| {
            let hops = [
                transfer("a", 1, 2, ago(40), 1_000_000),
                transfer("b", 2, 3, ago(30), 900_000),
                transfer("c", 3, 1, last_ms, minor),
            ];
            // The receiver at the end, whose window holds what it needs of its own.
            World::new(hops.into_iter().flatten()).found(&RoundTripping, 3).len()
        };
        assert_eq!(of(ago(10), 800_000), 1);
        assert_eq!(of(ago(10) + 1, 800_000), 0, "a millisecond more than thirty days");
        assert_eq!(of(ago(10), 799_999), 0);
    }

    #[test]
    fn a_round_may_go_through_another_currency_and_another_bank() {
        let mut hops: Vec<Entry> = round(4);
        // 1.14 dollars a euro, by the sample rates of 2026.
        for side in &mut hops[2..4] {
            (side.currency, side.amount) = (Currency::new("USD").unwrap(), amount(1_100_000));
        }
        assert_eq!(World::new(hops.clone()).found(&RoundTripping, 1).len(), 1);
        // Party 3 is elsewhere: it has no entries here, only others' payments name it.
        let elsewhere = Some(counterparty("DE00123456781234567890"));
        hops.retain(|side| side.account != account(3));
        for side in hops.iter_mut().filter(|side| side.counterparty == Some(account(3).party())) {
            side.counterparty = elsewhere;
        }
        assert_eq!(World::new(hops).found(&RoundTripping, 1).len(), 1);
    }

    #[test]
    fn what_a_model_says_of_order_counts() {
        let backwards = (0..3)
            .flat_map(|n| transfer(&format!("t{n}"), n + 1, (n + 1) % 3 + 1, ago(10 + n as i64), 500_000));
        let backwards: Vec<Entry> = backwards.collect();
        assert!(World::new(backwards.clone()).found(&RoundTripping, 1).is_empty());
        let any = model_with(&[("in-order = true", "in-order = false")]);
        assert_eq!(World::under(any, backwards).found(&RoundTripping, 1).len(), 1);
    }

    #[test]
    fn the_money_may_come_back_after_the_last_entry_of_an_account_on_the_way() {
        let hops = [
            transfer("a", 1, 2, ago(3), 500_000),
            transfer("b", 2, 3, ago(2), 500_000),
            transfer("c", 3, 1, NOW + 5 * DAY_MS, 500_000),
        ];
        assert_eq!(World::new(hops.into_iter().flatten()).found(&RoundTripping, 2).len(), 1);
    }
}

mod scattered {
    use super::*;

    /// From 1 through 11, 12, … to 2.
    fn through(between: u64, days: i64, passed_on: i64) -> Vec<Entry> {
        (0..between)
            .flat_map(|n| {
                let first = transfer(&format!("s{n}"), 1, 11 + n, ago(25) + n as i64, 500_000);
                let second = transfer(&format!("g{n}"), 11 + n, 2, ago(25 - days) + n as i64 - 3, passed_on);
                [first, second].concat()
            })
            .collect()
    }

    #[test]
    fn payer_receiver_and_those_between_have_it() {
        let world = World::new(through(4, 14, 400_000));
        for n in [1, 2, 11, 14] {
            let found = world.found(&ScatterGather, n);
            assert_eq!(found.len(), 1, "account {n}");
            assert!(
                ["s0-d", "s3-d"]
                    .iter()
                    .all(|id| n == 11 || n == 14 || n == 2 || found[0].contains(&(*id).to_owned()))
            );
        }
        assert_eq!(
            world.found(&ScatterGather, 11)[0].len(),
            2 + 3 * 2,
            "its own two, and what the payer and the receiver say of the rest"
        );
    }

    #[test]
    fn fewer_slower_or_smaller_is_none() {
        let hits = |between, days, passed_on| {
            World::new(through(between, days, passed_on)).found(&ScatterGather, 1).len()
        };
        assert_eq!(hits(4, 14, 400_000), 1);
        assert_eq!(hits(3, 14, 400_000), 0);
        assert_eq!(hits(4, 15, 400_000), 0);
        assert_eq!(hits(4, 14, 399_999), 0);
    }

    #[test]
    fn many_senders_and_then_many_receivers_are_a_hit_of_the_one_in_the_middle() {
        let of = |receivers: u64, minor: i64, hours: i64| {
            let came =
                (0..4).flat_map(|n| transfer(&format!("in{n}"), 11 + n, 1, ago(20) - n as i64, 500_000));
            let went = (0..receivers)
                .flat_map(move |n| transfer(&format!("out{n}"), 1, 21 + n, ago(20) + hours * HOUR_MS, minor));
            World::new(came.chain(went))
        };
        assert_eq!(of(4, 400_000, 168).found(&GatherScatter, 1)[0].len(), 8);
        assert!(of(4, 400_000, 168).found(&GatherScatter, 11).is_empty());
        assert!(of(3, 500_000, 1).found(&GatherScatter, 1).is_empty());
        assert!(of(4, 399_999, 1).found(&GatherScatter, 1).is_empty());
        assert!(of(4, 400_000, 169).found(&GatherScatter, 1).is_empty());
        assert!(of(4, 400_000, -1).found(&GatherScatter, 1).is_empty(), "first out, then in");
    }
}

mod bounds {
    use super::*;

    fn reason(score: &Score) -> Option<&str> {
        score
            .reasons
            .iter()
            .find(|reason| reason.code == ReasonCode::NetworkCut)
            .map(|reason| reason.text.as_str())
    }

    /// Like payments in and out with so many others.
    fn busy(others: u64) -> Vec<Entry> {
        (0..others)
            .flat_map(|n| {
                let (out, back) = (format!("o{n:04}"), format!("i{n:04}"));
                [transfer(&out, 1, 100 + n, ago(9), 500_000), transfer(&back, 100 + n, 1, ago(8), 500_000)]
                    .concat()
            })
            .collect()
    }

    #[test]
    fn what_there_is_no_room_for_is_said_and_costs_confidence() {
        let whole = World::new(busy(64)).score(&[1]);
        assert_eq!(reason(&whole), None);
        let cut = World::new(busy(67)).score(&[1]);
        assert!(reason(&cut).unwrap().ends_with("3 accounts left out"), "{:?}", reason(&cut));
        assert!(cut.confidence < whole.confidence);
        let sum: u32 = cut.reasons.iter().map(|one| u32::from(one.contribution)).sum();
        assert_eq!(sum, u32::from(cut.additive));
    }

    #[test]
    fn an_account_with_too_many_entries_is_not_followed() {
        // With one hop, only account 2 can tell where its money went.
        let model = || model_with(&[("max-entries = 1000", "max-entries = 5"), ("hops = 2", "hops = 1")]);
        let hop = |n: u64| transfer(&format!("t{n}"), n + 1, (n + 1) % 4 + 1, ago(9 - n as i64), 500_000);
        let mut entries: Vec<Entry> = (0..4).flat_map(hop).collect();
        assert_eq!(World::under(model(), entries.clone()).found(&RoundTripping, 1).len(), 1);
        entries.extend((0..4).flat_map(|n| transfer(&format!("x{n}"), 2, 50 + n, ago(2), 100)));
        let world = World::under(model(), entries);
        assert!(world.found(&RoundTripping, 1).is_empty());
        assert!(reason(&world.score(&[1])).is_some());
    }

    #[test]
    fn a_search_that_ends_at_its_bound_says_so() {
        let model = model_with(&[("max-steps = 250000", "max-steps = 50")]);
        let world = World::under(model, busy(60));
        assert!(!world.search(&RoundTripping, 1).complete);
        assert!(reason(&world.score(&[1])).is_some());
    }

    #[test]
    fn a_network_that_nobody_looked_at_is_said() {
        let entries = busy(1);
        let hours = state::hours(&entries);
        let view = AccountView { account: account(1), hours: &hours, retained: &entries };
        let facts =
            Facts { profile: &ClientProfile::default(), accounts: &[view], network: None, screening: None };
        let score = crate::score(&facts, &model(), &refdata(), NOW);
        assert_eq!(reason(&score), Some("the network around the client's accounts was not looked at"));
        let earlier = Model::parse(Model::SCORECARD_1).unwrap();
        assert_eq!(reason(&crate::score(&facts, &earlier, &refdata(), NOW)), None);
    }
}

/// Every pattern as the text of the rules has it, by trying all there are.
mod naive {
    use super::*;

    pub(super) type Patterns = Vec<BTreeSet<usize>>;

    /// All payments that the rules may see for a client with this account: its own retained ones, and others' with each other.
    pub(super) fn network(world: &World, own: AccountId) -> Network {
        let rule = world.model.network.as_ref().unwrap();
        let (retained, range) = (ago(30)..NOW, ago(60)..NOW + 30 * DAY_MS);
        let all = world.entries.values().flat_map(crate::entry::canonical);
        let seen = all.filter(|entry| {
            let window = if entry.account == own { &retained } else { &range };
            window.contains(&entry.at_ms)
        });
        let refdata = refdata();
        let mut exchange = Exchange::new(refdata.rates());
        let payments: Vec<Payment> =
            seen.filter_map(|entry| Payment::of(entry, rule, &mut exchange)).collect();
        Network::new(payments.iter(), &BTreeSet::from([own]), 0, 0)
    }

    /// Sequences of payments, each from the receiver of the one before, that end where they began, in the order of time.
    pub(super) fn rounds(network: &Network, own: usize, model: &Model) -> Patterns {
        let rule = model.behaviour.round_tripping.as_ref().unwrap();
        let flows = network.flows();
        let mut found = Vec::new();
        let mut paths: Vec<Vec<usize>> = (0..flows.len()).map(|flow| vec![flow]).collect();
        while let Some(path) = paths.pop() {
            let of = |at: &usize| flows[*at];
            let parties: BTreeSet<usize> = path.iter().map(|at| of(at).from).collect();
            let (first, last) = (of(&path[0]), of(path.last().unwrap()));
            if parties.len() < path.len() || !path.is_sorted_by_key(|at| of(at).at_ms) {
                continue;
            }
            if last.to == first.from {
                let amounts = path.iter().map(|at| of(at).amount);
                let (least, most) = (amounts.clone().min().unwrap(), amounts.max().unwrap());
                let fits = path.len() >= rule.min_length as usize
                    && last.at_ms - first.at_ms <= i64::from(rule.days) * DAY_MS
                    && u128::from(least) * 10_000 >= u128::from(most) * u128::from(rule.amount_bp);
                if fits && parties.contains(&own) {
                    found.push(path.into_iter().collect());
                }
            } else if path.len() < rule.max_length as usize {
                let onward = (0..flows.len()).filter(|at| of(at).from == last.to);
                paths.extend(onward.map(|at| [path.clone(), vec![at]].concat()));
            }
        }
        found
    }

    /// Windows between every two parties, one from each payment on.
    pub(super) fn scatter_gather(network: &Network, own: usize, model: &Model) -> Patterns {
        let rule = model.behaviour.scatter_gather.as_ref().unwrap();
        let flows = network.flows();
        let span_ms = i64::from(rule.days) * DAY_MS;
        let mut found = Vec::new();
        for (payer, receiver) in
            (0..network.parties()).flat_map(|a| (0..network.parties()).map(move |b| (a, b)))
        {
            for start in flows {
                let mut legs = Vec::new();
                for (f, first) in flows.iter().enumerate() {
                    for (s, second) in flows.iter().enumerate() {
                        let (least, most) =
                            (first.amount.min(second.amount), first.amount.max(second.amount));
                        if payer != receiver
                            && (first.from, first.to, second.to) == (payer, second.from, receiver)
                            && first.at_ms >= start.at_ms
                            && second.at_ms >= first.at_ms
                            && second.at_ms <= start.at_ms + span_ms
                            && u128::from(least) * 10_000 >= u128::from(most) * u128::from(rule.amount_bp)
                        {
                            legs.push((f, s));
                        }
                    }
                }
                let between: BTreeSet<usize> = legs.iter().map(|leg| flows[leg.0].to).collect();
                let concerned = payer == own || receiver == own || between.contains(&own);
                if concerned && between.len() >= rule.min_between as usize {
                    found.push(legs.iter().flat_map(|leg| [leg.0, leg.1]).collect());
                }
            }
        }
        found
    }

    /// Every instant after which the next thing that happens is a payment out.
    pub(super) fn gather_scatter(network: &Network, own: usize, model: &Model) -> Patterns {
        let rule = model.behaviour.gather_scatter.as_ref().unwrap();
        let flows = network.flows();
        let span_ms = i64::from(rule.hours) * HOUR_MS;
        let came = |flow: &Flow| flow.to == own;
        let went = |flow: &Flow| flow.from == own;
        let mut found = Vec::new();
        for turn in flows.iter().filter(|flow| came(flow)).map(|flow| flow.at_ms) {
            let next_in =
                flows.iter().filter(|flow| came(flow) && flow.at_ms > turn).map(|flow| flow.at_ms).min();
            let next_out =
                flows.iter().filter(|flow| went(flow) && flow.at_ms > turn).map(|flow| flow.at_ms).min();
            if next_out.is_none_or(|out| next_in.is_some_and(|came| came < out)) {
                continue;
            }
            let within = |range: std::ops::RangeInclusive<i64>,
                          side: &dyn Fn(&Flow) -> bool|
             -> BTreeSet<usize> {
                (0..flows.len()).filter(|at| range.contains(&flows[*at].at_ms) && side(&flows[*at])).collect()
            };
            let (gathered, scattered) =
                (within(turn - span_ms..=turn, &came), within(turn + 1..=turn + span_ms, &went));
            let sum =
                |set: &BTreeSet<usize>| set.iter().map(|at| u128::from(flows[*at].amount)).sum::<u128>();
            let (least, most) = (sum(&gathered).min(sum(&scattered)), sum(&gathered).max(sum(&scattered)));
            let many = |set: &BTreeSet<usize>, party: &dyn Fn(&Flow) -> usize| {
                set.iter().map(|at| party(&flows[*at])).collect::<BTreeSet<_>>().len()
                    >= rule.min_counterparties as usize
            };
            if many(&gathered, &|flow| flow.from)
                && many(&scattered, &|flow| flow.to)
                && least * 10_000 >= most * u128::from(rule.amount_bp)
            {
                found.push(gathered.union(&scattered).copied().collect());
            }
        }
        found
    }

    /// Joins patterns that share a payment, and names the transfers of each.
    pub(super) fn joined(network: &Network, mut sets: Patterns) -> BTreeSet<BTreeSet<String>> {
        'again: loop {
            for i in 0..sets.len() {
                for j in i + 1..sets.len() {
                    if !sets[i].is_disjoint(&sets[j]) {
                        let more = sets.swap_remove(j);
                        sets[i].extend(more);
                        continue 'again;
                    }
                }
            }
            let named = |set: &BTreeSet<usize>| {
                set.iter()
                    .flat_map(|at| network.flows()[*at].entries())
                    .map(|id| transfer_of(id.as_str()))
                    .collect()
            };
            return sets.iter().map(named).collect();
        }
    }
}

/// Of which transfer an entry is a side.
fn transfer_of(entry: &str) -> String {
    entry.trim_end_matches("-d").trim_end_matches("-c").to_owned()
}

/// Like amounts between few accounts within weeks, so that patterns are common; some outside of every window, some too small.
fn traffic() -> impl Strategy<Value = Vec<[Entry; 2]>> {
    let amounts = || prop::sample::select(&[500_000_i64, 450_000, 410_000, 400_000, 90_000][..]);
    let anywhere = (1_u64..7, 1_u64..7, 0_i64..130, amounts()).prop_map(|row| vec![row]);
    // Money that goes on within days.
    let passed_on = (1_u64..5, 1_u64..7, 1_u64..5, 20_i64..40, 0_i64..6, amounts()).prop_map(
        |(from, between, to, half_days, later, minor)| {
            vec![(from, between, half_days, minor), (between, to, half_days - later, minor)]
        },
    );
    let few = prop::collection::vec(prop_oneof![anywhere.clone(), passed_on.clone()], 0..16);
    let many = prop::collection::vec(prop_oneof![1 => anywhere, 5 => passed_on], 4..12);
    prop_oneof![few, many].prop_map(|rows| {
        let of = |(n, (from, to, half_days, minor)): (usize, (u64, u64, i64, i64))| {
            transfer(&format!("t{n}"), from, to, NOW + 8 * DAY_MS - half_days * DAY_MS / 2, minor)
        };
        let rows = rows.into_iter().flatten().filter(|(from, to, ..)| from != to);
        rows.enumerate().map(of).collect()
    })
}

/// Two are many here: else hardly any traffic would have patterns.
fn easy() -> Model {
    model_with(&[
        ("min-between = 4", "min-between = 2"),
        ("min-counterparties = 4\nhours = 168", "min-counterparties = 2\nhours = 168"),
    ])
}

type Reading = fn(&Network, usize, &Model) -> naive::Patterns;
const READINGS: [(&dyn Typology, Reading); 3] = [
    (&RoundTripping, naive::rounds),
    (&ScatterGather, naive::scatter_gather),
    (&GatherScatter, naive::gather_scatter),
];

#[test]
fn the_traffic_of_these_tests_has_patterns_to_find() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found = [0; 3];
    for _ in 0..300 {
        let entries = traffic().new_tree(&mut runner).unwrap().current();
        let world = World::under(easy(), entries.into_iter().flatten());
        for (count, (typology, _)) in found.iter_mut().zip(READINGS) {
            *count += usize::from((1..=6).any(|n| !world.found(typology, n).is_empty()));
        }
    }
    assert!(found.iter().all(|count| *count >= 20), "{found:?} of 300");
}

/// A permutation that depends on the seed alone.
fn shuffled(entries: &[Entry], seed: u64) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|one| crate::hash::xxh64(&[one.id.as_bytes(), &seed.to_le_bytes()].concat()));
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_found_from_one_account_is_what_trying_everything_finds(entries in traffic()) {
        let world = World::under(easy(), entries.into_iter().flatten());
        for n in 1..=6 {
            let everything = naive::network(&world, account(n));
            for (typology, reading) in READINGS {
                let expected = everything.place(account(n)).map(|own| {
                    naive::joined(&everything, reading(&everything, own, &world.model))
                });
                let found: BTreeSet<BTreeSet<String>> = world
                    .found(typology, n)
                    .iter()
                    .map(|hit| hit.iter().map(|id| transfer_of(id)).collect())
                    .collect();
                prop_assert_eq!(found, expected.unwrap_or_default(), "{} of {}", typology.code(), n);
            }
        }
    }

    #[test]
    fn neither_order_nor_repetition_nor_grouping_changes_a_byte_of_a_score(
        entries in traffic(),
        seed in any::<u64>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let all: Vec<Entry> = entries.into_iter().flatten().collect();
        let world = World::under(easy(), all.clone());
        let expected = serde_json::to_string(&world.score(&[1, 2])).unwrap();
        let mut mixed = shuffled(&all, seed);
        mixed.extend_from_slice(&all[..all.len() / 3]);
        let other = World::under(easy(), mixed);
        prop_assert_eq!(&serde_json::to_string(&other.score(&[2, 1])).unwrap(), &expected);
        // The client's own accounts in pieces that overlap; of others more than was asked for.
        let pieces: Vec<(AccountId, Vec<Entry>)> = [1, 2]
            .into_iter()
            .flat_map(|n| {
                let entries = other.of(account(n));
                let at = cut.index(entries.len().max(1)).min(entries.len());
                [(account(n), entries[at / 2..].to_vec()), (account(n), entries[..at].to_vec())]
            })
            .collect();
        let views: Vec<_> =
            pieces.iter().map(|(account, retained)| AccountView { account: *account, hours: &[], retained }).collect();
        let network = explore(&views, &other.model, &refdata(), NOW, |_, _| all.iter().rev().copied().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(format!("{network:?}"), format!("{:?}", world.network(&[1, 2])));
    }

    #[test]
    fn contributions_sum_and_every_hit_names_entries_that_there_are(entries in traffic()) {
        let world = World::under(easy(), entries.into_iter().flatten());
        let score = world.score(&[1]);
        let sum: u32 = score.reasons.iter().map(|one| u32::from(one.contribution)).sum();
        prop_assert_eq!(sum, u32::from(score.additive));
        let known: BTreeSet<EntryId> = world.entries.values().flatten().map(|entry| entry.id).collect();
        for reason in &score.reasons {
            prop_assert!(reason.transactions.iter().all(|id| known.contains(id)));
        }
    }

    #[test]
    fn a_change_around_a_client_changes_its_hash_and_one_elsewhere_does_not(entries in traffic()) {
        let world = World::under(easy(), entries.into_iter().flatten());
        let base = world.score(&[1]).state_hash;
        let mut elsewhere = World::under(easy(), world.entries.values().flatten().copied());
        for one in transfer("new", 8, 9, ago(5), 500_000) {
            elsewhere.entries.entry(one.account).or_default().push(one);
        }
        prop_assert_eq!(elsewhere.score(&[1]).state_hash, base);
        let network = world.network(&[1]);
        let around = network.foreign.first().map(|one| one.account);
        if let Some(around) = around {
            let one = transfer("new", around.number(), 9, ago(5), 500_000)[0];
            elsewhere.entries.entry(around).or_default().push(one);
            prop_assert_ne!(elsewhere.score(&[1]).state_hash, base);
        }
    }
}
