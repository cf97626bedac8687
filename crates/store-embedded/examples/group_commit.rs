//! Measures durable writes: one client that waits for each sync and 64 clients that share syncs, several times in turn, so that
//! a disk that is slow for a while is slow for both; then a bulk writer that hands over thousands of conditional writes at
//! once. Prints one JSON line: rates over all turns, and the median, least and greatest ratio of a turn.
//!
//! `cargo run --release -p riskmesh-store-embedded --example group_commit [DIRECTORY [SECONDS]]`

#![allow(clippy::expect_used, reason = "a benchmark ends where it fails")]

use riskmesh_store_embedded::{Embedded, Options};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Batch, Cas, Outcome, Store, Table, asc, bigint, int, text, upsert};

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Shaped like the rows that an import writes.
static ENTRIES: Table = Table::new("entries", &[text("tenant"), text("account_id"), int("bucket")])
    .clustering(&[asc(bigint("ts")), asc(text("txn_id"))])
    .values(&[bigint("minor"), text("currency"), text("counterparty")]);
static IDS: Table =
    Table::new("ids", &[text("tenant"), text("txn_id")]).values(&[text("account_id"), int("bucket")]);

const CLIENTS: u64 = 64;
/// How often one client and many take turns.
const TURNS: u32 = 5;
const IMPORT_BATCH: u64 = 16_384;

fn main() {
    let mut args = std::env::args().skip(1);
    let parent = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: u64 = args.next().map_or(3, |text| text.parse().expect("SECONDS is a number"));
    let time = Duration::from_secs(seconds);
    let directory = tempfile::tempdir_in(parent).expect("a directory to write to");
    let store = Embedded::open(Options::new(directory.path(), [&ENTRIES, &IDS])).expect("open");
    let store: Arc<dyn Store> = Arc::new(store);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");

    let turn = |turn| {
        let rate = |clients| runtime.block_on(writes(&store, clients, turn, time / TURNS));
        (rate(1), rate(CLIENTS))
    };
    let turns: Vec<(f64, f64)> = (0..TURNS).map(turn).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| turns.iter().map(of).sum::<f64>() / f64::from(TURNS);
    let mut ratios: Vec<f64> = turns.iter().map(|(serial, concurrent)| concurrent / serial).collect();
    ratios.sort_by(f64::total_cmp);
    let cas = runtime.block_on(import(&store, time));
    println!(
        "{{\"bench\":\"group_commit\",\"clients\":{CLIENTS},\"serial_writes_per_s\":{:.0},\
         \"concurrent_writes_per_s\":{:.0},\"ratio\":{:.2},\"ratio_min\":{:.2},\"ratio_max\":{:.2},\
         \"cas_many_mutations_per_s\":{cas:.0}}}",
        mean(|turn| turn.0),
        mean(|turn| turn.1),
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1],
    );
}

/// Writes a second by `clients` that each wait for their own write to be durable.
async fn writes(store: &Arc<dyn Store>, clients: u64, turn: u32, time: Duration) -> f64 {
    let (done, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (store, done) = (store.clone(), done.clone());
            tokio::spawn(async move {
                let account = format!("{turn}{clients:04}{client:05}");
                let mut ts = 0_i64;
                while start.elapsed() < time {
                    let row = upsert((ts, "t-0"))
                        .set("minor", ts)
                        .set("currency", "EUR")
                        .set("counterparty", "0000000000");
                    let batch = Batch::new(&ENTRIES, ("bench", account.as_str(), 0)).with(row);
                    store.apply(vec![batch]).await.expect("write");
                    done.fetch_add(1, Ordering::Relaxed);
                    ts += 1;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("client");
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// Mutations a second of two importers: for each transaction an id row, if absent, and an entry on each side.
async fn import(store: &Arc<dyn Store>, time: Duration) -> f64 {
    let (done, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks: Vec<_> = (0..2_u64)
        .map(|importer| {
            let (store, done) = (store.clone(), done.clone());
            tokio::spawn(async move {
                let mut next = importer << 40;
                while start.elapsed() < time {
                    let mut many = Vec::with_capacity(IMPORT_BATCH as usize);
                    for _ in 0..IMPORT_BATCH / 4 {
                        transaction(next, &mut many);
                        next += 1;
                    }
                    let mutations = many.len() as u64;
                    let outcomes = store.cas_many(many).await.expect("import");
                    assert!(outcomes.iter().all(Outcome::is_applied), "ids are new");
                    done.fetch_add(mutations, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("importer");
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn transaction(number: u64, many: &mut Vec<Cas>) {
    let id = format!("{number:016x}");
    // Accounts as spread out as in a bank, from a fixed mixing of the number.
    let account =
        |side: u64| format!("{:010}", (number + (side << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44);
    many.push(
        Cas::new(&IDS, ("bench", id.as_str()))
            .if_absent(())
            .with(upsert(()).set("account_id", account(0)).set("bucket", 24_307)),
    );
    for side in 0..3 {
        let key = (number as i64, id.as_str());
        many.push(
            Cas::new(&ENTRIES, ("bench", account(side), 24_307)).if_absent(key).with(
                upsert(key)
                    .set("minor", 12_345_i64)
                    .set("currency", "EUR")
                    .set("counterparty", account(side + 1)),
            ),
        );
    }
}
