//! What a plan promises: its size, its order, its labels, and the same bytes for ever.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use risk::{
    AccountId, AccountView, Band, Currency, Direction, Entry, Facts, Kind, Model, RefData, entry, state,
    time::{DAY_MS, HOUR_MS},
    typology::{self, Input},
};
use riskmesh_generate::{
    AccountStatus, Generator, Pattern, Plan, Transaction,
    write::{Format, Record, Writer},
};

const END: i64 = 1_780_272_000_000; // 2026-06-01T00:00:00Z

fn sandbox() -> Generator {
    Generator::new(Plan::sandbox(1, END)).unwrap()
}

fn written<R: Record>(records: impl IntoIterator<Item = R>, format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format);
    for record in records {
        writer.write(&record).unwrap();
    }
    writer.finish().unwrap()
}

fn all(generator: &Generator) -> Vec<Transaction> {
    generator.transactions(0..generator.plan().transactions()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

/// If this fails, plans give other bytes than they gave before: a broken promise, not a test to update.
#[test]
fn the_bytes_of_the_sandbox_are_pinned() {
    let generator = sandbox();
    let plan = generator.plan();
    let hashes = [
        sha256(&written((0..plan.clients).map(|i| generator.client(i)), Format::Csv)),
        sha256(&written((0..plan.accounts).map(|i| generator.account(i)), Format::Csv)),
        sha256(&written(all(&generator), Format::Csv)),
        sha256(&written(all(&generator), Format::Ndjson)),
    ];
    assert_eq!(
        hashes.map(|hash| hash[..16].to_owned()),
        ["6373bb2dff3fc59b", "3e9806d70b7eff90", "f75d9f7fa9712749", "96bc5151713e365a"]
    );
}

#[test]
fn the_sandbox_has_exactly_what_it_promises() {
    let generator = sandbox();
    let clients: BTreeSet<_> = (0..1_000).map(|i| generator.client(i).id.to_string()).collect();
    assert_eq!(clients.len(), 1_000);
    assert!(clients.iter().all(|id| (1..=12).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())));
    let accounts: BTreeSet<_> = (0..2_000).map(|i| generator.account(i).id).collect();
    assert_eq!(accounts.len(), 2_000);
    assert!(accounts.iter().all(|id| id.number() >= 1_000_000_000));

    let entries: Vec<Entry> = generator.entries().collect();
    assert_eq!(entries.len(), 100_000);
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<BTreeSet<_>>().len(), 100_000);
    assert!(entries.iter().all(|entry| accounts.contains(&entry.account)));
    assert!(entries.iter().all(|entry| (END - 120 * DAY_MS..END).contains(&entry.at_ms)));
    assert!(entries.is_sorted_by_key(|entry| entry.at_ms));
}

#[test]
fn every_client_has_an_active_account_in_euros_and_dormant_ones_stay_silent() {
    let generator = sandbox();
    let mut dormant = BTreeSet::new();
    for client in 0..1_000 {
        let accounts: Vec<_> = generator.accounts_of(client).map(|i| generator.account(i)).collect();
        assert_eq!(accounts.len(), 2);
        assert!(accounts.iter().all(|account| account.client == client));
        assert_eq!((accounts[0].currency, accounts[0].status), (Currency::EUR, AccountStatus::Active));
        assert!(accounts.iter().all(|account| account.opened_at_ms <= END - 120 * DAY_MS));
        dormant.extend(accounts.iter().filter(|one| one.status == AccountStatus::Dormant).map(|one| one.id));
    }
    assert!(!dormant.is_empty());
    assert!(generator.entries().all(|entry| !dormant.contains(&entry.account)));
}

#[test]
fn entries_are_in_the_currency_of_their_account_and_transfers_have_two_sides() {
    let generator = sandbox();
    let currencies: HashMap<AccountId, Currency> =
        (0..2_000).map(|i| generator.account(i)).map(|one| (one.id, one.currency)).collect();
    for transaction in all(&generator) {
        for entry in transaction.entries() {
            assert_eq!(currencies[&entry.account], entry.currency);
        }
        let debit = transaction.entry;
        match transaction.credit {
            None => assert_eq!(debit.transfer_id, None),
            Some(credit) => {
                assert_eq!((debit.direction, credit.direction), (Direction::Debit, Direction::Credit));
                assert!(debit.transfer_id.is_some() && debit.transfer_id == credit.transfer_id);
                assert_ne!(debit.account, credit.account);
                assert_eq!(debit.counterparty.unwrap().as_str(), credit.account.to_string());
                assert_eq!(credit.counterparty.unwrap().as_str(), debit.account.to_string());
                if debit.currency == credit.currency {
                    assert_eq!(debit.amount, credit.amount);
                }
            }
        }
    }
}

#[test]
fn accounts_are_uneven_and_kinds_are_mixed() {
    let generator = sandbox();
    let (mut by_account, mut by_kind) = (HashMap::<_, u32>::new(), BTreeMap::<_, u32>::new());
    for entry in generator.entries() {
        *by_account.entry(entry.account).or_default() += 1;
        *by_kind.entry(entry.kind).or_default() += 1;
    }
    let heaviest = *by_account.values().max().unwrap();
    assert!((600..1_500).contains(&heaviest), "{heaviest}");
    assert!(by_account.len() > 1_900);
    assert_eq!(by_kind.len(), Kind::COUNT);
    assert!(by_kind[&Kind::Card] > 10_000 && by_kind[&Kind::Transfer] > 40_000, "{by_kind:?}");
}

#[test]
fn one_in_a_thousand_entries_is_labelled() {
    let generator = sandbox();
    let labelled: usize =
        all(&generator).iter().filter(|one| one.label.is_some()).map(|one| one.entries().count()).sum();
    assert!((100..=124).contains(&labelled), "{labelled}");
    let larger = Generator::new(Plan { suspicious_ppm: 20_000, ..*generator.plan() }).unwrap();
    let labelled: usize =
        all(&larger).iter().filter(|one| one.label.is_some()).map(|one| one.entries().count()).sum();
    assert!((2_000..=2_024).contains(&labelled), "{labelled}");
}

/// The generator and the typologies were written apart: each label must be found by the rule of its name.
#[test]
fn labelled_patterns_are_what_their_labels_say() {
    let generator = Generator::new(Plan { suspicious_ppm: 20_000, ..Plan::sandbox(5, END) }).unwrap();
    let model = Model::builtin().unwrap();
    let refdata = RefData::builtin().unwrap();
    let mut schemes: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    for transaction in all(&generator) {
        if let Some(label) = transaction.label {
            schemes.entry(label).or_default().extend(transaction.entries());
        }
    }
    let mut seen = BTreeMap::<Pattern, u32>::new();
    for (label, entries) in schemes {
        *seen.entry(label.pattern).or_default() += 1;
        let mut by_account: BTreeMap<AccountId, Vec<Entry>> = BTreeMap::new();
        for entry in &entries {
            by_account.entry(entry.account).or_default().push(*entry);
        }
        assert!(entries.is_sorted_by_key(|entry| entry.at_ms), "{label}");
        let code = match label.pattern {
            Pattern::FanIn => "FAN_IN",
            Pattern::FanOut => "FAN_OUT",
            Pattern::Structuring => "STRUCTURING",
            Pattern::RapidMovement => "RAPID_MOVEMENT",
            Pattern::Cycle => "ROUND_TRIPPING",
            Pattern::ScatterGather => "SCATTER_GATHER",
            Pattern::GatherScatter => "GATHER_SCATTER",
            // No rule is made for these: what they look like is all there is to say.
            Pattern::Bipartite => {
                let (payers, payees) = ends(&entries);
                assert!(payers.is_disjoint(&payees) && (payers.len(), payees.len()) == (3, 3), "{label}");
                continue;
            }
            Pattern::Stack => {
                let (payers, payees) = ends(&entries);
                let middle = payers.intersection(&payees).count();
                assert_eq!((payers.len(), middle, payees.len()), (5, 3, 5), "{label}");
                continue;
            }
            Pattern::Random => {
                let hops: Vec<_> = entries.chunks(2).map(|pair| (pair[0].account, pair[1].account)).collect();
                assert!(hops.len() >= 5 && hops.windows(2).all(|pair| pair[0].1 == pair[1].0), "{label}");
                assert_ne!(hops[0].0, hops[hops.len() - 1].1, "{label}");
                continue;
            }
        };
        let rule = typology::ALL.iter().find(|one| one.code().as_str() == code).unwrap();
        // As of when it was over, and not an hour later than needed: its schemes are from any time in the plan.
        let as_of_ms = entries[entries.len() - 1].hour().end_ms();
        let found = by_account.iter().any(|(account, entries)| {
            let own = entry::canonical(entries);
            let view = AccountView { account: *account, hours: &[], retained: entries };
            let network = risk::network::explore(&[view], &model, &refdata, as_of_ms, |account, _| {
                by_account.get(&account).cloned().unwrap_or_default()
            });
            let input = Input {
                account: *account,
                entries: &own,
                hours: &[],
                network: network.as_ref(),
                model: &model,
                refdata: &refdata,
            };
            rule.detect(&input).iter().any(|hit| hit.transactions.len() >= 2)
        });
        assert!(found, "{label}: {entries:#?}");
    }
    assert_eq!(seen.len(), Pattern::ALL.len());
}

/// Who pays and who is paid among both sides of transfers.
fn ends(entries: &[Entry]) -> (BTreeSet<AccountId>, BTreeSet<AccountId>) {
    let of =
        |direction| entries.iter().filter(|one| one.direction == direction).map(|one| one.account).collect();
    (of(Direction::Debit), of(Direction::Credit))
}

#[test]
fn late_and_repeated_transactions_are_as_many_as_planned() {
    let plan = Plan { late_ppm: 50_000, duplicate_ppm: 30_000, late_max_hours: 24, ..Plan::sandbox(1, END) };
    let generator = Generator::new(plan).unwrap();
    let transactions = all(&generator);
    assert_eq!(transactions.iter().map(|one| one.entries().count()).sum::<usize>(), 100_000);
    let repeats: Vec<_> = transactions.iter().filter(|one| one.repeats.is_some()).collect();
    assert!((2_100..2_700).contains(&repeats.len()), "{}", repeats.len());
    for one in repeats {
        let origin = transactions[one.repeats.unwrap() as usize];
        assert!(origin.repeats.is_none() && origin.index < one.index);
        assert_eq!((one.entry, one.credit, one.label), (origin.entry, origin.credit, origin.label));
    }
    let mut newest = i64::MIN;
    let mut late = 0;
    for one in transactions.iter().filter(|one| one.repeats.is_none()) {
        late += usize::from(one.entry.at_ms < newest);
        assert!(newest == i64::MIN || newest - one.entry.at_ms <= 24 * HOUR_MS);
        newest = newest.max(one.entry.at_ms);
    }
    assert!((3_000..4_300).contains(&late), "{late}");
}

/// The scores of all clients of the sandbox, by their place in the plan.
fn scores(generator: &Generator) -> Vec<risk::Score> {
    let (model, refdata) = (Model::builtin().unwrap(), RefData::builtin().unwrap());
    let mut by_account: HashMap<AccountId, Vec<Entry>> = HashMap::new();
    for entry in generator.entries() {
        by_account.entry(entry.account).or_default().push(entry);
    }
    let of = |account: AccountId| by_account.get(&account).cloned().unwrap_or_default();
    let score = |i| {
        let accounts: Vec<_> = generator
            .accounts_of(i)
            .map(|index| generator.account(index).id)
            .map(|id| (id, state::hours(&of(id)), of(id)))
            .collect();
        let views: Vec<_> = accounts
            .iter()
            .map(|(account, hours, retained)| AccountView { account: *account, hours, retained })
            .collect();
        let network = risk::network::explore(&views, &model, &refdata, END, |account, _| of(account));
        let profile = generator.client(i).profile;
        let facts = Facts { profile: &profile, accounts: &views, network: network.as_ref(), screening: None };
        risk::score(&facts, &model, &refdata, END)
    };
    (0..generator.plan().clients).map(score).collect()
}

#[test]
fn most_clients_of_the_sandbox_are_low_and_a_few_are_high() {
    let mut bands = BTreeMap::<Band, u32>::new();
    for score in scores(&sandbox()) {
        *bands.entry(score.band).or_default() += 1;
    }
    let count = |band| bands.get(&band).copied().unwrap_or_default();
    assert!(count(Band::Low) > 600 && count(Band::Medium) > 20, "{bands:?}");
    assert!((1..60).contains(&count(Band::High)), "{bands:?}");
}

#[test]
fn recent_schemes_of_the_sandbox_are_reasons_of_scores() {
    let generator = sandbox();
    let scores = scores(&generator);
    let mut schemes: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    for transaction in all(&generator) {
        if let Some(label) = transaction.label {
            schemes.entry(label).or_default().extend(transaction.entries());
        }
    }
    let recent = schemes.iter().filter(|(_, entries)| entries[0].at_ms >= END - 29 * DAY_MS);
    let mut shown = BTreeSet::new();
    for (label, entries) in recent {
        let code = label.pattern.as_str().to_uppercase();
        let code = if label.pattern == Pattern::Cycle { "ROUND_TRIPPING" } else { &code };
        let names_it = |score: &risk::Score| {
            let mut reasons = score.reasons.iter().filter(|reason| reason.code.as_str() == code);
            reasons.any(|reason| entries.iter().any(|entry| reason.transactions.contains(&entry.id)))
        };
        if typology::ALL.iter().any(|rule| rule.code().as_str() == code) {
            assert!(scores.iter().any(names_it), "{label}");
            shown.insert(label.pattern);
        }
    }
    assert!(shown.len() >= 3 && shown.contains(&Pattern::Cycle), "{shown:?}");
}

#[test]
fn csv_and_ndjson_say_the_same() {
    let generator = sandbox();
    let some: Vec<Transaction> = generator.transactions(0..3_000).collect();
    let columns = <Transaction as Record>::COLUMNS;
    let csv = written(some.iter().copied(), Format::Csv);
    let mut reader = csv::Reader::from_reader(&csv[..]);
    assert_eq!(reader.headers().unwrap(), columns.to_vec());
    let ndjson = written(some.iter().copied(), Format::Ndjson);
    let mut lines = ndjson.split(|byte| *byte == b'\n');
    let mut entries = some.iter().flat_map(Transaction::entries);
    for record in reader.records() {
        let record = record.unwrap();
        let object: serde_json::Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
        for (column, field) in columns.iter().zip(&record) {
            assert_eq!(object[column].as_str().unwrap_or_default(), field, "{column}");
        }
        let entry = entries.next().unwrap();
        assert_eq!(&record[0], entry.id.as_str());
        assert_eq!(record[1], entry.account.to_string());
        assert_eq!(record[6].len(), "2026-06-01T00:00:00.000Z".len());
        let minor: i64 = record[4].replace('.', "").parse().unwrap();
        assert_eq!(minor, entry.amount.minor());
    }
    assert!(entries.next().is_none());
    assert_eq!(lines.next(), Some(&[][..]));
}

#[test]
fn clients_and_accounts_read_back() {
    let generator = sandbox();
    let clients: Vec<_> = (0..1_000).map(|i| generator.client(i)).collect();
    let csv = written(clients.iter().cloned(), Format::Csv);
    let ndjson = written(clients.iter().cloned(), Format::Ndjson);
    let objects = ndjson.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for ((record, object), client) in csv::Reader::from_reader(&csv[..]).records().zip(objects).zip(&clients)
    {
        let record = record.unwrap();
        let object: serde_json::Value = serde_json::from_slice(object).unwrap();
        assert_eq!(&record[1], client.name);
        assert_eq!(object["name"], client.name);
        assert_eq!(object["ownership_layers"].as_u64(), client.profile.ownership_layers.map(u64::from));
        assert_eq!(object["private_banking"].as_bool(), client.profile.private_banking);
        assert!(client.name.is_ascii() && !client.name.contains([',', '"', '\\']));
    }
    let csv = written((0..2_000).map(|i| generator.account(i)), Format::Csv);
    let ids: BTreeSet<String> =
        csv::Reader::from_reader(&csv[..]).records().map(|record| record.unwrap()[1].to_owned()).collect();
    assert_eq!(ids, clients.iter().map(|client| client.id.to_string()).collect());
}

#[test]
fn another_seed_or_end_shares_no_ids() {
    let ids = |seed, end| -> BTreeSet<_> {
        Generator::new(Plan::sandbox(seed, end))
            .unwrap()
            .transactions(0..100)
            .map(|one| one.entry.id)
            .collect()
    };
    assert!(ids(1, END).is_disjoint(&ids(2, END)));
    assert!(ids(1, END).is_disjoint(&ids(1, END + DAY_MS)));
    assert_eq!(ids(1, END), ids(1, END));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_plan_keeps_its_promises_and_any_row_is_computable_alone(
        seed in any::<u64>(),
        clients in 1_u64..60,
        more in 0_u64..200,
        entries in 0_u64..3_000,
        days in 1_u32..400,
        ppm in prop::sample::select(&[0_u32, 1_000, 100_000][..]),
        fault in prop::sample::select(&[0_u32, 1_000, 500_000][..]),
    ) {
        let plan = Plan {
            seed,
            clients,
            accounts: clients + more.min(clients * 63),
            entries,
            days,
            end_ms: END,
            suspicious_ppm: ppm,
            late_ppm: fault,
            late_max_hours: 48,
            duplicate_ppm: fault,
        };
        let generator = Generator::new(plan).unwrap();
        let forward = all(&generator);
        prop_assert_eq!(forward.iter().map(|one| one.entries().count() as u64).sum::<u64>(), entries);
        let other = Generator::new(plan).unwrap();
        for one in forward.iter().rev().step_by(7) {
            prop_assert_eq!(&other.transaction(one.index), one);
        }
        for entry in forward.iter().flat_map(Transaction::entries) {
            prop_assert!((plan.start_ms()..END).contains(&entry.at_ms));
        }
        let owned: u64 = (0..clients).map(|client| {
            let range = generator.accounts_of(client);
            range.end - range.start
        }).sum();
        prop_assert_eq!(owned, plan.accounts);
    }
}
