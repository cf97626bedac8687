//! Measures pages of a very long list: 100 members at the start, and at offset 40,000,000 of 50 million, by offset and by cursor.
//! Prints one JSON line; times are microseconds.
//!
//! `cargo run --release -p riskmesh-store-embedded --example deep_page [DIRECTORY [MEMBERS]]`

#![allow(clippy::expect_used, reason = "a benchmark ends where it fails")]

use futures::FutureExt as _;
use futures::future::BoxFuture;
use riskmesh_core::SystemClock;
use riskmesh_store_embedded::{Embedded, Options, sort_partitions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::list::{self, BLOCK, List, Lists, Ordinal};
use store::{Batch, Error, Values, upsert, upsert_statics};

const LIMIT: usize = 100;
const PAGES: u64 = 5000;

fn main() {
    let mut args = std::env::args().skip(1);
    let parent = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let members: u64 = args.next().map_or(50_000_000, |text| text.parse().expect("MEMBERS is a number"));
    let deep = members / 5 * 4;
    let directory = tempfile::tempdir_in(parent).expect("a directory to write to");
    let options = Options::new(directory.path(), list::TABLES.iter().copied());
    let store = Embedded::open(options).expect("open");

    let start = Instant::now();
    fill(&store, members);
    let filled = start.elapsed().as_secs_f64();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let lists = Lists::new(Arc::new(store), Arc::new(SystemClock));
    let all = List::new("bench", "all");
    runtime.block_on(async {
        let start = Instant::now();
        assert_eq!(lists.total(&all).await.expect("total"), members);
        let loaded = start.elapsed().as_micros();
        let by_offset = |offset: u64| lists.page_by_offset(&all, offset, LIMIT).boxed();
        let by_cursor =
            |offset: u64| lists.page_after(&all, offset.checked_sub(1).map(Ordinal), LIMIT).boxed();
        let offset_first = measure(&by_offset, |_| 0).await;
        let offset_deep = measure(&by_offset, |_| deep).await;
        let offset_spread =
            measure(&by_offset, |page| deep + page * 1999 % (members - deep - LIMIT as u64 + 1)).await;
        let cursor_first = measure(&by_cursor, |_| 0).await;
        let cursor_deep = measure(&by_cursor, |_| deep).await;
        println!(
            "{{\"bench\":\"deep_page\",\"members\":{members},\"offset\":{deep},\"limit\":{LIMIT},\
             \"fill_s\":{filled:.1},\"load_counts_us\":{loaded},\"first_by_offset\":{},\"deep_by_offset\":{},\
             \"spread_by_offset\":{},\"first_by_cursor\":{},\"deep_by_cursor\":{},\
             \"ratio_by_offset\":{:.2},\"ratio_by_cursor\":{:.2}}}",
            show(&offset_first),
            show(&offset_deep),
            show(&offset_spread),
            show(&cursor_first),
            show(&cursor_deep),
            ratio(&offset_deep, &offset_first),
            ratio(&cursor_deep, &cursor_first),
        );
    });
}

/// Writes the blocks of a list and their counts, as they would stand after that many members have come and none has gone.
fn fill(store: &Embedded, members: u64) {
    let blocks = members.div_ceil(BLOCK);
    let mut partitions: Vec<Values> =
        (0..blocks).map(|block| ("bench", "all", block as i32).into()).collect();
    sort_partitions(&list::ENTRIES, &mut partitions);
    let entries = partitions.iter().flat_map(|partition| {
        let store::Value::Int(block) = partition.as_slice()[2] else { unreachable!("it was written above") };
        let first = block as u64 * BLOCK;
        let count = BLOCK.min(members - first);
        // The stored form of a bitmap whose first `count` bits are set.
        let live = [&[0], (count as u16).to_be_bytes().as_slice()].concat();
        let statics = Batch::new(&list::ENTRIES, partition).with(upsert_statics().set("live", live));
        let rows = (0..count).map(move |pos| {
            let member = format!("{:010}", first + pos);
            Batch::new(&list::ENTRIES, partition).with(upsert(pos as i32).set("member", member))
        });
        std::iter::once(statics).chain(rows)
    });
    store.ingest(&list::ENTRIES, entries).expect("ingest entries");
    let counts = (0..blocks).map(|block| {
        let count = BLOCK.min(members - block * BLOCK) as i32;
        Batch::new(&list::COUNTS, ("bench", "all")).with(upsert((block as i32, 0_i64)).set("count", count))
    });
    store.ingest(&list::COUNTS, counts).expect("ingest counts");
}

/// Times of many pages, after some to warm up.
async fn measure<'a>(
    read: &dyn Fn(u64) -> BoxFuture<'a, Result<list::Page, Error>>,
    offset: impl Fn(u64) -> u64,
) -> Vec<Duration> {
    let mut times = Vec::new();
    for page in 0..PAGES + PAGES / 10 {
        let offset = offset(page);
        let start = Instant::now();
        let found = read(offset).await.expect("page");
        let time = start.elapsed();
        assert_eq!(found.items.len(), LIMIT);
        assert_eq!(found.items[0].1.as_str(), format!("{offset:010}"));
        if page >= PAGES / 10 {
            times.push(time);
        }
    }
    times.sort_unstable();
    times
}

fn micros(times: &[Duration], quantile: f64) -> f64 {
    let rank = (times.len() as f64 * quantile).ceil() as usize;
    times[rank.saturating_sub(1)].as_secs_f64() * 1e6
}

fn show(times: &[Duration]) -> String {
    format!("{{\"p50\":{:.1},\"p99\":{:.1}}}", micros(times, 0.5), micros(times, 0.99))
}

fn ratio(deep: &[Duration], first: &[Duration]) -> f64 {
    micros(deep, 0.5) / micros(first, 0.5)
}
