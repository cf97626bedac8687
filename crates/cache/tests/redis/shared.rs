//! A cache that two replicas share, while nothing fails.

use super::{SERVER, command, connect, fresh};
use bytes::Bytes;
use riskmesh_cache::redis::SharedCache;
use riskmesh_cache::{Cache, Entry};
use riskmesh_core::{Clock as _, SystemClock};
use servers::{Engine, Server};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Waits until a cache is used.
pub(super) async fn in_use(cache: &SharedCache) {
    eventually("the cache is used", async || cache.is_in_use()).await;
}

/// Waits until something is so.
pub(super) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn replicas<const N: usize>(server: &Server, local_bytes: u64) -> [SharedCache; N] {
    let caches = [(); N].map(|()| SharedCache::new(connect(server), Arc::new(SystemClock), local_bytes));
    for cache in &caches {
        in_use(cache).await;
    }
    caches
}

fn entry(cache: &SharedCache, version: i64) -> Entry {
    Entry {
        version,
        value: Bytes::from(version.to_string()),
        expires_at: SystemClock.now().plus(Duration::from_mins(5)),
        load_time: Duration::from_millis(3),
        epoch: cache.epoch(),
    }
}

async fn version(cache: &SharedCache, key: &str) -> Option<i64> {
    cache.get(key).await.unwrap().map(|entry| entry.version)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_puts_and_removes_the_other_sees() {
    let server = tokio::task::block_in_place(|| &*SERVER);
    let [one, two] = replicas(server, 0).await;
    assert!(one.put("seen", entry(&one, 1)).await.unwrap());
    assert_eq!(version(&two, "seen").await, Some(1));
    two.remove("seen", 2, SystemClock.now().plus(Duration::from_mins(1))).await.unwrap();
    assert_eq!(version(&one, "seen").await, None);
    assert!(!one.put("seen", entry(&one, 1)).await.unwrap());
    assert!(one.put("seen", entry(&one, 2)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_in_front_is_quick_and_is_told_of_changes() {
    let dir = fresh("layer");
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &dir).unwrap());
    let [one, two] = replicas(&server, 1 << 20).await;
    assert!(one.put("hot", entry(&one, 1)).await.unwrap());
    eventually("it is served from the layer in front", async || {
        let began = Instant::now();
        assert_eq!(version(&two, "hot").await, Some(1));
        began.elapsed() < Duration::from_micros(20)
    })
    .await;
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..10_000 {
        let began = Instant::now();
        let found = two.get("hot").await.unwrap();
        took.push(began.elapsed());
        assert!(found.is_some());
    }
    took.sort_unstable();
    println!("a hit in the layer in front: p50 {:?}, p99 {:?}", took[5_000], took[9_900]);
    assert!(took[5_000] < Duration::from_micros(50), "{:?}", took[5_000]);

    // One replica's own changes are seen at once, the other's when it is told.
    one.remove("hot", 2, SystemClock.now().plus(Duration::from_mins(1))).await.unwrap();
    assert_eq!(version(&one, "hot").await, None);
    eventually("the other is told", async || version(&two, "hot").await.is_none()).await;
    assert!(one.put("hot", entry(&one, 2)).await.unwrap());
    assert_eq!(version(&one, "hot").await, Some(2));
    eventually("the other sees it", async || version(&two, "hot").await == Some(2)).await;
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_is_deleted_by_hand_nothing_that_was_loaded_before_is_taken() {
    let server = tokio::task::block_in_place(|| Server::start(Engine::Redis, &fresh("flushed")).unwrap());
    let [one] = replicas(&server, 1 << 20).await;
    let before = entry(&one, 1);
    assert_eq!(command(&server, "FLUSHALL"), "+OK");
    assert!(!one.put("k", before.clone()).await.unwrap());
    eventually("another epoch has begun", async || one.is_in_use() && one.epoch() != before.epoch).await;
    assert!(!one.put("k", before).await.unwrap());
    assert!(one.put("k", entry(&one, 1)).await.unwrap());
    assert_eq!(command(&server, "SCRIPT FLUSH"), "+OK");
    assert_eq!(version(&one, "k").await, None);
    eventually("another epoch has begun", async || one.is_in_use() && version(&one, "k").await.is_none())
        .await;
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_would_refresh_a_value_one_does() {
    let server = tokio::task::block_in_place(|| &*SERVER);
    let [one, two] = replicas(server, 0).await;
    let hold = Duration::from_millis(300);
    assert!(one.claim("refreshed", hold).await.unwrap());
    let began = Instant::now();
    let second = two.claim("refreshed", hold).await.unwrap();
    assert!(!second || began.elapsed() > hold);
    eventually("the claim is over", async || two.claim("refreshed", hold).await.unwrap()).await;
}
