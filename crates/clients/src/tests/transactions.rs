//! Entries: recorded once, paged and scanned, whatever is repeated or fails.

use super::*;

#[tokio::test]
async fn an_entry_is_recorded_once_whatever_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    let entry = |id: &str, at| message(id, "0000000001", START + at);
    let first = world.record(vec![entry("a", 0), entry("b", 1), entry("a", 0)]).await.unwrap();
    assert_eq!((first.created, first.duplicates, first.rejected.len()), (2, 1, 0));
    let again = world.record(vec![entry("a", 0), entry("c", 2), entry("b", 999)]).await.unwrap();
    assert_eq!((again.created, again.duplicates), (1, 1));
    assert_eq!((again.rejected[0].index, again.rejected[0].error_code.as_str()), (2, "ALREADY_EXISTS"));
    let page = world.list(of_client("1")).await;
    assert_eq!((ids(&page), page.page.unwrap().total), (["c", "b", "a"].map(String::from).to_vec(), 3));
    let found = request(GetTransactionRequest { transaction_id: "b".into() });
    let found =
        world.service.transactions.get_transaction(found).await.unwrap().into_inner().transaction.unwrap();
    assert_eq!((found.client_id.as_str(), found.booked_at.unwrap().nanos), ("1", 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_duplicates_are_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::open(dir.path()).await);
    world.client("1", &["0000000001"]).await;
    let batch: Vec<_> =
        (0..50).map(|n| message(&format!("t-{n}"), "0000000001", START + n * HOUR_MS)).collect();
    let racers = (0..8).map(|_| {
        let (world, batch) = (world.clone(), batch.clone());
        tokio::spawn(async move { world.record(batch).await.unwrap() })
    });
    let answers = futures::future::join_all(racers).await;
    let created: i64 = answers.iter().map(|answer| answer.as_ref().unwrap().created).sum();
    assert_eq!(created, 50);
    assert_eq!(world.list(of_client("1")).await.page.unwrap().total, 50);
}

#[tokio::test]
async fn pages_by_offset_and_by_cursor_agree_with_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    // Over four months, several in one hour and in one millisecond, on both accounts.
    let batch: Vec<_> = (0..200_i64)
        .map(|n| {
            let account = if n % 3 == 0 { "0000000002" } else { "0000000001" };
            message(&format!("t-{n:03}"), account, START + n / 10 * 6 * DAY_MS + n % 10 / 4 * HOUR_MS)
        })
        .collect();
    world.record(batch).await.unwrap();
    let mut whole = of_client("1");
    whole.limit = Some(1000);
    let whole = ids(&world.list(whole).await);
    assert_eq!(whole.len(), 200);
    for offset in [0, 1, 7, 99, 100, 101, 193, 199, 200, 5000] {
        let page = world
            .list(ListTransactionsRequest { offset: Some(offset), limit: Some(7), ..of_client("1") })
            .await;
        let from = (offset as usize).min(whole.len());
        assert_eq!(ids(&page), whole[from..whole.len().min(from + 7)], "offset {offset}");
        assert_eq!(page.page.unwrap().total, 200);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.list(ListTransactionsRequest { cursor, limit: Some(9), ..of_client("1") }).await;
        seen.extend(ids(&page));
        match page.page.unwrap().next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn a_cursor_of_one_list_is_refused_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    for id in ["1", "2", "3"] {
        world.create_client(id).await.unwrap();
    }
    let list = ListClientsRequest { limit: Some(1), ..ListClientsRequest::default() };
    let page = world.service.clients.list_clients(request(list)).await.unwrap().into_inner().page.unwrap();
    let cursor = page.next_cursor.unwrap();
    let foreign = ListClientsRequest { cursor: cursor.clone(), status: 1, ..ListClientsRequest::default() };
    let refused = world.service.clients.list_clients(request(foreign)).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidInput);
    let other = request_of("other", ListClientsRequest { cursor, ..ListClientsRequest::default() });
    assert_eq!(code(&world.service.clients.list_clients(other).await.unwrap_err()), ErrorCode::InvalidInput);
}

#[tokio::test]
async fn a_scan_streams_a_range_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    let batch: Vec<_> =
        (0..2500_i64).map(|n| message(&format!("t-{n:04}"), "0000000001", START + n / 2 * HOUR_MS)).collect();
    world.record(batch).await.unwrap();
    let scan = ScanTransactionsRequest {
        account_id: "0000000001".into(),
        from_ms: START + 10 * HOUR_MS,
        until_ms: START + 1200 * HOUR_MS,
    };
    let mut stream = world.service.transactions.scan_transactions(request(scan)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(batch) = stream.next().await {
        seen.extend(batch.unwrap().transactions.into_iter().map(|transaction| transaction.transaction_id));
    }
    let expected: Vec<_> = (20..2400).map(|n| format!("t-{n:04}")).collect();
    assert_eq!(seen, expected);
}

/// Every write may fail or have an unknown outcome; the caller repeats until it is told that all is in. Then all is in, once, and
/// after the relay has run everything is told of.
#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_and_double_nothing() {
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        World::on(store.clone(), store.clone()).await.client("1", &["0000000001", "0000000002"]).await;

        let faulty: Arc<dyn Store> = Arc::new(Faulty::new(store.clone(), FAULTS, seed));
        let world = World::on(faulty, store.clone()).await;
        let batch: Vec<_> = (0..60_i64)
            .map(|n| {
                message(
                    &format!("t-{n}"),
                    if n % 2 == 0 { "0000000001" } else { "0000000002" },
                    START + n * 7 * HOUR_MS,
                )
            })
            .collect();
        let mut created = 0;
        let mut done = false;
        for _ in 0..200 {
            match world.record(batch.clone()).await {
                Ok(answer) => {
                    created += answer.created;
                    done = true;
                    break;
                }
                Err(status) => assert!(matches!(
                    code(&status),
                    ErrorCode::Internal | ErrorCode::ServiceUnavailable | ErrorCode::Conflict
                )),
            }
        }
        assert!(done && created <= 60, "seed {seed}");
        world.service.drain().await;
        drop(world);

        let world = World::on(store.clone(), store).await;
        assert_eq!(world.list(of_client("1")).await.page.unwrap().total, 60, "seed {seed}");
        let config = bus::outbox::Config { takeover: bus::Takeover::Immediate, ..Default::default() };
        let relay =
            Relay::new(world.outbox.clone(), world.bus.clone(), world.service.sources(), config).unwrap();
        relay.recover().await.unwrap();
        let told: usize = world.told().await.values().map(BTreeSet::len).sum();
        assert_eq!(told, 60, "seed {seed}");
    }
}

#[tokio::test]
async fn counts_of_a_batch_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    let tenant = TenantId::new("acme").unwrap();
    let mut recorded = Recorded::default();
    // More rows in one month than one conditional batch holds.
    let entries = (0..2_300_i64)
        .map(|n| {
            let entry = message(&format!("t-{n}"), "0000000001", START + n * 1000);
            (n as usize, Box::new(crate::domain::entry::Entry::read(entry, Timestamp(START)).unwrap()))
        })
        .collect();
    world.service.transactions.ingest.record(&tenant, entries, &mut recorded).await.unwrap();
    assert_eq!((recorded.created, recorded.duplicates, recorded.rejected.len()), (2_300, 0, 0));
    assert_eq!(world.list(of_client("1")).await.page.unwrap().total, 2_300);
}
