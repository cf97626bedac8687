//! Worked examples, and naive readings of the rules that the sliding windows must agree with.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, strategy::ValueTree};

use super::*;
use crate::{
    code::Currency,
    entry::{self, Direction, Kind},
    testing::{ACCOUNT, amount, counterparty, entries, entry},
    time::{DAY_MS, HOUR_MS},
};

const MINUTE_MS: i64 = 60_000;

fn model() -> Model {
    Model::builtin().unwrap()
}

/// On these entries, and the hours that they make.
fn run(typology: &dyn Typology, entries: &[Entry]) -> Vec<Hit> {
    let hours = crate::state::hours(entries);
    let hours: Vec<_> = hours.iter().collect();
    let entries = entry::canonical(entries);
    let account = AccountId::new(ACCOUNT).unwrap();
    typology.detect(&Input {
        account,
        entries: &entries,
        hours: &hours,
        network: None,
        model: &model(),
        refdata: &refdata(),
    })
}

fn refdata() -> crate::RefData {
    crate::RefData::builtin().unwrap()
}

/// The ids of each hit, and its points.
fn found(typology: &dyn Typology, entries: &[Entry]) -> Vec<(Vec<String>, u8)> {
    run(typology, entries).into_iter().map(|hit| (names(&hit.transactions), hit.points)).collect()
}

fn names(ids: &[EntryId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn cash(id: &str, at_ms: i64, minor: i64) -> Entry {
    Entry { kind: Kind::Cash, amount: amount(minor), ..entry(id, at_ms) }
}

fn moved(id: &str, at_ms: i64, direction: Direction, minor: i64) -> Entry {
    Entry { direction, amount: amount(minor), ..entry(id, at_ms) }
}

fn with(id: &str, at_ms: i64, direction: Direction, party: &str) -> Entry {
    Entry { direction, counterparty: Some(counterparty(party)), ..entry(id, at_ms) }
}

mod structuring_of_cash {
    use super::{structuring::Structuring, *};

    #[test]
    fn three_amounts_just_below_the_threshold_in_a_day_are_a_hit() {
        let entries = [
            cash("a", 0, 999_999),
            cash("b", 12 * HOUR_MS, 800_000),
            cash("c", DAY_MS, 950_000),
            cash("d", 99, 100),
        ];
        assert_eq!(found(&Structuring, &entries), [(vec!["a".into(), "b".into(), "c".into()], 80)]);
    }

    #[test]
    fn in_five_days_they_are_worth_less_and_beyond_nothing() {
        let over = |days: i64, more: i64| {
            [
                cash("a", 0, 900_000),
                cash("b", DAY_MS * days / 2, 900_000),
                cash("c", DAY_MS * days + more, 900_000),
            ]
        };
        assert_eq!(found(&Structuring, &over(1, 1))[0].1, 60);
        assert_eq!(found(&Structuring, &over(5, 0))[0].1, 60);
        assert!(found(&Structuring, &over(5, 1)).is_empty());
    }

    #[test]
    fn the_threshold_itself_and_less_than_four_fifths_do_not_count() {
        for minor in [1_000_000, 799_999] {
            assert!(
                found(&Structuring, &[0, 1, 2].map(|n| cash(&n.to_string(), n, minor))).is_empty(),
                "{minor}"
            );
        }
    }

    #[test]
    fn currencies_directions_and_kinds_do_not_mix() {
        let base = [cash("a", 0, 900_000), cash("b", 1, 900_000), cash("c", 2, 900_000)];
        for odd in [
            Entry { currency: Currency::new("USD").unwrap(), ..base[2] },
            Entry { direction: Direction::Debit, ..base[2] },
            Entry { kind: Kind::Transfer, ..base[2] },
        ] {
            assert!(found(&Structuring, &[base[0], base[1], odd]).is_empty(), "{odd:?}");
        }
        let yen = base.map(|entry| Entry {
            currency: Currency::new("JPY").unwrap(),
            amount: amount(1_900_000),
            ..entry
        });
        assert_eq!(found(&Structuring, &yen).len(), 1);
    }

    #[test]
    fn chains_of_windows_are_one_hit_and_distant_ones_are_two() {
        let chain: Vec<Entry> =
            (0..12).map(|n| cash(&format!("{n:02}"), n * 10 * HOUR_MS, 900_000)).collect();
        assert_eq!(found(&Structuring, &chain).len(), 1);
        assert_eq!(found(&Structuring, &chain)[0].0.len(), 12);
        let apart: Vec<Entry> =
            (0..6).map(|n| cash(&n.to_string(), n * HOUR_MS + n / 3 * 10 * DAY_MS, 900_000)).collect();
        assert_eq!(found(&Structuring, &apart).len(), 2);
    }
}

mod rapid_movement_of_money {
    use Direction::{Credit, Debit};

    use super::{rapid_movement::RapidMovement, *};

    #[test]
    fn nine_tenths_out_within_a_day_are_a_hit() {
        let entries = [
            moved("in", 0, Credit, 1_000_000),
            moved("out1", HOUR_MS, Debit, 500_000),
            moved("out2", DAY_MS, Debit, 400_000),
        ];
        assert_eq!(found(&RapidMovement, &entries), [(vec!["in".into(), "out1".into(), "out2".into()], 40)]);
    }

    #[test]
    fn less_later_or_earlier_is_none() {
        let pair = |at_ms, minor| [moved("in", 1_000, Credit, 1_000_000), moved("out", at_ms, Debit, minor)];
        assert_eq!(found(&RapidMovement, &pair(2_000, 900_000)).len(), 1);
        assert!(found(&RapidMovement, &pair(2_000, 899_999)).is_empty());
        assert!(found(&RapidMovement, &pair(1_001 + DAY_MS, 1_000_000)).is_empty());
        assert!(found(&RapidMovement, &pair(999, 1_000_000)).is_empty());
    }

    #[test]
    fn one_payment_explains_its_amount_once() {
        let entries = [
            moved("in1", 0, Credit, 1_000_000),
            moved("in2", 1, Credit, 1_000_000),
            moved("out", HOUR_MS, Debit, 1_000_000),
        ];
        assert_eq!(found(&RapidMovement, &entries), [(vec!["in1".into(), "out".into()], 40)]);
    }

    #[test]
    fn small_receipts_count_together_when_one_payment_takes_them_along() {
        let mut entries: Vec<Entry> = (0..4).map(|n| moved(&format!("in{n}"), n, Credit, 30_000)).collect();
        entries.push(moved("out", HOUR_MS, Debit, 120_000));
        assert_eq!(found(&RapidMovement, &entries)[0].0, ["in0", "in1", "in2", "in3", "out"]);
        entries.pop();
        entries.push(moved("out", HOUR_MS, Debit, 60_000));
        assert!(found(&RapidMovement, &entries).is_empty(), "600.00 in all is below the least receipt");
    }

    #[test]
    fn currencies_and_kinds_do_not_mix() {
        let entries = [moved("in", 0, Credit, 1_000_000), moved("out", 1, Debit, 1_000_000)];
        let dollars = Entry { currency: Currency::new("USD").unwrap(), ..entries[1] };
        let card = Entry { kind: Kind::Card, ..entries[1] };
        assert_eq!(found(&RapidMovement, &entries).len(), 1);
        assert!(found(&RapidMovement, &[entries[0], dollars]).is_empty());
        assert!(found(&RapidMovement, &[entries[0], card]).is_empty());
    }
}

mod fans {
    use super::{
        fan::{FanIn, FanOut},
        *,
    };

    fn five(direction: Direction, step_ms: i64) -> Vec<Entry> {
        (0..5).map(|n| with(&n.to_string(), n * step_ms, direction, &format!("party-{n}"))).collect()
    }

    #[test]
    fn five_senders_in_a_day_are_a_hit_and_in_more_are_none() {
        assert_eq!(found(&FanIn, &five(Direction::Credit, 6 * HOUR_MS))[0].0, ["0", "1", "2", "3", "4"]);
        assert!(found(&FanIn, &five(Direction::Credit, 6 * HOUR_MS + 1)).is_empty());
        assert!(found(&FanOut, &five(Direction::Credit, 1)).is_empty());
    }

    #[test]
    fn five_receivers_in_eight_hours_are_a_hit_and_in_more_are_none() {
        assert_eq!(found(&FanOut, &five(Direction::Debit, 2 * HOUR_MS)).len(), 1);
        assert!(found(&FanOut, &five(Direction::Debit, 2 * HOUR_MS + 1)).is_empty());
        assert!(found(&FanIn, &five(Direction::Debit, 1)).is_empty());
    }

    #[test]
    fn the_same_counterparty_counts_once_and_none_does_not_count() {
        let mut entries = five(Direction::Credit, HOUR_MS);
        entries[4].counterparty = entries[0].counterparty;
        assert!(found(&FanIn, &entries).is_empty());
        entries[4].counterparty = None;
        assert!(found(&FanIn, &entries).is_empty());
        entries[4] = Entry { kind: Kind::Card, ..five(Direction::Credit, HOUR_MS)[4] };
        assert!(found(&FanIn, &entries).is_empty());
    }
}

/// Hits as the text of the rules has them, in quadratic time or worse: every window is looked at on its own, and findings
/// that share an entry are joined until none do.
mod naive {
    use super::*;

    pub(super) type Found = BTreeSet<(BTreeSet<String>, u8)>;

    /// For every entry: all that follow it in canonical order within the length.
    fn windows<'a>(of: &[&'a Entry], hours: u32) -> Vec<Vec<&'a Entry>> {
        let length_ms = i64::from(hours) * HOUR_MS;
        of.iter()
            .map(|first| {
                let within = |one: &&&Entry| one.key() >= first.key() && one.at_ms - first.at_ms <= length_ms;
                of.iter().filter(within).copied().collect()
            })
            .collect()
    }

    /// Joins sets that share a member, and keeps the most points.
    fn join(mut sets: Vec<(BTreeSet<String>, u8)>) -> Found {
        'again: loop {
            for i in 0..sets.len() {
                for j in i + 1..sets.len() {
                    if !sets[i].0.is_disjoint(&sets[j].0) {
                        let (more, points) = sets.swap_remove(j);
                        sets[i].0.extend(more);
                        sets[i].1 = sets[i].1.max(points);
                        continue 'again;
                    }
                }
            }
            return sets.into_iter().collect();
        }
    }

    fn ids(entries: &[&Entry]) -> BTreeSet<String> {
        entries.iter().map(|entry| entry.id.to_string()).collect()
    }

    pub(super) fn structuring(entries: &[&Entry], model: &Model) -> Found {
        let rule = &model.behaviour.structuring;
        let mut sets = Vec::new();
        let groups: BTreeSet<_> = entries.iter().map(|entry| (entry.currency, entry.direction)).collect();
        for (currency, direction) in groups {
            let t = i128::from(rule.threshold.minor(currency));
            let group: Vec<&Entry> = entries
                .iter()
                .copied()
                .filter(|one| {
                    one.kind == Kind::Cash && one.currency == currency && one.direction == direction
                })
                .filter(|one| {
                    i128::from(one.amount.minor()) < t && i128::from(one.amount.minor()) * 10 >= t * 8
                })
                .collect();
            for window in &rule.windows {
                let qualifying = windows(&group, window.hours).into_iter().filter(|set| set.len() >= 3);
                sets.extend(qualifying.map(|set| (ids(&set), window.points)));
            }
        }
        join(sets)
    }

    pub(super) fn fan(entries: &[&Entry], rule: &crate::model::Fan, direction: Direction) -> Found {
        let candidates: Vec<&Entry> = entries
            .iter()
            .copied()
            .filter(|one| one.direction == direction && one.counterparty.is_some())
            .filter(|one| matches!(one.kind, Kind::Transfer | Kind::Crypto))
            .collect();
        let many =
            |set: &Vec<&Entry>| set.iter().map(|one| one.counterparty).collect::<BTreeSet<_>>().len() >= 5;
        join(
            windows(&candidates, rule.hours)
                .into_iter()
                .filter(many)
                .map(|set| (ids(&set), rule.points))
                .collect(),
        )
    }

    /// Every debit looks through all credits before it for what is left of them.
    pub(super) fn rapid_movement(entries: &[&Entry], model: &Model) -> Found {
        let rule = &model.behaviour.rapid_movement;
        let stay_ms = i64::from(rule.hours) * HOUR_MS;
        let relevant: Vec<&Entry> = entries
            .iter()
            .copied()
            .filter(|one| !matches!(one.kind, Kind::Card | Kind::DirectDebit | Kind::Fee))
            .collect();
        let mut left: Vec<i64> = relevant.iter().map(|one| one.amount.minor()).collect();
        let mut out: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (d, debit) in relevant.iter().enumerate().filter(|(_, one)| one.direction == Direction::Debit) {
            for (c, credit) in relevant.iter().enumerate().take(d) {
                let matches = credit.direction == Direction::Credit && credit.currency == debit.currency;
                let part = left[d].min(left[c]);
                if matches && debit.at_ms - credit.at_ms <= stay_ms && part > 0 {
                    left[d] -= part;
                    left[c] -= part;
                    out.entry(c).or_default().push(d);
                }
            }
        }
        let moved = |c: usize| {
            let amount = i128::from(relevant[c].amount.minor());
            (amount - i128::from(left[c])) * 10 >= amount * 9
        };
        let sets = out.iter().filter(|(c, _)| moved(**c)).map(|(c, through)| {
            let all: Vec<&Entry> = through.iter().chain([c]).map(|at| relevant[*at]).collect();
            (ids(&all), rule.points)
        });
        join(sets.collect())
            .into_iter()
            .filter(|(set, _)| {
                let credits = relevant
                    .iter()
                    .filter(|one| one.direction == Direction::Credit && set.contains(one.id.as_str()));
                let mut received = 0_i128;
                let mut least = 0_i128;
                for credit in credits {
                    received += i128::from(credit.amount.minor());
                    least = i128::from(rule.min_in.minor(credit.currency));
                }
                received >= least
            })
            .collect()
    }
}

fn as_sets(hits: Vec<(Vec<String>, u8)>) -> naive::Found {
    hits.into_iter().map(|(ids, points)| (ids.into_iter().collect(), points)).collect()
}

/// Anything at all, or traffic of the kinds that rules look at: cash near the threshold over weeks, transfers over a day or two.
fn traffic() -> impl Strategy<Value = Vec<Entry>> {
    let cash = prop::collection::vec((0_i64..20 * 24, 700_000_i64..1_050_000, any::<bool>()), 0..40)
        .prop_map(|rows| {
            let of = |(n, (hour, minor, debit)): (usize, &(i64, i64, bool))| Entry {
                direction: if *debit { Direction::Debit } else { Direction::Credit },
                ..cash(&n.to_string(), hour * HOUR_MS, *minor)
            };
            rows.iter().enumerate().map(of).collect::<Vec<_>>()
        });
    let transfers = entries(60, 36 * HOUR_MS).prop_map(|rows| {
        rows.into_iter().map(|row| Entry { kind: Kind::Transfer, ..row }).collect::<Vec<_>>()
    });
    // Small amounts day by day for weeks, and then larger ones: soon after, or after a long silence.
    let past = prop::collection::vec((0_i64..40 * 24, 9_000_i64..10_000), 50..80);
    let later = prop::collection::vec((prop_oneof![42_i64..46, 160_i64..170], 1_i64..2_000_000), 0..10);
    let comparable = (past, later).prop_map(|(past, later)| {
        let later = later.into_iter().map(|(day, minor)| (day * 24, minor));
        let of = |(n, (hour, minor)): (usize, (i64, i64))| {
            moved(&n.to_string(), hour * HOUR_MS, Direction::Debit, minor)
        };
        past.into_iter().chain(later).enumerate().map(of).collect::<Vec<_>>()
    });
    prop_oneof![entries(60, 8 * DAY_MS), cash, transfers, comparable]
}

#[test]
fn the_traffic_of_these_tests_gives_the_rules_something_to_find() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    // Those over the network have traffic of their own: see `crate::network::tests`.
    let alone = &ALL[..ALL.len() - 3];
    let mut found = vec![0; alone.len()];
    for _ in 0..300 {
        let entries = traffic().new_tree(&mut runner).unwrap().current();
        for (count, typology) in found.iter_mut().zip(alone) {
            *count += usize::from(!run(*typology, &entries).is_empty());
        }
    }
    assert!(found.iter().all(|count| *count >= 20), "{found:?} of 300");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sliding_windows_find_what_the_naive_reading_finds(entries in traffic()) {
        let model = model();
        let set = entry::canonical(&entries);
        let got = as_sets(found(&structuring::Structuring, &entries));
        prop_assert_eq!(got, naive::structuring(&set, &model));
        let got = as_sets(found(&fan::FanIn, &entries));
        prop_assert_eq!(got, naive::fan(&set, &model.behaviour.fan_in, Direction::Credit));
        let got = as_sets(found(&fan::FanOut, &entries));
        prop_assert_eq!(got, naive::fan(&set, &model.behaviour.fan_out, Direction::Debit));
        let got = as_sets(found(&rapid_movement::RapidMovement, &entries));
        prop_assert_eq!(got, naive::rapid_movement(&set, &model));
    }

    #[test]
    fn hits_do_not_depend_on_order_or_repeats_and_name_each_transaction_once(
        entries in traffic(),
        seed in any::<u64>(),
    ) {
        let mut shuffled = entries.clone();
        shuffled.extend_from_slice(&entries[..entries.len() / 3]);
        // A fixed mixing is shuffle enough.
        shuffled.sort_by_key(|one| crate::hash::xxh64(&[one.id.as_bytes(), &seed.to_le_bytes()].concat()));
        for typology in ALL {
            let hits = run(*typology, &entries);
            prop_assert_eq!(&hits, &run(*typology, &shuffled));
            let named: Vec<_> = hits.iter().flat_map(|hit| &hit.transactions).collect();
            let once: BTreeSet<_> = named.iter().collect();
            prop_assert_eq!(named.len(), once.len());
            prop_assert!(hits.iter().all(|hit| hit.from_ms <= hit.to_ms && !hit.transactions.is_empty()));
        }
    }
}

#[test]
fn traffic_all_day_long_is_one_finding() {
    let entries: Vec<Entry> = (0..1_440)
        .map(|n| with(&format!("{n:04}"), n * MINUTE_MS, Direction::Credit, &format!("party-{}", n % 300)))
        .collect();
    let hits = run(&fan::FanIn, &entries);
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].transactions.len(), 1_440);
}

#[test]
fn further_hits_add_a_little_up_to_the_cap() {
    let hit = |points| Hit {
        account: AccountId::new(1).unwrap(),
        from_ms: 0,
        to_ms: 0,
        points,
        transactions: vec![EntryId::new("a").unwrap()],
    };
    let tariff = Tariff { each_further: 10, cap: 80 };
    assert_eq!(tariff.total(&[]), 0);
    assert_eq!(tariff.total(&[hit(45)]), 45);
    assert_eq!(tariff.total(&[hit(45), hit(60)]), 70);
    assert_eq!(tariff.total(&vec![hit(60); 1_000]), 80);
}

/// The same with the hours that these entries make, as of the end of them all.
fn found_with_past(typology: &dyn Typology, past: &[Entry], retained: &[Entry]) -> Vec<(Vec<String>, u8)> {
    let all: Vec<Entry> = past.iter().chain(retained).copied().collect();
    let hours = crate::state::hours(&all);
    let hours: Vec<_> = hours.iter().collect();
    let entries = entry::canonical(retained);
    let account = AccountId::new(ACCOUNT).unwrap();
    let input = Input {
        account,
        entries: &entries,
        hours: &hours,
        network: None,
        model: &model(),
        refdata: &refdata(),
    };
    typology.detect(&input).into_iter().map(|hit| (names(&hit.transactions), hit.points)).collect()
}

/// Payments around 100.00, one a day for so many days from the epoch on.
fn habits(days: i64) -> Vec<Entry> {
    let minor = |n: i64| 10_000 + (n % 5) * 500;
    (0..days).map(|n| moved(&format!("h{n:03}"), n * DAY_MS, Direction::Debit, minor(n))).collect()
}

mod dormant_reactivation {
    use super::{dormant::DormantReactivation, *};

    const WAKES: i64 = 200 * DAY_MS;

    fn woke_with(past: &[Entry], minor: i64) -> Vec<(Vec<String>, u8)> {
        let retained = [
            moved("w1", WAKES, Direction::Debit, minor),
            moved("w2", WAKES + HOUR_MS, Direction::Debit, 10_000),
        ];
        found_with_past(&DormantReactivation, past, &retained)
    }

    #[test]
    fn an_unusual_amount_after_three_silent_months_is_a_hit() {
        assert_eq!(woke_with(&habits(30), 500_000), [(vec!["w1".to_owned()], 50)]);
    }

    #[test]
    fn the_usual_a_short_silence_and_a_thin_past_are_none() {
        assert!(woke_with(&habits(30), 11_000).is_empty(), "an amount as always");
        assert!(woke_with(&habits(111), 500_000).is_empty(), "89 days and some hours of silence");
        assert_eq!(woke_with(&habits(110), 500_000).len(), 1, "ninety days and more");
        assert!(woke_with(&habits(4), 500_000).is_empty(), "four entries are no past");
        assert!(woke_with(&[], 500_000).is_empty());
    }

    #[test]
    fn only_the_first_week_after_waking_counts() {
        let late = moved("w3", WAKES + 7 * DAY_MS, Direction::Debit, 900_000);
        let retained = [moved("w1", WAKES, Direction::Debit, 10_000), late];
        assert!(found_with_past(&DormantReactivation, &habits(30), &retained).is_empty());
    }
}

mod spikes {
    use super::{spike::Spike, *};

    fn day_with(past: i64, minor: i64) -> Vec<(Vec<String>, u8)> {
        let at = 60 * DAY_MS;
        let retained =
            [moved("s1", at, Direction::Debit, minor), moved("s2", at + HOUR_MS, Direction::Debit, 100)];
        found_with_past(&Spike, &habits(past), &retained)
    }

    #[test]
    fn a_day_far_above_the_months_before_is_a_hit_and_names_the_day() {
        assert_eq!(day_with(40, 600_000), [(vec!["s1".to_owned(), "s2".to_owned()], 25)]);
    }

    #[test]
    fn small_days_and_short_pasts_are_none() {
        assert!(day_with(40, 400_000).is_empty(), "below the least total");
        assert!(day_with(9, 600_000).is_empty(), "nine days are no past");
        assert_eq!(day_with(10, 600_000).len(), 1);
    }

    #[test]
    fn directions_and_currencies_are_compared_with_their_own() {
        let retained = [Entry {
            currency: Currency::new("USD").unwrap(),
            ..moved("s1", 60 * DAY_MS, Direction::Debit, 600_000)
        }];
        assert!(found_with_past(&Spike, &habits(40), &retained).is_empty());
        let retained = [moved("s1", 60 * DAY_MS, Direction::Credit, 600_000)];
        assert!(found_with_past(&Spike, &habits(40), &retained).is_empty());
    }

    #[test]
    fn a_day_as_large_as_one_before_is_none() {
        let mut past = habits(40);
        past.push(moved("big", 20 * DAY_MS + HOUR_MS, Direction::Debit, 600_000));
        past.push(moved("bigger", 25 * DAY_MS + HOUR_MS, Direction::Debit, 650_000));
        past.push(moved("biggest", 30 * DAY_MS + HOUR_MS, Direction::Debit, 700_000));
        past.push(moved("also", 31 * DAY_MS + HOUR_MS, Direction::Debit, 700_000));
        past.push(moved("too", 32 * DAY_MS + HOUR_MS, Direction::Debit, 700_000));
        let retained = [moved("s1", 60 * DAY_MS, Direction::Debit, 600_000)];
        assert!(found_with_past(&Spike, &past, &retained).is_empty());
    }
}

mod flows_with_listed_countries {
    use super::{high_risk_flow::HighRiskFlow, *};
    use crate::testing::country;

    /// 2026-01-01, when there are rates.
    const NOW: i64 = 1_767_225_600_000;

    fn flow(home: i64, abroad: &[i64]) -> Vec<(Vec<String>, u8)> {
        let mut entries = vec![moved("home", NOW, Direction::Debit, home)];
        for (n, minor) in abroad.iter().enumerate() {
            let entry = moved(&format!("x{n}"), NOW + n as i64, Direction::Debit, *minor);
            entries.push(Entry { counterparty_country: Some(country("IR")), ..entry });
        }
        found(&HighRiskFlow, &entries)
    }

    #[test]
    fn a_tenth_of_all_flow_in_two_entries_is_a_hit() {
        assert_eq!(flow(900_000, &[50_000, 50_000]), [(vec!["x0".to_owned(), "x1".to_owned()], 40)]);
        assert!(flow(900_001, &[50_000, 50_000]).is_empty());
        assert!(flow(900_000, &[500_000]).is_empty(), "one is none");
        assert!(flow(900_000, &[]).is_empty());
    }
}

mod benford {
    use super::{super::benford::Benford, *};

    /// So many amounts of each first digit, from 1 on.
    fn digits(counts: [i64; 9]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (digit, count) in counts.into_iter().enumerate() {
            for n in 0..count {
                let id = format!("{}-{n:03}", digit + 1);
                entries.push(moved(&id, n * HOUR_MS, Direction::Debit, (digit as i64 + 1) * 100_000 + n));
            }
        }
        entries
    }

    #[test]
    fn amounts_as_nature_has_them_are_none_and_a_wall_of_nines_is_a_hit() {
        assert!(found(&Benford, &digits([30, 18, 12, 10, 8, 7, 6, 5, 4])).is_empty());
        let hits = found(&Benford, &digits([20, 10, 8, 6, 5, 5, 4, 4, 38]));
        assert_eq!((hits.len(), hits[0].0.len(), hits[0].1), (1, 38, 10));
        assert!(hits[0].0.iter().all(|id| id.starts_with("9-")));
    }

    #[test]
    fn fewer_than_fifty_say_nothing() {
        assert!(found(&Benford, &digits([0, 0, 0, 0, 0, 0, 0, 0, 49])).is_empty());
        assert_eq!(found(&Benford, &digits([0, 0, 0, 0, 0, 0, 0, 0, 50])).len(), 1);
    }

    #[test]
    fn the_critical_value_is_that_of_the_table() {
        // All counts as expected of 1,000,000 but for one digit: chi-square is the sum of two terms, by hand.
        let chi = |counts: [f64; 9]| -> f64 {
            let n: f64 = counts.iter().sum();
            counts
                .iter()
                .enumerate()
                .map(|(digit, count)| {
                    let expected = n * (1.0 + 1.0 / (digit as f64 + 1.0)).log10();
                    (count - expected).powi(2) / expected
                })
                .sum()
        };
        for nines in 0..40 {
            let counts = [30, 18, 12, 10, 8, 7, 6, 5, nines];
            let expected = chi(counts.map(|count| count as f64)) > 15.507;
            assert_eq!(!found(&Benford, &digits(counts)).is_empty(), expected, "{nines}");
        }
    }
}
