//! Kill -9 at any moment: every acknowledged write is there afterwards, no batch is half there, and the store goes on.
//!
//! The test starts itself as a child that writes and reports each acknowledgement on its standard output, kills it after some
//! of them, and looks at what is on the disk; again and again on the same directory. `RISKMESH_CRASH_ROUNDS` asks for more
//! rounds than the few of a normal run. Another child does no more than open a store in a new directory, and is killed there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use riskmesh_core::SystemClock;
use riskmesh_store_embedded::{Embedded, Options};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use store::list::{List, Lists, Ordinal};
use store::{
    Batch, Cas, Get, Outcome, Scan, Store, Table, asc, bigint, int, list, text, upsert, upsert_statics,
};

/// One partition a client: rows come in groups of three, one batch each, and the static counts the groups.
static GROUPS: Table = Table::new("groups", &[text("client")])
    .clustering(&[asc(bigint("group")), asc(int("part"))])
    .statics(&[bigint("groups")])
    .values(&[text("payload")]);
/// One counter a client, raised by conditional writes.
static COUNTERS: Table = Table::new("counters", &[text("client")]).values(&[bigint("count")]);

const CLIENTS: usize = 6;
const DIRECTORY: &str = "RISKMESH_CRASH_DIRECTORY";
const NEW_DIRECTORY: &str = "RISKMESH_CRASH_NEW_DIRECTORY";
const MARK: &str = "acknowledged";

fn open(directory: &Path) -> Embedded {
    let tables = list::TABLES.iter().copied().chain([&GROUPS, &COUNTERS]);
    // Small memtables: flushes and compactions are under way when the process dies.
    Embedded::open(Options::new(directory, tables).memtable_bytes(256 << 10)).unwrap()
}

fn members() -> List {
    List::new("tenant", "members")
}

/// A payload that tells its group, of a length that makes memtables fill up.
fn payload(group: i64) -> String {
    format!("{group:-<400}")
}

/// What the child runs; as a test of its own it has nothing to do.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store: Arc<dyn Store> = Arc::new(open(Path::new(&directory)));
    let lists = Lists::new(store.clone(), Arc::new(SystemClock));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(write_for_ever(store.clone(), lists.clone(), client));
        }
        clients.join_next().await.unwrap().unwrap();
    });
}

/// What the other child runs.
#[test]
fn opening_child() {
    let Ok(directory) = std::env::var(NEW_DIRECTORY) else { return };
    println!("\n{MARK} start");
    drop(open(Path::new(&directory)));
    println!("\n{MARK} end");
}

async fn write_for_ever(store: Arc<dyn Store>, lists: Lists, client: usize) {
    let partition = format!("client {client}");
    let row = store.get(Get::statics(&GROUPS, partition.as_str())).await.unwrap();
    let mut group = row.map_or(0, |row| row.bigint("groups").unwrap());
    loop {
        group += 1;
        let mut batch = Batch::new(&GROUPS, partition.as_str()).with(upsert_statics().set("groups", group));
        for part in 0..3 {
            batch = batch.with(upsert((group, part)).set("payload", payload(group)));
        }
        store.apply(vec![batch]).await.unwrap();
        acknowledge("group", client, group);

        let count = group - 1;
        let cas = Cas::new(&COUNTERS, partition.as_str())
            .if_equals((), "count", (count > 0).then_some(count))
            .with(upsert(()).set("count", group));
        match store.cas(cas).await.unwrap() {
            Outcome::Applied => acknowledge("count", client, group),
            // The run before died between the two writes of a group, or between write and acknowledgement.
            Outcome::Conflict(current) => {
                let found = current.row(()).map_or(0, |row| row.bigint("count").unwrap());
                assert!((count - 1..=group).contains(&found), "{found} at {group}");
                let fix = Cas::new(&COUNTERS, partition.as_str())
                    .if_equals((), "count", (found > 0).then_some(found))
                    .with(upsert(()).set("count", group));
                assert_eq!(store.cas(fix).await.unwrap(), Outcome::Applied);
            }
            Outcome::Unknown => panic!("the writer is alive"),
        }

        let ordinal = Ordinal(group as u64 * CLIENTS as u64 + client as u64);
        lists.insert(&members(), ordinal, &partition).await.unwrap();
        acknowledge("member", client, group);
    }
}

fn acknowledge(kind: &str, client: usize, number: i64) {
    // One write call a line, so that a killed process leaves no half of one that matters.
    let line = format!("{MARK} {kind} {client} {number}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// The numbers that were acknowledged, by kind and client.
type Acknowledged = HashMap<(String, usize), BTreeSet<i64>>;

fn start(test: &str, variable: &str, directory: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

fn run_and_kill(directory: &Path, acknowledgements: usize, all: &mut Acknowledged) {
    let (mut child, mut lines) = start("child", DIRECTORY, directory);
    let mut seen = 0;
    let mut note = |line: &str| {
        // The test harness prints before the first line, without a newline.
        let Some(at) = line.find(MARK) else { return false };
        let fields: Vec<&str> = line[at..].split(' ').collect();
        let [_, kind, client, number] = fields[..] else { return false };
        let key = (kind.to_owned(), client.parse().unwrap());
        all.entry(key).or_default().insert(number.parse().unwrap())
    };
    while seen < acknowledgements {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        seen += usize::from(note(&line));
    }
    // SIGKILL on Unix. What it had acknowledged until then is still in the pipe.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
    // The last line may have been cut.
    rest.pop();
    for line in rest {
        note(&line);
    }
}

async fn look(directory: &Path, all: &Acknowledged) {
    let store: Arc<dyn Store> = Arc::new(open(directory));
    let lists = Lists::new(store.clone(), Arc::new(SystemClock));
    let mut members_by_client = vec![Vec::new(); CLIENTS];
    let mut after = None;
    loop {
        let page = lists.page_after(&members(), after, 1000).await.unwrap();
        for (ordinal, member) in &page.items {
            let client = (ordinal.0 % CLIENTS as u64) as usize;
            assert_eq!(member.as_str(), format!("client {client}"));
            members_by_client[client].push((ordinal.0 / CLIENTS as u64) as i64);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let total: usize = members_by_client.iter().map(Vec::len).sum();
    assert_eq!(lists.total(&members()).await.unwrap(), total as u64);

    for (client, members) in members_by_client.iter().enumerate() {
        let partition = format!("client {client}");
        let acknowledged = |kind: &str| all.get(&(kind.to_owned(), client)).cloned().unwrap_or_default();
        let last = |kind: &str| acknowledged(kind).last().copied().unwrap_or(0);
        let statics = store.get(Get::statics(&GROUPS, partition.as_str())).await.unwrap();
        let groups = statics.map_or(0, |row| row.bigint("groups").unwrap());
        assert!(groups >= last("group"), "client {client}: {groups} groups are there");

        let (mut parts, mut scan) = (0, Scan::new(&GROUPS, partition.as_str(), 1000));
        loop {
            let page = store.scan(scan.clone()).await.unwrap();
            for row in &page.rows {
                let (group, part) = (parts / 3 + 1, parts % 3);
                assert_eq!(
                    (row.bigint("group").unwrap(), i64::from(row.int("part").unwrap())),
                    (group, part)
                );
                assert_eq!(row.text("payload").unwrap(), payload(group));
                parts += 1;
            }
            if !page.more {
                break;
            }
            scan.after = page.rows.last().unwrap().clustering();
        }
        assert_eq!(parts, groups * 3, "client {client}: batches are whole");

        let row = store.get(Get::row(&COUNTERS, partition.as_str(), ())).await.unwrap();
        let count = row.map_or(0, |row| row.bigint("count").unwrap());
        assert!(count >= last("count") && count <= groups, "client {client}: counted {count}");

        let there: BTreeSet<i64> = members.iter().copied().collect();
        let gone: Vec<_> = acknowledged("member").difference(&there).copied().collect();
        assert!(gone.is_empty(), "client {client}: members {gone:?} are gone");
    }
}

fn rounds() -> usize {
    std::env::var("RISKMESH_CRASH_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap())
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut all = Acknowledged::new();
    // Any numbers that differ will do.
    let mut moment = 1;
    for round in 0..rounds() {
        run_and_kill(directory.path(), moment, &mut all);
        runtime.block_on(look(directory.path(), &all));
        moment = moment * 13 % 4001 + 1 + round;
    }
    assert!(all.len() == 3 * CLIENTS);
}

#[test]
fn a_store_whose_creation_was_cut_short_is_created() {
    const MOMENTS: u32 = 60;
    let start_opening = |directory: &Path| {
        let (child, mut lines) = start("opening_child", NEW_DIRECTORY, directory);
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line.ends_with("start")));
        (child, lines)
    };
    let is_whole = |lines: Lines<BufReader<ChildStdout>>| {
        lines.map_while(Result::ok).filter(|line| line.ends_with("end")).count() > 0
    };
    let directory = tempfile::tempdir().unwrap();
    let (mut child, lines) = start_opening(directory.path());
    let begin = Instant::now();
    assert!(is_whole(lines));
    let whole = begin.elapsed();
    child.wait().unwrap();

    let mut cut_short = 0;
    for moment in 0..MOMENTS {
        let directory = tempfile::tempdir().unwrap();
        // Twice on the same directory: the second finds what the first left.
        for _ in 0..2 {
            let (mut child, lines) = start_opening(directory.path());
            // The moment of the crash; the first steps are the shortest.
            std::thread::sleep(whole * moment * moment / (MOMENTS * MOMENTS));
            child.kill().unwrap();
            child.wait().unwrap();
            cut_short += u32::from(!is_whole(lines));
        }
        drop(open(directory.path()));
    }
    assert!(cut_short > MOMENTS / 2, "only {cut_short} were cut short");
}
