//! `riskmesh import transactions` of generated data into a directory that nobody serves: once with accounts that exist, and once with
//! accounts that the import has to open on the way.

use super::Bench;
use crate::process;
use crate::report::Measurement;
use anyhow::Context as _;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Entries a second that must be recorded.
const ENTRIES_PER_S: f64 = 100_000.0;
/// How long one command may take.
const LIMIT: Duration = Duration::from_mins(30);
/// What `riskmesh generate` makes by itself: entries a client.
const ENTRIES_PER_CLIENT: u64 = 100;
/// How the columns of `riskmesh generate` become fields, as the product has it built in.
const NATURAL: &str = include_str!("../../../riskmesh/src/import/natural.toml");

/// Imports into two new directories.
pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let riskmesh = bench.riskmesh()?;
    let dir = bench.scratch()?;
    let path = |name: &str| dir.path().join(name);
    let (transactions, opening, creating) =
        (path("transactions.csv"), path("opening.csv"), path("creating.toml"));
    generate(&riskmesh, bench.args.transactions, &transactions)?;
    let accounts = write_opening(&transactions, &opening)?;
    std::fs::write(&creating, format!("missing-accounts = \"create\"\n{NATURAL}"))?;

    let created = import(&riskmesh, &transactions, Some(&creating), &path("created"))?;
    let existing = path("existing");
    import(&riskmesh, &opening, Some(&creating), &existing)?;
    let existed = import(&riskmesh, &transactions, None, &existing)?;
    Ok(vec![existed.measurement("existing", accounts), created.measurement("created on the way", accounts)])
}

fn generate(riskmesh: &Path, transactions: u64, output: &Path) -> anyhow::Result<()> {
    let clients = (transactions / ENTRIES_PER_CLIENT).max(10).to_string();
    let transactions = transactions.to_string();
    let output = output.to_str().context("the directory's name is not UTF-8")?;
    let args = [
        "generate",
        "transactions",
        "--clients",
        &clients,
        "--transactions",
        &transactions,
        "--output",
        output,
    ];
    process::run(riskmesh, &args, LIMIT).map(drop)
}

/// Writes a file with one entry of each account of another, under an id of its own, and gives how many there are. Importing it first
/// makes the accounts exist.
fn write_opening(transactions: &Path, opening: &Path) -> anyhow::Result<usize> {
    let mut lines = BufReader::new(File::open(transactions)?).lines();
    let mut out = BufWriter::new(File::create(opening)?);
    let header = lines.next().context("an empty file was generated")??;
    anyhow::ensure!(
        header.starts_with("transaction_id,account_id,"),
        "other columns than expected: {header}"
    );
    writeln!(out, "{header}")?;
    let mut seen = HashSet::new();
    for line in lines {
        let line = line?;
        let account = line.split(',').nth(1).context("a row without an account")?;
        if seen.insert(account.to_owned()) {
            writeln!(out, "opening-{line}")?;
        }
    }
    out.flush()?;
    Ok(seen.len())
}

/// What an import said, and how long the command took.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Imported {
    entries: u64,
    /// As printed: until everything is recorded.
    entries_per_s: f64,
    /// The whole command: with opening the store before, and the scores brought up to date after.
    wall: Duration,
}

fn import(riskmesh: &Path, file: &Path, mapping: Option<&Path>, data: &Path) -> anyhow::Result<Imported> {
    let mut args = vec!["import".as_ref(), "transactions".as_ref(), file.as_os_str()];
    if let Some(mapping) = mapping {
        args.extend(["--mapping".as_ref(), mapping.as_os_str()]);
    }
    args.extend(["--data-dir".as_ref(), data.as_os_str()]);
    let start = Instant::now();
    let said = process::run(riskmesh, &args, LIMIT)?;
    let wall = start.elapsed();
    let (entries, entries_per_s) = parse(&said).with_context(|| format!("not a summary: {said:?}"))?;
    Ok(Imported { entries, entries_per_s, wall })
}

/// Reads `R rows: N entries new, …` and `S s, T entries/s`.
fn parse(said: &str) -> Option<(u64, f64)> {
    let new = said.lines().find_map(|line| line.split_once(" rows: ")?.1.split_once(" entries new"));
    let rate = said.lines().find_map(|line| line.strip_suffix(" entries/s")?.split_once(" s, "));
    Some((new?.0.parse().ok()?, rate?.1.parse().ok()?))
}

impl Imported {
    fn measurement(self, which: &'static str, accounts: usize) -> Measurement {
        let met = self.entries_per_s >= ENTRIES_PER_S;
        Measurement::new("import", format!("entries_per_s >= {ENTRIES_PER_S}"), met)
            .with("accounts", which)
            .with("number_of_accounts", accounts)
            .with("entries", self.entries)
            .with_decimals("entries_per_s", self.entries_per_s)
            .with_decimals("wall_s", self.wall.as_secs_f64())
            .with_decimals("entries_per_wall_s", self.entries as f64 / self.wall.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let said = "504 rows: 1000 entries new, 0 there already, 4 rejected\n0.01 s, 99000 entries/s\nscores are up to date\n";
        assert_eq!(parse(said), Some((1000, 99_000.0)));
        assert_eq!(parse("resumed at line 7\n1 rows: 2 entries new, 0 there already, 0 rejected\n"), None);
    }

    #[test]
    fn the_opening_file_has_each_account_once() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from.csv"), dir.path().join("to.csv"));
        std::fs::write(&from, "transaction_id,account_id,x\na,1,\nb,2,\nc,1,\n").unwrap();
        assert_eq!(write_opening(&from, &to).unwrap(), 2);
        let written = std::fs::read_to_string(&to).unwrap();
        assert_eq!(written, "transaction_id,account_id,x\nopening-a,1,\nopening-b,2,\n");
    }
}
