use super::*;
use crate::consumer::Takeover;
use crate::embedded::Embedded;
use crate::testing::{BEGIN, Disk, Fault, Faulty, STATE, TOPIC};
use crate::traits::{Bus, Fetch};
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Cas, Get, TokenScan};
use tokio_util::sync::CancellationToken;

const KIND: &str = "state";

/// The event of version `version` of a row.
fn outgoing(name: &str, version: i64) -> Outgoing {
    let id = event::id(&[name.as_bytes(), &version.to_be_bytes()]);
    let record = Record::new(name.to_owned(), version.to_string()).header(event::CE_ID, id.to_string());
    Outgoing { topic: TOPIC.name, record }
}

/// A service that keeps rows of [`STATE`]: its references are the names of rows, one a line.
struct Service {
    store: Arc<dyn Store>,
    bus: Arc<Embedded>,
    outbox: Outbox,
}

impl Service {
    fn new(store: Arc<dyn Store>, bus: Arc<Embedded>, disk: &Disk, instance: &str) -> Self {
        let outbox = Outbox::new(store.clone(), disk.clock(), instance);
        Self { store, bus, outbox }
    }

    /// Creates a row, and tells the world, step by step.
    async fn create(&self, name: &str) -> Result<(), Source> {
        let intents = self.outbox.intend(vec![Pointer::new(KIND, name.to_owned())]).await?;
        let row = upsert(()).set("version", 1_i64).set("pending", true);
        if !self.store.cas(Cas::new(&STATE, name).if_absent(()).with(row)).await?.is_applied() {
            return Err("not created".into());
        }
        let events = vec![outgoing(name, 1)];
        self.bus.publish(TOPIC.name, vec![events[0].record.clone()]).await?;
        self.source().clear(name.as_bytes(), &events).await?;
        self.outbox.settle(intents).await?;
        Ok(())
    }

    fn source(&self) -> Rows {
        Rows { store: self.store.clone() }
    }

    fn relay(&self, config: Config) -> Relay {
        let source: Arc<dyn PendingSource> = Arc::new(self.source());
        Relay::new(self.outbox.clone(), self.bus.clone(), vec![source], config).unwrap()
    }
}

/// The [`PendingSource`] of [`Service`].
struct Rows {
    store: Arc<dyn Store>,
}

#[async_trait]
impl PendingSource for Rows {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Source> {
        let mut events = Vec::new();
        for name in std::str::from_utf8(reference)?.lines() {
            if name == "unreadable" {
                return Err("unreadable".into());
            }
            let row = self.store.get(Get::row(&STATE, name, ()).latest()).await?;
            if let Some(row) = row
                && row.boolean("pending")?
            {
                events.push(outgoing(name, row.bigint("version")?));
            }
        }
        Ok(events)
    }

    async fn clear(&self, _: &[u8], published: &[Outgoing]) -> Result<(), Source> {
        let clears = published
            .iter()
            .map(|event| {
                let name = std::str::from_utf8(&event.record.key)?;
                let version: i64 = std::str::from_utf8(&event.record.payload)?.parse()?;
                let cleared = upsert(()).set("pending", false);
                Ok(Cas::new(&STATE, name).if_equals((), "version", version).with(cleared))
            })
            .collect::<Result<Vec<_>, Source>>()?;
        self.store.cas_many(clears).await?;
        Ok(())
    }
}

async fn pointers(store: &Arc<dyn Store>) -> usize {
    store.token_scan(TokenScan::new(&OUTBOX, 10_000)).await.unwrap().rows.len()
}

/// How often each event was published, by its id.
async fn published(bus: &Embedded) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for partition in 0..TOPIC.partitions {
        let fetch = Fetch { max_records: 10_000, ..Fetch::new(TOPIC.name, partition, 0) };
        for stored in bus.fetch(fetch).await.unwrap().records {
            let id = stored.record.headers.text(event::CE_ID).unwrap().to_owned();
            *ids.entry(id).or_default() += 1;
        }
    }
    ids
}

fn id_of(name: &str, version: i64) -> String {
    outgoing(name, version).record.headers.text(event::CE_ID).unwrap().to_owned()
}

fn sole() -> Config {
    Config { takeover: Takeover::Immediate, ..Config::default() }
}

async fn bus(disk: &Disk, store: &Arc<dyn Store>) -> Arc<Embedded> {
    Embedded::open(store.clone(), disk.clock(), &[TOPIC]).await.unwrap()
}

#[tokio::test]
async fn when_nothing_goes_wrong_nothing_is_left_for_the_relay() {
    let disk = Disk::new();
    let store = disk.open();
    let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "1");
    service.create("a").await.unwrap();
    assert_eq!(pointers(&store).await, 0);
    assert_eq!(service.relay(sole()).recover().await.unwrap(), Swept::default());
    assert_eq!(published(&service.bus).await, BTreeMap::from([(id_of("a", 1), 1)]));
}

/// Kills the service before and after every one of its writes, starts it anew over the same data, and lets the relay recover: the
/// event is there if and only if the state changed, nothing stays pending, and no pointer is left.
#[tokio::test]
async fn a_crash_at_any_step_is_made_good() {
    let disk = Disk::new();
    let store = disk.open();
    for fault in [Fault::DieBefore, Fault::DieAfter] {
        for write in 0.. {
            let name = format!("{fault:?}-{write}");
            let faulty = Faulty::over(store.clone());
            let dying: Arc<dyn Store> = faulty.clone();
            let service = Service::new(dying.clone(), bus(&disk, &dying).await, &disk, "1");
            faulty.plan(write, fault);
            let created = service.create(&name).await;
            assert_eq!(created.is_err(), faulty.is_dead());
            service.bus.close().await;
            drop((service, dying));

            let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "2");
            service.relay(sole()).recover().await.unwrap();
            let row = store.get(Get::row(&STATE, &name, ())).await.unwrap();
            assert!(row.as_ref().is_none_or(|row| !row.boolean("pending").unwrap()));
            let events = published(&service.bus).await;
            let times = events.get(&id_of(&name, 1)).copied().unwrap_or(0);
            let expected = if row.is_some() { 1..=2 } else { 0..=0 };
            assert!(expected.contains(&times), "{name}: published {times} times");
            assert_eq!(pointers(&store).await, 0);
            if created.is_ok() {
                break;
            }
        }
    }
}

/// The same for the relay itself: it is killed at each of its writes, and the next one finishes.
#[tokio::test]
async fn a_crash_of_the_relay_is_made_good() {
    let disk = Disk::new();
    let store = disk.open();
    for fault in [Fault::DieBefore, Fault::DieAfter] {
        for write in 0.. {
            let name = format!("{fault:?}-{write}");
            let faulty = Faulty::over(store.clone());
            let dying: Arc<dyn Store> = faulty.clone();
            let service = Service::new(dying.clone(), bus(&disk, &dying).await, &disk, "1");
            // The pointer is written and the row changed; nothing is published.
            faulty.plan(2, Fault::DieBefore);
            service.create(&name).await.unwrap_err();
            service.bus.close().await;

            let faulty = Faulty::over(store.clone());
            let dying: Arc<dyn Store> = faulty.clone();
            let service = Service::new(dying.clone(), bus(&disk, &dying).await, &disk, "2");
            faulty.plan(write, fault);
            let recovered = service.relay(sole()).recover().await;
            service.bus.close().await;

            let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "3");
            service.relay(sole()).recover().await.unwrap();
            assert!(published(&service.bus).await[&id_of(&name, 1)] >= 1);
            assert_eq!(pointers(&store).await, 0);
            let row = store.get(Get::row(&STATE, &name, ())).await.unwrap().unwrap();
            assert!(!row.boolean("pending").unwrap());
            if !faulty.is_dead() {
                assert_eq!(recovered.unwrap(), Swept { published: 1, settled: 1, kept: 0, failed: 0 });
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_relay_leaves_alone_what_is_in_hand_and_takes_over_what_is_dropped() {
    let disk = Disk::new();
    let store = disk.open();
    let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "1");
    let relay = service.relay(sole());
    let intents = service.outbox.intend(vec![Pointer::new(KIND, "a")]).await.unwrap();
    let row = upsert(()).set("version", 1_i64).set("pending", true);
    assert!(store.cas(Cas::new(&STATE, "a").if_absent(()).with(row)).await.unwrap().is_applied());
    disk.clock.advance(Duration::from_hours(1));
    let kept = Swept { kept: 1, ..Swept::default() };
    assert_eq!(relay.recover().await.unwrap(), kept);
    drop(intents);
    disk.clock.advance(Duration::from_millis(9_999));
    assert_eq!(
        relay.sweep_all().await.unwrap(),
        kept,
        "a write of a request that was given up may be on its way"
    );
    disk.clock.advance(Duration::from_millis(1));
    assert_eq!(relay.sweep_all().await.unwrap(), Swept { published: 1, settled: 1, ..Swept::default() });
    assert_eq!(pointers(&store).await, 0);
}

#[tokio::test]
async fn a_process_among_others_waits_for_the_grace_and_gives_up_late() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = bus(&disk, &store).await;
    let service = Service::new(store.clone(), bus.clone(), &disk, "1");
    let relay = Service::new(store.clone(), bus, &disk, "2").relay(Config::default());
    drop(service.outbox.intend(vec![Pointer::new(KIND, "never")]).await.unwrap());
    let kept = Swept { kept: 1, ..Swept::default() };
    let pause = async |duration| {
        disk.clock.advance(duration);
        relay.sweep_recent().await.unwrap()
    };
    assert_eq!(relay.recover().await.unwrap(), kept, "another process's work in hand");
    assert_eq!(pause(Duration::from_secs(9)).await, kept);
    assert_eq!(pause(Duration::from_secs(2)).await, kept, "the change may still come");
    // It comes, late, and is found.
    drop(service.outbox.intend(vec![Pointer::new(KIND, "late")]).await.unwrap());
    let row = upsert(()).set("version", 1_i64).set("pending", true);
    store.apply(vec![Batch::new(&STATE, "late").with(row)]).await.unwrap();
    assert_eq!(pause(Duration::from_secs(11)).await, Swept { published: 1, settled: 1, kept: 1, failed: 0 });
    // The first one has left the last minutes; the full sweep gives it up in the end.
    assert_eq!(pause(Duration::from_mins(10)).await, Swept::default());
    assert_eq!(relay.sweep_all().await.unwrap(), kept);
    disk.clock.advance(Duration::from_mins(5));
    assert_eq!(relay.sweep_all().await.unwrap(), Swept { settled: 1, ..Swept::default() });
    assert_eq!(pointers(&store).await, 0);
}

#[tokio::test]
async fn one_source_in_trouble_does_not_stop_the_others() {
    let disk = Disk::new();
    let store = disk.open();
    let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "1");
    let row = upsert(()).set("version", 1_i64).set("pending", true);
    store.apply(vec![Batch::new(&STATE, "a").with(row)]).await.unwrap();
    let foreign = Pointer::new("somebody-else-s", "x");
    let pointers_ = vec![Pointer::new(KIND, "unreadable"), Pointer::new(KIND, "a"), foreign];
    drop(service.outbox.intend(pointers_).await.unwrap());
    disk.clock.advance(GRACE);
    let swept = service.relay(sole()).recover().await.unwrap();
    assert_eq!(swept, Swept { published: 1, settled: 1, kept: 0, failed: 1 });
    assert_eq!(pointers(&store).await, 2);
}

#[tokio::test]
async fn many_pointers_and_large_references_are_cheap_and_bounded() {
    let disk = Disk::new();
    let store = disk.open();
    let faulty = Faulty::over(store.clone());
    let service = Service::new(faulty.clone(), bus(&disk, &store).await, &disk, "1");
    // One pointer for three thousand rows.
    let names: Vec<_> = (0..3000).map(|n| format!("row-{n}")).collect();
    let rows = names
        .iter()
        .map(|name| Batch::new(&STATE, name).with(upsert(()).set("version", 1_i64).set("pending", true)));
    store.apply(rows.collect()).await.unwrap();
    drop(service.outbox.intend(vec![Pointer::new(KIND, names.join("\n"))]).await.unwrap());
    disk.clock.advance(GRACE);
    assert_eq!(
        service.relay(sole()).recover().await.unwrap(),
        Swept { published: 3000, settled: 1, kept: 0, failed: 0 }
    );
    assert_eq!(published(&service.bus).await.len(), 3000);

    // As many pointers as there may be: one write, and one to settle them.
    let writes = faulty.writes();
    let many = (0..MAX_POINTERS).map(|n| Pointer::new(KIND, vec![b'x'; 1000 + n % 7])).collect();
    let intents = service.outbox.intend(many).await.unwrap();
    assert_eq!(pointers(&store).await, MAX_POINTERS);
    service.outbox.settle(intents).await.unwrap();
    assert_eq!((pointers(&store).await, faulty.writes()), (0, writes + 2));

    let too_many = vec![Pointer::new(KIND, "x"); MAX_POINTERS + 1];
    let too_large = vec![Pointer::new(KIND, vec![0; MAX_REFERENCE_BYTES + 1])];
    for refused in [too_many, too_large] {
        assert!(matches!(service.outbox.intend(refused).await.err(), Some(Error::TooLarge { .. })));
    }
}

#[tokio::test]
async fn the_running_relay_publishes_what_was_left_behind_and_stops_when_told() {
    let disk = Disk::new();
    let store = disk.open();
    let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "1");
    let row = upsert(()).set("version", 1_i64).set("pending", true);
    store.apply(vec![Batch::new(&STATE, "a").with(row)]).await.unwrap();
    drop(service.outbox.intend(vec![Pointer::new(KIND, "a")]).await.unwrap());
    disk.clock.advance(GRACE);
    let stop = CancellationToken::new();
    let config = Config { every: Duration::from_millis(2), ..Config::default() };
    let running = tokio::spawn(service.relay(config).run(stop.clone()));
    let events = async || published(&service.bus).await;
    crate::testing::eventually("published at the start", async || {
        events().await.contains_key(&id_of("a", 1))
    })
    .await;
    service.outbox.intend(vec![Pointer::new(KIND, "b")]).await.map(drop).unwrap();
    let row = upsert(()).set("version", 1_i64).set("pending", true);
    store.apply(vec![Batch::new(&STATE, "b").with(row)]).await.unwrap();
    disk.clock.advance(GRACE);
    crate::testing::eventually("published later", async || events().await.contains_key(&id_of("b", 1))).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn two_sources_of_one_kind_are_refused() {
    let disk = Disk::new();
    let store = disk.open();
    let service = Service::new(store.clone(), bus(&disk, &store).await, &disk, "1");
    let source = || Arc::new(service.source()) as Arc<dyn PendingSource>;
    let relay = Relay::new(service.outbox.clone(), service.bus.clone(), vec![source(), source()], sole());
    assert!(matches!(relay.err(), Some(Error::Config { .. })));
}

#[test]
fn minutes_and_shards_are_stable() {
    assert_eq!(minute_of(BEGIN), 29_166_666);
    assert_eq!(minute_of(Timestamp(-1)), -1);
    let spread: std::collections::BTreeSet<_> = (0..100_u8).map(|n| shard_of(event::id(&[&[n]]))).collect();
    assert!(spread.into_iter().eq(0..SHARDS));
}
