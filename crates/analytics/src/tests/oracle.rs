//! What must come out: scores from all entries at once, by crate `risk` alone, without hours that are stored, events or batches.

use super::fake::Fake;
use super::world::{TENANT, World};
use crate::domain::assessment::Assessment;
use crate::domain::{entry, profile};
use crate::tables::ACCOUNT_STATE;
use api::analytics::v2;
use risk::{AccountView, Entry, Facts, Hour, HourState, Model, RefData, state};
use store::{TokenScan, limits};

struct Account {
    id: risk::AccountId,
    entries: Vec<Entry>,
    hours: Vec<HourState>,
}

/// The assessment of a client, from what the fake knows.
pub(super) fn assess(fake: &Fake, client: &str) -> Assessment {
    let (model, refdata) = (Model::builtin().unwrap(), RefData::builtin().unwrap());
    let known = fake.client(TENANT, client).unwrap();
    let accounts = fake.accounts_of(TENANT, client);
    let profile = profile::read(&known, &accounts);
    let accounts: Vec<Account> = accounts
        .iter()
        .map(|account| {
            let entries = fake.entries_of(TENANT, &account.account_id);
            let entries: Vec<Entry> = entries.iter().map(|row| entry::read(row).unwrap()).collect();
            let hours = state::hours(&entries);
            Account { id: account.account_id.parse().unwrap(), entries, hours }
        })
        .collect();
    let newest = accounts.iter().flat_map(|account| &account.hours).map(|hour| hour.hour).max();
    let as_of = newest.unwrap_or_else(|| Hour::of(profile::known_at(&known).millis()));
    // The first hour there is, and those of the window.
    let window = model.window.history_ms();
    let from = Hour::of(as_of.end_ms() - window);
    let hours: Vec<Vec<HourState>> = accounts
        .iter()
        .map(|account| {
            let first = account.hours.first().map(|hour| hour.hour);
            let kept = account.hours.iter().filter(|hour| hour.hour >= from || Some(hour.hour) == first);
            kept.cloned().collect()
        })
        .collect();
    let views: Vec<AccountView<'_>> = std::iter::zip(&accounts, &hours)
        .map(|(account, hours)| AccountView { account: account.id, hours, retained: &account.entries })
        .collect();
    let network = risk::network::explore(&views, &model, &refdata, as_of.end_ms(), |account, _| {
        let rows = fake.entries_of(TENANT, &account.to_string());
        rows.iter().map(|row| entry::read(row).unwrap()).collect::<Vec<_>>()
    });
    let facts = Facts { profile: &profile, accounts: &views, network: network.as_ref(), screening: None };
    Assessment::of(&risk::score(&facts, &model, &refdata, as_of.end_ms()))
}

/// Asserts that a risk is this assessment, to the last field.
pub(super) fn assert_is(risk: &v2::Analytics, assessment: &Assessment) {
    let shown = risk.risk.as_ref().unwrap();
    assert_eq!(shown.score, i32::from(assessment.score), "client {}", risk.client_id);
    assert_eq!(risk.state_hash, assessment.state_hash.to_string(), "client {}", risk.client_id);
    assert_eq!(api::time::from_proto(risk.as_of.as_ref().unwrap()), assessment.as_of);
    assert_eq!((shown.confidence * 10_000.0).round() as u16, assessment.confidence_bp);
    let reasons: Vec<_> =
        shown.reasons.iter().map(|reason| (&reason.code, &reason.text, &reason.transaction_ids)).collect();
    let expected: Vec<_> =
        assessment.reasons.iter().map(|reason| (&reason.code, &reason.text, &reason.transactions)).collect();
    assert_eq!(reasons, expected);
}

/// Asserts that every client of the fake has its score, and every account its hours, and nobody else.
pub(super) async fn assert_all(world: &World, clients: &[&str]) {
    let risks = world.risks().await;
    assert_eq!(risks.iter().map(|risk| risk.client_id.as_str()).collect::<Vec<_>>(), clients);
    for risk in &risks {
        assert_is(risk, &assess(&world.fake, &risk.client_id));
    }
    let mut expected = Vec::new();
    for account in clients.iter().flat_map(|client| world.fake.accounts_of(TENANT, client)) {
        let entries = world.fake.entries_of(TENANT, &account.account_id);
        let entries: Vec<Entry> = entries.iter().map(|row| entry::read(row).unwrap()).collect();
        expected
            .extend(state::hours(&entries).iter().map(|hour| (account.account_id.clone(), hour.encode())));
    }
    let page = world.store.token_scan(TokenScan::new(&ACCOUNT_STATE, limits::PAGE_ROWS)).await.unwrap();
    let rows = page.rows.iter().filter(|row| row.clustering().is_some());
    let mut stored: Vec<_> = rows
        .map(|row| (row.text("account_id").unwrap().to_owned(), row.blob("state").unwrap().to_vec()))
        .collect();
    expected.sort();
    stored.sort();
    assert_eq!(stored, expected);
}
