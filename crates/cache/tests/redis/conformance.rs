//! What every cache does, in memory as in Redis, with and without a layer in front of it.

use super::{SERVER, connect};
use bytes::Bytes;
use proptest::prelude::*;
use riskmesh_cache::redis::SharedCache;
use riskmesh_cache::{Cache, Entry, Memory};
use riskmesh_core::{Clock as _, SystemClock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What is sure to be over after [`Step::PutBriefly`] and [`Step::RemoveBriefly`].
const BRIEF: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_mins(1);

#[derive(Clone, Debug)]
enum Step {
    Get,
    Put(i64),
    /// And waits until it has expired.
    PutBriefly(i64),
    Remove(i64),
    /// And waits until the floor is gone.
    RemoveBriefly(i64),
    /// Comes when it has expired.
    PutLate(i64),
}

fn version() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -3i64..4, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(1 << 53), 1 => Just((1 << 53) + 1)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Get),
        6 => version().prop_map(Step::Put),
        1 => version().prop_map(Step::PutBriefly),
        4 => version().prop_map(Step::Remove),
        1 => version().prop_map(Step::RemoveBriefly),
        1 => version().prop_map(Step::PutLate),
    ]
}

/// What a key should have: an entry by version and value, and a floor that stands.
#[derive(Debug, Default)]
struct Model {
    entry: Option<(i64, u64)>,
    floor: Option<i64>,
    /// A floor that has its time renewed by one below it stands with it.
    puts: u64,
}

impl Model {
    fn takes(&self, version: i64) -> bool {
        self.entry.is_none_or(|(kept, _)| kept <= version) && self.floor.is_none_or(|floor| floor <= version)
    }

    fn removes(&mut self, floor: i64) -> i64 {
        let floor = self.floor.map_or(floor, |old| old.max(floor));
        self.entry = self.entry.filter(|(version, _)| *version >= floor);
        floor
    }
}

fn entry(cache: &dyn Cache, version: i64, value: u64, expires_at: Timestamp) -> Entry {
    Entry {
        version,
        value: Bytes::from(value.to_string()),
        expires_at,
        load_time: Duration::from_millis(value),
        epoch: cache.epoch(),
    }
}

async fn conforms(cache: &dyn Cache, key: &str, steps: &[Step]) {
    let clock = SystemClock;
    let mut model = Model::default();
    for step in steps {
        model.puts += 1;
        let number = model.puts;
        match *step {
            Step::Get => {}
            Step::Put(version) => {
                let until = clock.now().plus(LONG);
                let taken = cache.put(key, entry(cache, version, number, until)).await.unwrap();
                assert_eq!(taken, model.takes(version), "{step:?} {model:?}");
                if taken {
                    model.entry = Some((version, number));
                }
            }
            Step::PutBriefly(version) => {
                let until = clock.now().plus(BRIEF);
                let taken = cache.put(key, entry(cache, version, number, until)).await.unwrap();
                // On a busy machine it comes too late.
                assert!(!taken || model.takes(version), "{step:?} {model:?}");
                if taken {
                    model.entry = None;
                }
                tokio::time::sleep(BRIEF * 2).await;
            }
            Step::Remove(floor) => {
                cache.remove(key, floor, clock.now().plus(LONG)).await.unwrap();
                model.floor = Some(model.removes(floor));
            }
            Step::RemoveBriefly(floor) => {
                cache.remove(key, floor, clock.now().plus(BRIEF)).await.unwrap();
                // Where one stands for long, it stands for long with this one in it.
                let stands = model.removes(floor);
                model.floor = model.floor.map(|_| stands);
                tokio::time::sleep(BRIEF * 2).await;
            }
            Step::PutLate(version) => {
                assert!(!cache.put(key, entry(cache, version, number, clock.now())).await.unwrap());
            }
        }
        let found = cache.get(key).await.unwrap();
        let seen =
            found.as_ref().map(|entry| (entry.version, entry.load_time.as_millis().try_into().unwrap()));
        assert_eq!(seen, model.entry, "{step:?} {model:?}");
        if let Some(found) = found {
            assert_eq!(found.value, found.load_time.as_millis().to_string());
            let left = found.expires_at.0 - clock.now().0;
            assert!(left > 0 && left <= 60_000, "{left}");
        }
    }
}

fn all_conform(runtime: &Runtime, cache: &dyn Cache, cases: u32) {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..25))| {
        let key = format!("conforms/{}", KEYS.fetch_add(1, Ordering::SeqCst));
        runtime.block_on(conforms(cache, &key, &steps));
    });
}

fn shared(runtime: &Runtime, local_bytes: u64) -> SharedCache {
    let _guard = runtime.enter();
    let cache = SharedCache::new(connect(&SERVER), Arc::new(SystemClock), local_bytes);
    runtime.block_on(super::shared::in_use(&cache));
    cache
}

#[test]
fn memory_conforms() {
    let runtime = Runtime::new().unwrap();
    all_conform(&runtime, &Memory::new(Arc::new(SystemClock), 1 << 20), 64);
}

#[test]
fn redis_conforms() {
    let runtime = Runtime::new().unwrap();
    let cache = shared(&runtime, 0);
    all_conform(&runtime, &cache, 64);
}

#[test]
fn redis_with_a_layer_in_front_conforms() {
    let runtime = Runtime::new().unwrap();
    let cache = shared(&runtime, 1 << 20);
    all_conform(&runtime, &cache, 64);
}
