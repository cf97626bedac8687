//! Instruments and prices.

use super::*;
use api::market::v1::{GetInstrumentRequest, ListInstrumentsRequest, ListPricesRequest, ListPricesResponse};

impl World {
    async fn prices(&self, list: ListPricesRequest) -> Result<ListPricesResponse, Status> {
        Ok(self.service.prices.list_prices(request(list)).await?.into_inner())
    }
}

fn of(id: &str) -> ListPricesRequest {
    ListPricesRequest { instrument_id: id.into(), ..ListPricesRequest::default() }
}

#[tokio::test]
async fn an_instrument_is_put_again_and_keeps_its_currency() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    let made = world.put(Instrument { name: "SAP".into(), ..instrument("A", "EUR") }).await.unwrap();
    assert_eq!(made.create_time, made.update_time);
    let get = || request(GetInstrumentRequest { instrument_id: "A".into() });
    let first = world.service.instruments.get_instrument(get()).await.unwrap();
    assert_eq!(first.metadata().get("etag").unwrap(), "\"v1\"");
    let same = world.put(Instrument { name: "SAP".into(), ..instrument("A", "EUR") }).await.unwrap();
    assert_eq!(same, made);
    let changed = world.put(Instrument { country: "DE".into(), ..instrument("A", "EUR") }).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.country.as_str()), ("", "DE"), "what is left out is gone");
    let second = world.service.instruments.get_instrument(get()).await.unwrap();
    assert_eq!(second.metadata().get("etag").unwrap(), "\"v2\"");
    let other = world.put(instrument("A", "USD")).await.unwrap_err();
    assert_eq!(code(&other), ErrorCode::PreconditionFailed);
    world.put(instrument("B", "USD")).await.unwrap();
    let list = request(ListInstrumentsRequest { limit: Some(1), ..Default::default() });
    let page = world.service.instruments.list_instruments(list).await.unwrap().into_inner();
    assert_eq!((page.instruments[0].instrument_id.as_str(), page.page.unwrap().total), ("A", 2));
    let foreign = request_of("other", GetInstrumentRequest { instrument_id: "A".into() });
    let foreign = world.service.instruments.get_instrument(foreign).await.unwrap_err();
    assert_eq!(code(&foreign), ErrorCode::InstrumentNotFound);
}

#[tokio::test]
async fn prices_are_recorded_once_and_corrected_by_being_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    world.put(instrument("A", "EUR")).await.unwrap();
    let batch = vec![
        price("A", "2026-01-05", "10.5", "EUR"),
        price("A", "2026-01-06", "11", "EUR"),
        price("A", "2026-01-06", "11.0", "EUR"),
        price("A", "2026-01-06", "12", "EUR"),
        price("X", "2026-01-06", "12", "EUR"),
        price("A", "2026-01-07", "12", "USD"),
        price("A", "2026-02-03", "12", "EUR"),
    ];
    let answer = world.record(batch.clone()).await.unwrap();
    assert_eq!((answer.created, answer.corrected, answer.duplicates), (2, 0, 1));
    let rejected: Vec<_> = answer.rejected.iter().map(|no| (no.index, no.error_code.as_str())).collect();
    let expected =
        [(3, "ALREADY_EXISTS"), (4, "INSTRUMENT_NOT_FOUND"), (5, "INVALID_INPUT"), (6, "INVALID_INPUT")];
    assert_eq!(rejected, expected);
    let again = world.record(batch).await.unwrap();
    assert_eq!((again.created, again.corrected, again.duplicates, again.rejected.len()), (0, 0, 3, 4));
    let correction = vec![price("A", "2026-01-06", "11.25", "EUR"), price("A", "2026-01-08", "1", "EUR")];
    let corrected = world.record(correction).await.unwrap();
    assert_eq!((corrected.created, corrected.corrected, corrected.duplicates), (1, 1, 0));
    let all = world.prices(of("A")).await.unwrap();
    let shown: Vec<_> = all.prices.iter().map(|one| (one.date.as_str(), one.price.as_str())).collect();
    assert_eq!(shown, [("2026-01-05", "10.5"), ("2026-01-06", "11.25"), ("2026-01-08", "1")]);
    assert_eq!(code(&world.prices(of("X")).await.unwrap_err()), ErrorCode::InstrumentNotFound);
}

#[tokio::test]
async fn prices_are_listed_by_days_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    world.put(instrument("A", "EUR")).await.unwrap();
    // More than one write and more than one read of the store.
    let days: Vec<String> = (0..2_500).map(|n| ::risk::Day::from_number(15_000 + n).to_string()).collect();
    let batch = days.iter().map(|day| price("A", day, "1", "EUR")).collect();
    assert_eq!(world.record(batch).await.unwrap().created, 2_500);
    let mut list = ListPricesRequest { limit: Some(1_000), ..of("A") };
    let mut seen = Vec::new();
    loop {
        let page = world.prices(list.clone()).await.unwrap();
        seen.extend(page.prices.into_iter().map(|price| price.date));
        match page.page.unwrap().next_cursor {
            Some(cursor) => list.cursor = cursor,
            None => break,
        }
    }
    assert_eq!(seen, days);
    let between = |from: &str, until: &str| {
        let given = |text: &str| Some(text.to_owned());
        world.prices(ListPricesRequest { from: given(from), until: given(until), ..of("A") })
    };
    assert_eq!(between(&days[10], &days[12]).await.unwrap().page.unwrap().total, 3);
    assert_eq!(code(&between(&days[12], &days[10]).await.unwrap_err()), ErrorCode::InvalidInput);
    assert_eq!(code(&between("", &days[10]).await.unwrap_err()), ErrorCode::InvalidInput);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_counted_once_whatever_the_store_forgets_to_say() {
    let faults = Faults { unknown_done: 10, unknown_lost: 10, read_timeout: 0 };
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        World::on(store.clone()).put(instrument("A", "EUR")).await.unwrap();
        let world = World::on(Arc::new(Faulty::new(store.clone(), faults, seed)));
        let days: Vec<String> = (0..30).map(|n| ::risk::Day::from_number(20_000 + n).to_string()).collect();
        let record = async |amount: &str| {
            let batch: Vec<Price> = days.iter().map(|day| price("A", day, amount, "EUR")).collect();
            for _ in 0..200 {
                if let Ok(answer) = world.record(batch.clone()).await {
                    return answer;
                }
            }
            panic!("seed {seed}: never gets through");
        };
        let answer = record("1").await;
        assert_eq!(answer.created + answer.duplicates, 30, "seed {seed}");
        let (one, two) = tokio::join!(record("2"), record("2"));
        assert!(one.corrected + two.corrected >= 30, "seed {seed}: at least one of them corrected");
        let kept = World::on(store).prices(ListPricesRequest { limit: Some(100), ..of("A") }).await.unwrap();
        assert!(kept.prices.len() == 30 && kept.prices.iter().all(|price| price.price == "2"), "seed {seed}");
    }
}
