//! Two replicas write and read through one Redis while it is killed, stopped and set back. What they read is compared with what was
//! written before the read began.

use super::fresh;
use super::shared::{eventually, in_use};
use bytes::Bytes;
use riskmesh_cache::redis::{Options, Redis, SharedCache};
use riskmesh_cache::{CacheAside, Config, Loaded, Value};
use riskmesh_core::SystemClock;
use servers::{Engine, Server};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const KEYS: usize = 4;
/// How old the layer in front may be, and some time for a busy machine.
const LAYER: Duration = Duration::from_millis(1100);

/// After an outage of more than this all writers have given Redis up, and written.
const LONG: Duration = Duration::from_millis(3500);

#[derive(Clone, Copy, Debug)]
struct Version(i64);

impl Value for Version {
    fn encode(&self) -> Bytes {
        Bytes::from(self.0.to_string())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self(std::str::from_utf8(bytes).ok()?.parse().ok()?))
    }
}

/// What is kept where the truth is: one key's version.
#[derive(Default)]
struct Row {
    version: AtomicI64,
    /// When a writer was done with which version.
    written: Mutex<Vec<(Instant, i64)>>,
    /// One writer at a time.
    writer: tokio::sync::Mutex<()>,
}

impl Row {
    /// What was written by then.
    fn written_by(&self, instant: Instant) -> i64 {
        let written = self.written.lock().unwrap();
        written.iter().rev().find(|(at, _)| *at <= instant).map_or(0, |(_, version)| *version)
    }
}

struct World {
    rows: [Row; KEYS],
    caches: [Arc<SharedCache>; 2],
    asides: [CacheAside<Version>; 2],
    /// How old a value may be.
    lag: Duration,
    over: AtomicBool,
    /// Nobody writes: what was there before an outage is not replaced by what comes after it.
    quiet: AtomicBool,
    reads: AtomicUsize,
    loads: AtomicUsize,
    writes: AtomicUsize,
    /// The longest that a write took.
    slowest: Mutex<Duration>,
}

impl World {
    async fn new(server: &Server, local_bytes: u64) -> Arc<Self> {
        let caches = [(), ()].map(|()| {
            let options = Options::new(server.address().to_string()).timeout(Duration::from_millis(200));
            let redis = Arc::new(Redis::new(options).unwrap());
            Arc::new(SharedCache::new(redis, Arc::new(SystemClock), local_bytes))
        });
        for cache in &caches {
            in_use(cache).await;
        }
        let asides = caches
            .each_ref()
            .map(|cache| CacheAside::new(cache.clone(), Arc::new(SystemClock), Config::new("history", 1)));
        Arc::new(Self {
            rows: Default::default(),
            caches,
            asides,
            lag: if local_bytes > 0 { LAYER } else { Duration::ZERO },
            over: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
            loads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            slowest: Mutex::default(),
        })
    }

    async fn write(&self, replica: usize, key: usize) {
        let (row, aside) = (&self.rows[key], &self.asides[replica]);
        let _alone = row.writer.lock().await;
        let began = Instant::now();
        let version = row.version.load(Ordering::SeqCst) + 1;
        aside.announce(&key.to_string(), version).await;
        row.version.store(version, Ordering::SeqCst);
        if version % 3 == 0 {
            aside.put(&key.to_string(), Loaded { version, value: Version(version) }).await;
        } else {
            aside.invalidate(&key.to_string(), version).await;
        }
        row.written.lock().unwrap().push((Instant::now(), version));
        self.writes.fetch_add(1, Ordering::SeqCst);
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = slowest.max(began.elapsed());
    }

    async fn read(self: &Arc<Self>, replica: usize, key: usize) {
        let began = Instant::now();
        let least = self.rows[key].written_by(began.checked_sub(self.lag).unwrap());
        let this = self.clone();
        let load = move || async move {
            this.loads.fetch_add(1, Ordering::SeqCst);
            let version = this.rows[key].version.load(Ordering::SeqCst);
            // Long enough for others to write.
            tokio::time::sleep(Duration::from_millis(3)).await;
            Ok(Loaded { version, value: Version(version) })
        };
        let Version(found) = self.asides[replica].get_or_load(&key.to_string(), load).await.unwrap();
        assert!(found >= least, "replica {replica} read {found} of {key} after {least} had been written");
        self.reads.fetch_add(1, Ordering::SeqCst);
    }

    fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for replica in 0..2 {
            for key in 0..KEYS {
                let this = self.clone();
                tasks.spawn(async move {
                    while !this.over.load(Ordering::SeqCst) {
                        this.read(replica, key).await;
                        tokio::time::sleep(Duration::from_micros(500)).await;
                    }
                });
                let this = self.clone();
                tasks.spawn(async move {
                    let mut pause = 5 + key as u64;
                    while !this.over.load(Ordering::SeqCst) {
                        if !this.quiet.load(Ordering::SeqCst) {
                            this.write(replica, key).await;
                        }
                        pause = pause * 7 % 97;
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                });
            }
        }
        tasks
    }

    /// Once the cache is used again it is read for a while before anybody writes.
    async fn read_only(&self) {
        eventually("both replicas use the cache again", async || {
            self.caches.iter().all(|cache| cache.is_in_use())
        })
        .await;
        pass(Duration::from_millis(500)).await;
        self.quiet.store(false, Ordering::SeqCst);
    }

    async fn end(self: &Arc<Self>, mut tasks: JoinSet<()>) {
        eventually("both replicas use the cache again", async || {
            self.caches.iter().all(|cache| cache.is_in_use())
        })
        .await;
        let (reads, loads) = (self.reads.load(Ordering::SeqCst), self.loads.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let (all, loaded) = (self.reads.load(Ordering::SeqCst), self.loads.load(Ordering::SeqCst));
        let writes = self.writes.load(Ordering::SeqCst);
        println!("{all} reads, {loaded} loads, {writes} writes, slowest {:?}", self.slowest.lock().unwrap());
        assert!(loaded - loads < all - reads, "the cache is of use again");
        assert!(*self.slowest.lock().unwrap() < Duration::from_secs(5));
    }
}

fn start(dir: &Path) -> Server {
    tokio::task::block_in_place(|| Server::start(Engine::Redis, dir).unwrap())
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn killed(name: &str, local_bytes: u64, away: Duration) {
    let dir = fresh(name);
    let mut server = start(&dir);
    let world = World::new(&server, local_bytes).await;
    let tasks = world.start();
    for _ in 0..2 {
        pass(Duration::from_millis(1500)).await;
        server.kill().unwrap();
        pass(away).await;
        world.quiet.store(away > LONG, Ordering::SeqCst);
        server = start(&dir);
        pass(Duration::from_secs(2)).await;
        world.read_only().await;
    }
    world.end(tasks).await;
    server.stop().unwrap();
}

async fn paused(name: &str, local_bytes: u64) {
    let server = start(&fresh(name));
    let world = World::new(&server, local_bytes).await;
    let tasks = world.start();
    for away in [300, 900, 1400, 1700, 4000] {
        pass(Duration::from_secs(1)).await;
        server.pause().unwrap();
        let away = Duration::from_millis(away);
        pass(away).await;
        world.quiet.store(away > LONG, Ordering::SeqCst);
        server.resume().unwrap();
        pass(Duration::from_secs(2)).await;
        world.read_only().await;
    }
    world.end(tasks).await;
    server.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_there_again_at_once() {
    killed("killed-briefly", 0, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_away_for_long() {
    killed("killed-long", 0, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_a_layer() {
    killed("killed-layer", 1 << 20, Duration::from_millis(700)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_for_a_while() {
    paused("paused-cache", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_behind_a_layer() {
    paused("paused-layer", 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn set_back_to_what_it_had_seconds_ago() {
    let dir = fresh("set-back");
    let server = start(&dir);
    let world = World::new(&server, 1 << 20).await;
    let tasks = world.start();
    pass(Duration::from_millis(1500)).await;
    let (files, then) = (dir.join("appendonlydir"), dir.join("then"));
    copy(&files, &then);
    pass(Duration::from_millis(1500)).await;
    server.kill().unwrap();
    world.quiet.store(true, Ordering::SeqCst);
    std::fs::remove_dir_all(&files).unwrap();
    std::fs::rename(&then, &files).unwrap();
    let server = start(&dir);
    pass(Duration::from_secs(2)).await;
    world.read_only().await;
    world.end(tasks).await;
    server.stop().unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
