use super::*;
use crate::Memory;
use futures::future::join_all;
use futures::poll;
use proptest::prelude::*;
use riskmesh_core::{ErrorCode, ManualClock};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::Poll;
use tokio::sync::oneshot;

impl Value for i64 {
    fn encode(&self) -> Bytes {
        self.to_be_bytes().to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

const KEY: &str = "acme/42";

fn aside(beta: f64) -> (CacheAside<i64>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
    let memory = Arc::new(Memory::new(clock.clone(), 1 << 20));
    (CacheAside::new(memory, clock.clone(), Config { beta, ..Config::new("test", 1) }), clock)
}

fn found(version: i64) -> impl Future<Output = Result<Loaded<i64>, Error>> + Send {
    std::future::ready(Ok(Loaded { version, value: version }))
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_load() {
    let (aside, _) = aside(1.0);
    let loads = Arc::new(AtomicUsize::new(0));
    let (open, gate) = oneshot::channel::<()>();
    let gate = gate.map(|_| ()).shared();
    let callers = (0..100).map(|_| {
        let (loads, gate) = (loads.clone(), gate.clone());
        aside.get_or_load(KEY, move || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            gate.await;
            Ok(Loaded { version: 1, value: 7 })
        })
    });
    // The gate opens when all hundred have been polled, and so wait.
    let (values, ()) = futures::join!(join_all(callers), async { open.send(()).unwrap() });
    assert!(values.into_iter().all(|value| value.unwrap() == 7));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_second_caller_is_served_from_the_cache_until_the_value_expires() {
    let (aside, clock) = aside(0.0);
    assert_eq!(aside.get_or_load(KEY, || found(1)).await.unwrap(), 1);
    clock.advance(Duration::from_secs(299));
    assert_eq!(aside.get_or_load(KEY, || found(2)).await.unwrap(), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(aside.get(KEY).await, None);
    assert_eq!(aside.get_or_load(KEY, || found(2)).await.unwrap(), 2);
}

#[tokio::test]
async fn an_error_goes_to_every_caller_and_is_not_kept() {
    let (aside, _) = aside(1.0);
    let fail = || async {
        Err(Error::new(ErrorCode::ServiceUnavailable).retry_after(Duration::from_secs(2)).because("store"))
    };
    let (one, two) = futures::join!(aside.get_or_load(KEY, fail), aside.get_or_load(KEY, fail));
    for error in [one.unwrap_err(), two.unwrap_err()] {
        assert_eq!(error.code, ErrorCode::ServiceUnavailable);
        assert_eq!(error.retry_after, Some(Duration::from_secs(2)));
        assert!(error.cause().ends_with("store"));
    }
    assert_eq!(aside.get_or_load(KEY, || found(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_load_that_panics_is_an_error_and_the_next_one_works() {
    let (aside, _) = aside(1.0);
    let error = aside.get_or_load(KEY, || async { panic!("loader") }).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert_eq!(aside.get_or_load(KEY, || found(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_load_is_dropped_with_its_last_caller() {
    let (aside, _) = aside(1.0);
    {
        let mut abandoned = pin!(aside.get_or_load(KEY, std::future::pending));
        assert!(poll!(&mut abandoned).is_pending());
    }
    assert!(aside.inner.flights().running.is_empty());
    assert_eq!(aside.get_or_load(KEY, || found(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn who_asks_after_an_invalidation_does_not_join_the_load_from_before() {
    let (aside, _) = aside(1.0);
    let (open, gate) = oneshot::channel::<()>();
    let mut before = pin!(aside.get_or_load(KEY, move || async move {
        let _ = gate.await;
        Ok(Loaded { version: 1, value: 1 })
    }));
    assert!(poll!(&mut before).is_pending());
    aside.invalidate(KEY, 2).await;
    assert_eq!(aside.get_or_load(KEY, || found(2)).await.unwrap(), 2);
    open.send(()).unwrap();
    assert_eq!(before.await.unwrap(), 1);
    assert_eq!(aside.get(KEY).await, Some(2));
}

#[tokio::test]
async fn a_value_about_to_expire_is_refreshed_by_one_reader_who_is_served_the_old_one() {
    let (aside, clock) = aside(1e9);
    aside.get_or_load(KEY, || found(1)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let (done, refreshed) = oneshot::channel();
    let old = aside
        .get_or_load(KEY, move || async move {
            let _ = done.send(());
            Ok(Loaded { version: 2, value: 2 })
        })
        .await;
    assert_eq!(old.unwrap(), 1);
    refreshed.await.unwrap();
    // The refresh has loaded; whoever joins it, or comes later, sees the new value.
    while aside.get(KEY).await == Some(1) {
        tokio::task::yield_now().await;
    }
    assert_eq!(aside.get(KEY).await, Some(2));
}

#[tokio::test]
async fn bytes_of_another_release_are_loaded_anew() {
    let (aside, clock) = aside(1.0);
    let entry = Entry {
        version: 1,
        value: Bytes::from_static(b"not eight bytes"),
        expires_at: clock.now().plus(Duration::from_mins(1)),
        load_time: Duration::ZERO,
        epoch: 0,
    };
    aside.inner.cache.put("test/acme/42", entry).await.unwrap();
    assert_eq!(aside.get_or_load(KEY, || found(1)).await.unwrap(), 1);
}

struct Broken;

#[async_trait::async_trait]
impl Cache for Broken {
    async fn get(&self, _: &str) -> Result<Option<Entry>, crate::Error> {
        Err(crate::Error { doing: "get", source: "down".into() })
    }
    async fn put(&self, _: &str, _: Entry) -> Result<bool, crate::Error> {
        Err(crate::Error { doing: "put", source: "down".into() })
    }
    async fn remove(&self, _: &str, _: i64, _: Timestamp) -> Result<(), crate::Error> {
        Err(crate::Error { doing: "remove", source: "down".into() })
    }
}

#[tokio::test]
async fn a_broken_cache_is_no_error_to_the_caller() {
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let aside: CacheAside<i64> = CacheAside::new(Arc::new(Broken), clock, Config::new("test", 1));
    assert_eq!(aside.get_or_load(KEY, || found(1)).await.unwrap(), 1);
    aside.invalidate(KEY, 2).await;
    assert_eq!(aside.get(KEY).await, None);
}

/// One step of the world around a key.
#[derive(Clone, Debug)]
enum Step {
    /// The data change: the version goes up.
    Write,
    /// The writer comes round to invalidate what it wrote.
    Invalidate,
    /// A reader comes; on a miss its load reads the data and then dawdles.
    Read,
    /// A load that has read its data gets on.
    Proceed(prop::sample::Index),
    /// A reader gives up.
    GiveUp(prop::sample::Index),
    /// Time goes by, in all less than a value or a tombstone lives.
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Write),
        Just(Step::Invalidate),
        Just(Step::Read),
        any::<prop::sample::Index>().prop_map(Step::Proceed),
        any::<prop::sample::Index>().prop_map(Step::GiveUp),
        (0..3000_u16).prop_map(Step::Wait),
    ]
}

type Reading<'a> = Pin<Box<dyn Future<Output = Result<i64, Error>> + 'a>>;

struct Reader<'a> {
    reading: Reading<'a>,
    gate: Option<oneshot::Sender<()>>,
    /// What was invalidated when it came: it must not get anything older.
    floor: i64,
}

proptest! {
    #[test]
    fn no_interleaving_brings_an_invalidated_version_back(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (aside, clock) = aside(1.0);
            let data = Arc::new(AtomicI64::new(1));
            let mut invalidated = 0;
            let mut served = 0;
            let mut readers: Vec<Reader<'_>> = Vec::new();
            for step in steps {
                match step {
                    Step::Write => drop(data.fetch_add(1, Ordering::SeqCst)),
                    Step::Invalidate => {
                        invalidated = data.load(Ordering::SeqCst);
                        aside.invalidate(KEY, invalidated).await;
                    }
                    Step::Read => {
                        let (gate, opened) = oneshot::channel();
                        let data = data.clone();
                        let reading = Box::pin(aside.get_or_load(KEY, move || async move {
                            let version = data.load(Ordering::SeqCst);
                            let _ = opened.await;
                            Ok(Loaded { version, value: version })
                        }));
                        readers.push(Reader { reading, gate: Some(gate), floor: invalidated });
                    }
                    Step::Proceed(index) if !readers.is_empty() => {
                        let index = index.index(readers.len());
                        drop(readers[index].gate.take());
                    }
                    Step::GiveUp(index) if !readers.is_empty() => {
                        readers.swap_remove(index.index(readers.len()));
                    }
                    Step::Proceed(_) | Step::GiveUp(_) => {}
                    Step::Wait(millis) => clock.advance(Duration::from_millis(millis.into())),
                }
                let mut waiting = Vec::new();
                for mut reader in readers {
                    match poll!(&mut reader.reading) {
                        Poll::Ready(value) => prop_assert!(value.unwrap() >= reader.floor),
                        Poll::Pending => waiting.push(reader),
                    }
                }
                readers = waiting;
                tokio::task::yield_now().await;
                if let Some(cached) = aside.get(KEY).await {
                    prop_assert!(cached >= invalidated, "{cached} after {invalidated} was invalidated");
                    prop_assert!(cached >= served, "{cached} after {served} was served");
                    prop_assert!(cached <= data.load(Ordering::SeqCst));
                    served = cached;
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_is_written_through_is_read_and_never_gives_way_to_what_was_before() {
    let (aside, _) = aside(0.0);
    let (open, gate) = oneshot::channel::<()>();
    let slow = aside.get_or_load(KEY, || async move {
        gate.await.unwrap();
        Ok(Loaded { version: 1, value: 1 })
    });
    let mut slow = pin!(slow);
    assert!(poll!(&mut slow).is_pending());
    aside.put(KEY, Loaded { version: 2, value: 2 }).await;
    assert_eq!(aside.get(KEY).await, Some(2));
    open.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), 1, "who began before is answered");
    assert_eq!(aside.get(KEY).await, Some(2));
    aside.put(KEY, Loaded { version: 1, value: 1 }).await;
    assert_eq!(aside.get(KEY).await, Some(2), "a late writer changes nothing");
}
