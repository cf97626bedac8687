//! The embedded store by itself: its examples do the work, in a process of their own, and print their numbers as JSON.

use super::Bench;
use crate::process;
use crate::report::Measurement;
use anyhow::Context as _;
use serde_json::Value;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// What 64 clients must do, against one-at-a-time syncs.
const WRITES_RATIO: f64 = 20.0;
/// Bytes that the plain file gets before each sync: about what one row of an entry comes to in the journal.
const PLAIN_WRITE: usize = 160;
/// Such writes until the plain file starts again from its beginning.
const PLAIN_WRITES: usize = 100_000;
/// What a deep page may take, in microseconds.
const PAGE_P99_US: f64 = 2000.0;
/// And against page one.
const PAGE_RATIO: f64 = 1.2;
/// How long making 50 million rows and reading pages may take.
const PAGE_LIMIT: Duration = Duration::from_mins(30);

/// Durable writes: 64 clients that share syncs, against one client of the same store, which syncs one at a time, in turns; the goal is
/// about the median of their ratios. A plain file that is overwritten and synced in a loop is reported beside: nothing that grows can be as fast.
pub(super) fn durable_writes(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let example = bench.storage_example("group_commit")?;
    let dir = bench.scratch()?;
    let time = bench.args.time();
    let plain = plain_syncs(&dir.path().join("plain"), time)?;
    let args = [dir.path().as_os_str(), bench.args.seconds.to_string().as_ref()].map(ToOwned::to_owned);
    // Three times that time, and opening and closing.
    let numbers = json(&process::run(&example, &args, time * 3 + Duration::from_mins(2))?)?;
    let serial = number(&numbers, "/serial_writes_per_s")?;
    let concurrent = number(&numbers, "/concurrent_writes_per_s")?;
    let ratio = number(&numbers, "/ratio")?;
    let measurement =
        Measurement::new("durable_writes", format!("ratio >= {WRITES_RATIO}"), ratio >= WRITES_RATIO)
            .with("clients", numbers["clients"].clone())
            .with_decimals("writes_per_s", concurrent)
            .with_decimals("one_client_writes_per_s", serial)
            .with_decimals("plain_file_syncs_per_s", plain)
            .with_decimals("ratio_to_plain_file", concurrent / plain)
            .with_decimals("ratio_min", number(&numbers, "/ratio_min")?)
            .with_decimals("ratio_max", number(&numbers, "/ratio_max")?)
            .with_decimals("ratio", ratio);
    Ok(vec![measurement])
}

/// Writes a piece of a file and syncs, one after the other; gives how often a second. The file has its length beforehand, so that a
/// sync is about the data alone, which is the fastest that there is.
fn plain_syncs(path: &Path, time: Duration) -> anyhow::Result<f64> {
    let mut file = File::create(path).context("create a file to sync")?;
    file.write_all(&vec![0; PLAIN_WRITE * PLAIN_WRITES])?;
    file.sync_all()?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        if count % PLAIN_WRITES == 0 {
            file.rewind()?;
        }
        file.write_all(&[0x5a; PLAIN_WRITE])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Pages of 100 members of a list, at four fifths of its length and at its start.
pub(super) fn deep_page(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let example = bench.storage_example("deep_page")?;
    let dir = bench.scratch()?;
    let args = [dir.path().as_os_str(), bench.args.rows.to_string().as_ref()].map(ToOwned::to_owned);
    let numbers = json(&process::run(&example, &args, PAGE_LIMIT)?)?;
    let page = |by: &'static str| -> anyhow::Result<Measurement> {
        let of = |page: &str, quantile: &str| number(&numbers, &format!("/{page}_by_{by}/{quantile}"));
        let (first, deep) = (of("first", "p99")?, of("deep", "p99")?);
        let ratio = deep / first;
        let goal = format!("deep_p99_us < {PAGE_P99_US}, ratio <= {PAGE_RATIO}");
        Ok(Measurement::new("deep_page", goal, deep < PAGE_P99_US && ratio <= PAGE_RATIO)
            .with("by", by)
            .with("rows", numbers["members"].clone())
            .with("offset", numbers["offset"].clone())
            .with("limit", numbers["limit"].clone())
            .with("first_p99_us", first)
            .with("deep_p99_us", deep)
            .with_decimals("ratio", ratio)
            .with_decimals("ratio_of_p50", of("deep", "p50")? / of("first", "p50")?))
    };
    // Pages all over the last fifth, most of them read from disk or the page cache: not part of the goal, but of the truth.
    let spread = number(&numbers, "/spread_by_offset/p99")?;
    let fill = number(&numbers, "/fill_s")?;
    Ok(vec![page("offset")?.with("spread_p99_us", spread).with("fill_s", fill), page("cursor")?])
}

/// The one JSON line that a program printed.
fn json(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text.trim()).with_context(|| format!("expected a line of JSON, not {text:?}"))
}

fn number(numbers: &Value, pointer: &str) -> anyhow::Result<f64> {
    numbers
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("no number {pointer} in {numbers}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_number_is_named() {
        let numbers = json("{\"a\":{\"p99\":2.5}}\n").unwrap();
        assert!((number(&numbers, "/a/p99").unwrap() - 2.5).abs() < f64::EPSILON);
        assert!(number(&numbers, "/b/p99").unwrap_err().to_string().contains("/b/p99"));
        assert!(json("no").is_err());
    }
}
