//! Worked scores, and the properties that every score has.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    code::{Country, Currency},
    entry::{AccountId, Channel, Direction, Entry, Kind},
    network,
    profile::{ClientType, Industry},
    screening::{ListHit, Review},
    state::{self, HourState},
    testing::{ACCOUNT, amount, counterparty, country, entries, entry},
    time::{DAY_MS, Day, HOUR_MS},
};

const NOW: i64 = 1_780_272_000_000; // 2026-06-01T00:00:00Z

fn model() -> Model {
    Model::builtin().unwrap()
}

fn refdata() -> RefData {
    RefData::builtin().unwrap()
}

/// A person of whom everything is known and nothing stands out.
fn person() -> ClientProfile {
    ClientProfile {
        client_type: Some(ClientType::Individual),
        residence: Some(country("DE")),
        nationality: Some(country("DE")),
        private_banking: Some(false),
        onboarded_at_ms: Some(NOW - 2_000 * DAY_MS),
        last_reviewed_at_ms: Some(NOW - 100 * DAY_MS),
        ..ClientProfile::default()
    }
}

fn of_entries(profile: &ClientProfile, entries: &[Entry]) -> Score {
    let mut by_account: BTreeMap<AccountId, Vec<Entry>> = BTreeMap::new();
    for one in entries {
        by_account.entry(one.account).or_default().push(*one);
    }
    let hours: Vec<(AccountId, Vec<HourState>, Vec<Entry>)> =
        by_account.into_iter().map(|(account, rows)| (account, state::hours(&rows), rows)).collect();
    let views: Vec<AccountView<'_>> = hours
        .iter()
        .map(|(account, hours, retained)| AccountView { account: *account, hours, retained })
        .collect();
    of_views(profile, &views)
}

/// With nobody else around.
fn of_views(profile: &ClientProfile, views: &[AccountView<'_>]) -> Score {
    let (model, refdata) = (model(), refdata());
    let network = network::explore(views, &model, &refdata, NOW, |_, _| Vec::new());
    let facts = Facts { profile, accounts: views, network: network.as_ref(), screening: None };
    score(&facts, &model, &refdata, NOW)
}

/// Of whom everything is known but what screening came to.
fn screened(hits: &[ListHit]) -> Score {
    let (model, refdata, rows) = (model(), refdata(), quiet_life());
    let (hours, account) = (state::hours(&rows), AccountId::new(ACCOUNT).unwrap());
    let views = [AccountView { account, hours: &hours, retained: &rows }];
    let network = network::explore(&views, &model, &refdata, NOW, |_, _| Vec::new());
    let screening = Screening::new(hits.iter().copied());
    let profile = &person();
    let facts = Facts { profile, accounts: &views, network: network.as_ref(), screening: Some(&screening) };
    score(&facts, &model, &refdata, NOW)
}

const fn hit(list: ListKind, review: Review, match_bp: u16) -> ListHit {
    ListHit { list, review, match_bp }
}

#[test]
fn a_client_on_no_list_has_no_points_for_it_and_the_confidence_of_all_that_is_known() {
    let score = screened(&[]);
    assert_eq!((points(&score, Pillar::Screening), score.confidence.bp()), (0, 10_000));
    assert!(!codes(&score).contains(&ReasonCode::DataMissingScreening) && !score.blocked);
}

#[test]
fn an_open_hit_is_worth_its_match_by_the_severity_of_its_list() {
    let worth = |hits: &[ListHit]| points(&screened(hits), Pillar::Screening);
    assert_eq!(worth(&[hit(ListKind::Sanctions, Review::Open, 8_750)]), 88);
    assert_eq!(worth(&[hit(ListKind::ForeignPep, Review::Open, 9_000)]), 72);
    assert_eq!(worth(&[hit(ListKind::DomesticPep, Review::Open, u16::MAX)]), 60);
    let both =
        [hit(ListKind::AdverseMedia, Review::Open, 5_000), hit(ListKind::Sanctions, Review::Open, 7_000)];
    let score = screened(&both);
    assert_eq!(points(&score, Pillar::Screening), 70, "the best of them");
    assert!(codes(&score).contains(&ReasonCode::ScreeningSanctions));
    assert!(codes(&score).contains(&ReasonCode::ScreeningAdverseMedia));
    assert!(score.floors.is_empty() && !score.blocked, "nobody has confirmed anything");
}

#[test]
fn what_is_confirmed_sets_its_floor() {
    let of = |list| {
        let score = screened(&[hit(list, Review::Confirmed, 1)]);
        let floors: Vec<_> = score.floors.iter().map(|floor| (floor.code, floor.at_least)).collect();
        (floors, score.value, score.blocked)
    };
    assert_eq!(of(ListKind::Sanctions), (vec![(ReasonCode::FloorSanction, 100)], 100, true));
    assert_eq!(of(ListKind::ForeignPep), (vec![(ReasonCode::FloorForeignPep, 70)], 70, false));
    assert_eq!(of(ListKind::AdverseMedia), (vec![(ReasonCode::FloorAdverseMedia, 50)], 50, false));
    let (floors, value, blocked) = of(ListKind::DomesticPep);
    assert!(floors.is_empty() && value < 50 && !blocked);
}

fn points(score: &Score, pillar: Pillar) -> u8 {
    score.pillars.iter().find(|one| one.pillar == pillar).unwrap().points
}

fn codes(score: &Score) -> Vec<ReasonCode> {
    score.reasons.iter().map(|reason| reason.code).collect()
}

/// A monthly salary and rent at home, ordered online: for 120 days.
fn quiet_life() -> Vec<Entry> {
    (0..120)
        .map(|day| Entry {
            direction: if day % 30 == 0 { Direction::Credit } else { Direction::Debit },
            amount: amount(if day % 30 == 0 { 300_000 } else { 5_000 }),
            kind: if day % 30 == 0 { Kind::Transfer } else { Kind::Card },
            counterparty_country: Some(country("DE")),
            ..entry(&format!("q{day}"), NOW - (120 - day) * DAY_MS)
        })
        .collect()
}

#[test]
fn a_quiet_client_is_low_and_every_point_has_a_reason() {
    let score = of_entries(&person(), &quiet_life());
    // 2500 x 20 (unlisted) + 2000 x 23 + 0 + 1000 x 50 (not screened) + 0 + 1000 x 40 (online) = 18.6
    assert_eq!(points(&score, Pillar::Geography), 20);
    assert_eq!(points(&score, Pillar::Customer), 23);
    assert_eq!(points(&score, Pillar::Behaviour), 0);
    assert_eq!(points(&score, Pillar::Screening), 50);
    assert_eq!(points(&score, Pillar::Product), 0);
    assert_eq!(points(&score, Pillar::Channel), 40);
    assert_eq!((score.value, score.band), (19, Band::Low));
    // All but screening known; reviewed in date; 120 of 90 days observed.
    assert_eq!(score.confidence.bp(), 9_000);
    assert!(codes(&score).contains(&ReasonCode::DataMissingScreening));
}

#[test]
fn a_client_of_whom_nothing_is_known_is_fifty_throughout() {
    let score = of_views(&ClientProfile::default(), &[]);
    assert_eq!((score.value, score.band), (50, Band::Medium));
    assert!(score.pillars.iter().all(|pillar| pillar.points == 50));
    assert_eq!(score.confidence.bp(), 0);
    for code in [
        ReasonCode::DataMissingResidence,
        ReasonCode::DataMissingClientType,
        ReasonCode::DataMissingIndustry,
        ReasonCode::DataMissingOwnership,
        ReasonCode::DataMissingOnboarding,
        ReasonCode::DataMissingTransactions,
        ReasonCode::DataMissingScreening,
        ReasonCode::DataMissingPrivateBanking,
    ] {
        assert!(codes(&score).contains(&code), "{code}");
    }
}

#[test]
fn a_country_under_a_call_for_action_lifts_the_score_to_its_floor() {
    let profile = ClientProfile { nationality: Some(country("KP")), ..person() };
    let score = of_entries(&profile, &quiet_life());
    assert_eq!(points(&score, Pillar::Geography), 100);
    assert_eq!((score.additive, score.value, score.band), (39, 85, Band::High));
    assert_eq!(score.floors.len(), 1);
    assert_eq!((score.floors[0].code, score.floors[0].at_least), (ReasonCode::FloorCallForAction, 85));
    assert!(codes(&score).contains(&ReasonCode::CountryCallForAction));
}

#[test]
fn increased_monitoring_counts_without_a_floor() {
    let profile = ClientProfile { residence: Some(country("NA")), ..person() };
    let score = of_entries(&profile, &quiet_life());
    assert_eq!(points(&score, Pillar::Geography), 90);
    assert!(score.floors.is_empty());
}

#[test]
fn flow_weighs_countries_by_amount_and_unknown_ones_as_unknown() {
    let transfer = |id: &str, place: Option<Country>, minor| Entry {
        amount: amount(minor),
        counterparty_country: place,
        ..entry(id, NOW - DAY_MS)
    };
    // Half with Iran (100), a quarter unknown (50), a quarter at home (20): 67.5.
    let rows = [
        transfer("a", Some(country("IR")), 200_000),
        transfer("b", None, 100_000),
        transfer("c", Some(country("DE")), 100_000),
    ];
    let score = of_entries(&person(), &rows);
    assert_eq!(points(&score, Pillar::Geography), 68);
    assert!(codes(&score).contains(&ReasonCode::FlowCountries));
    // Flow alone lifts to no floor: that is for the client's own countries.
    assert!(score.floors.is_empty());
}

#[test]
fn flows_convert_at_the_rate_of_their_day() {
    let dollars = Entry {
        currency: Currency::new("USD").unwrap(),
        amount: amount(114_000),
        kind: Kind::Cash,
        ..entry("usd", NOW - DAY_MS)
    };
    // 1,140 USD at 1.14 are 1,000 EUR: half of all flow is cash, which is more than the 40 % that are worth all of 3,500.
    let euros = Entry {
        amount: amount(100_000),
        counterparty_country: Some(country("DE")),
        ..entry("eur", NOW - DAY_MS)
    };
    let score = of_entries(&person(), &[dollars, euros]);
    assert_eq!(points(&score, Pillar::Product), 35);
    let reason = score.reasons.iter().find(|reason| reason.code == ReasonCode::ProductCash).unwrap();
    assert_eq!(reason.text, "50 % of flow is cash");
}

#[test]
fn a_currency_without_a_rate_hides_nothing() {
    let exotic = Entry {
        currency: Currency::new("XTS").unwrap(),
        counterparty_country: Some(country("IR")),
        ..entry("x", NOW - DAY_MS)
    };
    for rows in [vec![exotic], [quiet_life(), vec![exotic]].concat()] {
        let score = of_entries(&person(), &rows);
        assert_eq!(points(&score, Pillar::Geography), 50);
        assert_eq!(points(&score, Pillar::Channel), 50);
        assert!(points(&score, Pillar::Product) >= 45);
        assert!(codes(&score).contains(&ReasonCode::DataMissingFxRate));
    }
}

#[test]
fn typologies_name_their_transactions_and_add_up_to_a_hundred() {
    let cash = (0..3).map(|n| Entry {
        kind: Kind::Cash,
        amount: amount(900_000),
        channel: Some(Channel::Branch),
        ..entry(&format!("cash{n}"), NOW - DAY_MS + n * HOUR_MS)
    });
    let senders = (0..6).map(|n| Entry {
        counterparty: Some(counterparty(&format!("sender-{n}"))),
        counterparty_country: Some(country("DE")),
        amount: amount(500_000),
        ..entry(&format!("from{n}"), NOW - DAY_MS + (4 + n) * HOUR_MS)
    });
    let out =
        Entry { direction: Direction::Debit, amount: amount(5_700_000), ..entry("away", NOW - 10 * HOUR_MS) };
    let rows: Vec<Entry> = cash.chain(senders).chain([out]).collect();
    let score = of_entries(&person(), &rows);
    let reason = |code| score.reasons.iter().find(|reason| reason.code == code).unwrap();
    let structuring = reason(ReasonCode::Structuring);
    assert_eq!(structuring.points, 80);
    assert_eq!(
        structuring.transactions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["cash0", "cash1", "cash2"]
    );
    assert_eq!(reason(ReasonCode::FanIn).transaction_count, 6);
    assert_eq!(reason(ReasonCode::RapidMovement).transaction_count, 10);
    assert_eq!(points(&score, Pillar::Behaviour), 100, "80 + 40 + 40, capped");
}

#[test]
fn many_transactions_are_counted_in_full_and_named_up_to_the_bound() {
    let rows: Vec<Entry> = (0..500)
        .map(|n| Entry {
            counterparty: Some(counterparty(&format!("sender-{n}"))),
            ..entry(&format!("t{n:03}"), NOW - DAY_MS + n * 60_000)
        })
        .collect();
    let score = of_entries(&person(), &rows);
    let fan = score.reasons.iter().find(|reason| reason.code == ReasonCode::FanIn).unwrap();
    assert_eq!((fan.transactions.len(), fan.transaction_count), (100, 500));
}

#[test]
fn an_event_after_the_hour_of_as_of_does_not_count() {
    let rows = |extra: Option<Entry>| quiet_life().into_iter().chain(extra).collect::<Vec<_>>();
    let base = of_entries(&person(), &rows(None));
    let later = Entry { kind: Kind::Cash, amount: amount(90_000_000), ..entry("later", NOW) };
    assert_eq!(of_entries(&person(), &rows(Some(later))), base);
    let just_before = Entry { at_ms: NOW - 1, ..later };
    assert_ne!(of_entries(&person(), &rows(Some(just_before))), base);
}

#[test]
fn a_review_out_of_date_costs_the_weight_of_the_profile() {
    let stale = ClientProfile { last_reviewed_at_ms: Some(NOW - 731 * DAY_MS), ..person() };
    let score = of_entries(&stale, &quiet_life());
    // Known 9,000, of which geography and customer, 4,500, are stale: half.
    assert_eq!(score.confidence.bp(), 4_500);
}

#[test]
fn a_company_is_asked_for_more_than_a_person() {
    let company = ClientProfile {
        client_type: Some(ClientType::Company),
        incorporation: Some(country("DE")),
        industry: Some(Industry::new("R9200").unwrap()),
        ownership_layers: Some(3),
        onboarded_at_ms: Some(NOW - 30 * DAY_MS),
        ..ClientProfile::default()
    };
    let score = of_entries(&company, &quiet_life());
    // 0.25 x 45 + 0.35 x 90 + 0.2 x 90 + 0.2 x 90 = 78.75
    assert_eq!(points(&score, Pillar::Customer), 79);
    let unknown = ClientProfile { industry: None, ownership_layers: None, ..company };
    let score = of_entries(&unknown, &quiet_life());
    // 0.25 x 45 + 0.35 x 50 + 0.2 x 50 + 0.2 x 90 = 56.75
    assert_eq!(points(&score, Pillar::Customer), 57);
}

#[test]
fn one_scored_client_in_full() {
    let profile = ClientProfile {
        client_type: Some(ClientType::Company),
        residence: Some(country("NA")),
        incorporation: Some(country("DE")),
        industry: Some(Industry::new("L68").unwrap()),
        ownership_layers: Some(1),
        onboarded_at_ms: Some(Day::parse("2024-02-29").unwrap().start_ms()),
        ..ClientProfile::default()
    };
    let structured = (0..4).map(|n| Entry {
        kind: Kind::Cash,
        amount: amount(880_000 + n * 10_000),
        channel: Some(Channel::Branch),
        ..entry(&format!("cash{n}"), NOW - 9 * DAY_MS + n * 5 * HOUR_MS)
    });
    let abroad = Entry {
        direction: Direction::Debit,
        amount: amount(3_400_000),
        currency: Currency::new("USD").unwrap(),
        counterparty: Some(counterparty("AE070331234567890123456")),
        counterparty_country: Some(country("AE")),
        channel: Some(Channel::Intermediary),
        account: AccountId::new(ACCOUNT + 1).unwrap(),
        ..entry("wire", NOW - 8 * DAY_MS)
    };
    let rows: Vec<Entry> = quiet_life().into_iter().chain(structured).chain([abroad]).collect();
    insta::assert_json_snapshot!(of_entries(&profile, &rows));
}

fn profiles() -> impl Strategy<Value = ClientProfile> {
    let place = || prop::option::of(prop::sample::select(&["DE", "NA", "IR", "FR"][..]).prop_map(country));
    (
        prop::option::of(prop::sample::select(&[ClientType::Individual, ClientType::Company][..])),
        (place(), place(), place()),
        prop::option::of(
            prop::sample::select(&["A", "K64", "R92", "L"][..]).prop_map(|code| Industry::new(code).unwrap()),
        ),
        prop::option::of(any::<u8>()),
        prop::option::of(any::<bool>()),
        prop::option::of(prop_oneof![any::<i64>(), NOW - 3_000 * DAY_MS..NOW]),
        prop::option::of(NOW - 3_000 * DAY_MS..NOW + DAY_MS),
    )
        .prop_map(
            |(
                client_type,
                (residence, nationality, incorporation),
                industry,
                layers,
                banking,
                onboarded,
                reviewed,
            )| {
                ClientProfile {
                    client_type,
                    residence,
                    nationality,
                    incorporation,
                    industry,
                    ownership_layers: layers,
                    private_banking: banking,
                    onboarded_at_ms: onboarded,
                    last_reviewed_at_ms: reviewed,
                }
            },
        )
}

fn recent(max: usize) -> impl Strategy<Value = Vec<Entry>> {
    entries(max, 40 * DAY_MS).prop_map(|rows| {
        rows.into_iter().map(|row| Entry { at_ms: row.at_ms + NOW - 40 * DAY_MS, ..row }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn contributions_sum_and_bounds_hold(profile in profiles(), rows in recent(80)) {
        let score = of_entries(&profile, &rows);
        let model = model();
        let by_pillar: u32 = score.pillars.iter().map(|one| u32::from(one.contribution)).sum();
        let by_reason: u32 = score.reasons.iter().map(|one| u32::from(one.contribution)).sum();
        prop_assert_eq!(by_pillar, u32::from(score.additive));
        prop_assert_eq!(by_reason, u32::from(score.additive));
        for pillar in &score.pillars {
            prop_assert!(pillar.points <= 100);
            let reasons = score.reasons.iter().filter(|one| one.pillar == pillar.pillar);
            prop_assert_eq!(reasons.map(|one| u32::from(one.contribution)).sum::<u32>(), u32::from(pillar.contribution));
        }
        let exact: u64 = score.pillars.iter().map(|one| u64::from(one.weight_bp) * u64::from(one.points)).sum();
        prop_assert_eq!(u64::from(score.additive), (exact + 5_000) / 10_000);
        prop_assert!(score.value >= score.additive && score.value <= 100);
        prop_assert!(score.floors.iter().all(|floor| score.value >= floor.at_least));
        prop_assert_eq!(score.band, Band::of(score.value, &model.bands));
        prop_assert!(score.confidence.bp() <= 10_000);
        prop_assert!(score.reasons.is_sorted_by(|a, b| a.contribution >= b.contribution));
    }

    #[test]
    fn order_partition_and_repetition_do_not_change_a_byte(
        profile in profiles(),
        rows in recent(60),
        cut in any::<prop::sample::Index>(),
    ) {
        let expected = serde_json::to_string(&of_entries(&profile, &rows)).unwrap();
        let hours = state::hours(&rows);
        let mut reversed: Vec<Entry> = rows.iter().rev().copied().collect();
        reversed.extend_from_slice(&rows);
        let account = AccountId::new(ACCOUNT).unwrap();
        // Two views of the one account: hours and entries cut anywhere, overlapping, out of order.
        let cut = cut.index(hours.len().max(1)).min(hours.len());
        let mut tail = hours[cut..].to_vec();
        tail.reverse();
        let views = [
            AccountView { account, hours: &tail, retained: &reversed },
            AccountView { account, hours: &hours[..cut], retained: &rows[..rows.len() / 2] },
            AccountView { account, hours: &hours[cut / 2..], retained: &[] },
        ];
        let got = of_views(&profile, &views);
        prop_assert_eq!(serde_json::to_string(&got).unwrap(), expected);
    }

    #[test]
    fn another_state_has_another_hash(rows in recent(20)) {
        let base = of_entries(&person(), &rows);
        let more = [rows, vec![entry("one-more", NOW - 1)]].concat();
        prop_assert_ne!(of_entries(&person(), &more).state_hash, base.state_hash);
    }

    #[test]
    fn hits_in_any_order_and_number_give_the_same_score_and_their_parts_sum_to_it(
        mut hits in prop::collection::vec(
            (
                prop::sample::select(&[ListKind::Sanctions, ListKind::ForeignPep, ListKind::DomesticPep, ListKind::AdverseMedia][..]),
                prop::sample::select(&[Review::Open, Review::Confirmed][..]),
                0_u16..12_000,
            ).prop_map(|(list, review, match_bp)| hit(list, review, match_bp)),
            0..6,
        ),
    ) {
        let score = screened(&hits);
        hits.extend_from_slice(&hits.clone());
        hits.reverse();
        prop_assert_eq!(&screened(&hits), &score);
        let by_reason: u32 = score.reasons.iter().map(|one| u32::from(one.contribution)).sum();
        prop_assert_eq!(by_reason, u32::from(score.additive));
        let blocked = hits.iter().any(|one| (one.list, one.review) == (ListKind::Sanctions, Review::Confirmed));
        prop_assert_eq!(score.blocked, blocked);
        prop_assert!(!blocked || score.value == 100);
        prop_assert_ne!(score.state_hash, screened(&[hits.clone(), vec![hit(ListKind::DomesticPep, Review::Open, 12_001)]].concat()).state_hash);
    }

    #[test]
    fn another_profile_has_another_hash(one in profiles(), other in profiles()) {
        let hash = |profile| of_entries(profile, &[]).state_hash;
        prop_assert_eq!(one == other, hash(&one) == hash(&other));
    }

    #[test]
    fn knowing_a_worse_country_never_lowers_a_score(profile in profiles(), rows in recent(30)) {
        let of = |code| of_entries(&ClientProfile { residence: Some(country(code)), ..profile }, &rows);
        // The home decides what is cross-border, so compare with that held still.
        let at_home = |score: &Score| points(score, Pillar::Geography);
        let (unlisted, monitored, called) = (of("FR"), of("NA"), of("KP"));
        prop_assert!(at_home(&unlisted) <= at_home(&monitored) && at_home(&monitored) <= at_home(&called));
        prop_assert!(called.value >= 85);
    }

    #[test]
    fn structured_cash_is_never_worth_less_than_its_points(rows in recent(40)) {
        let cash = (0..3).map(|n| Entry {
            kind: Kind::Cash,
            amount: amount(900_000),
            ..entry(&format!("c{n}"), NOW - 100 + n)
        });
        let rows: Vec<Entry> = rows.into_iter().chain(cash).collect();
        prop_assert!(points(&of_entries(&person(), &rows), Pillar::Behaviour) >= 80);
    }
}
