//! Lists over the embedded store: against a model, across processes, across crashes, behind a network that fails.
#![allow(clippy::unwrap_used, reason = "tests")]

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proptest::prelude::*;
use riskmesh_core::{ManualClock, Timestamp};
use riskmesh_store_embedded::{Embedded, Options};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::faulty::{Faults, Faulty};
use store::list::{BLOCK, COUNTS, List, Lists, Ordinal, Page, TABLES};
use store::{Batch, Cas, Error, Get, Outcome, Row, Scan, Store, TokenPage, TokenScan};

struct World {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
        let tables = TABLES.iter().copied();
        let options = Options::new(directory.path(), tables).clock(clock.clone()).sweep_every(None);
        let store = Arc::new(Embedded::open(options).unwrap());
        Self { store, clock, _directory: directory }
    }

    /// A process that has just started.
    fn process(&self) -> Lists {
        Lists::new(self.store.clone(), self.clock.clone())
    }

    /// Lets time pass until a process has seen everything that others have done.
    async fn catch_up(&self, process: &Lists) {
        self.clock.advance(Duration::from_secs(6));
        process.maintain().await.unwrap();
    }

    /// The stored counts, and the number of marks.
    async fn stored(&self, list: (&str, &str)) -> (BTreeMap<i32, i32>, usize) {
        let page = self.store.scan(Scan::new(&COUNTS, list, 1000)).await.unwrap();
        let (counts, marks): (Vec<_>, Vec<_>) =
            page.rows.iter().partition(|row| row.bigint("owner").unwrap() == 0);
        let counts = counts.iter().map(|row| (row.int("block").unwrap(), row.int("count").unwrap()));
        (counts.collect(), marks.len())
    }
}

fn members() -> List {
    List::new("tenant", "members")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Every item, page by page, by following `next`.
async fn walk(lists: &Lists, list: &List, limit: usize) -> Vec<(u64, String)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = lists.page_after(list, after, limit).await.unwrap();
        found.extend(items(&page));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn items(page: &Page) -> Vec<(u64, String)> {
    page.items.iter().map(|(ordinal, member)| (ordinal.0, member.to_string())).collect()
}

/// Ordinals around the edges of four blocks.
fn ordinal() -> impl Strategy<Value = u64> {
    (0..4_u64, prop_oneof![0..6_u64, BLOCK - 6..BLOCK, Just(2000)])
        .prop_map(|(block, pos)| block * BLOCK + pos)
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    InsertMany(Vec<u64>),
    Remove(u64),
    ByOffset(u64, usize),
    After(Option<u64>, usize),
    Maintain,
    /// The process dies and another takes its place.
    Restart,
    /// The other process goes on.
    Switch,
    Rebuild,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => ordinal().prop_map(Step::Insert),
        2 => prop::collection::vec(ordinal(), 1..8).prop_map(Step::InsertMany),
        5 => ordinal().prop_map(Step::Remove),
        4 => (0..30_u64, 1..6_usize).prop_map(|(offset, limit)| Step::ByOffset(offset, limit)),
        4 => (prop::option::of(ordinal()), 1..6_usize).prop_map(|(after, limit)| Step::After(after, limit)),
        2 => Just(Step::Maintain),
        1 => Just(Step::Restart),
        1 => Just(Step::Switch),
        1 => Just(Step::Rebuild),
    ]
}

/// A member's name says where it belongs, so that a wrong place shows.
fn name(ordinal: u64) -> String {
    format!("member {ordinal}")
}

async fn run(world: &World, list: List, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut processes = [world.process(), world.process()];
    let mut model: BTreeMap<u64, String> = BTreeMap::new();
    let mut at = 0;
    for step in steps {
        let lists = &processes[at];
        match step {
            Step::Insert(ordinal) => {
                lists.insert(&list, Ordinal(ordinal), &name(ordinal)).await.unwrap();
                model.insert(ordinal, name(ordinal));
            }
            Step::InsertMany(ordinals) => {
                let changes = ordinals.iter().map(|o| (Ordinal(*o), Some(name(*o).into())));
                lists.change(&list, changes).await.unwrap();
                model.extend(ordinals.into_iter().map(|ordinal| (ordinal, name(ordinal))));
            }
            Step::Remove(ordinal) => {
                lists.remove(&list, Ordinal(ordinal)).await.unwrap();
                model.remove(&ordinal);
            }
            Step::ByOffset(offset, limit) => {
                let page = lists.page_by_offset(&list, offset, limit).await.unwrap();
                let all: Vec<_> = model.clone().into_iter().collect();
                let rest = all.get(offset as usize..).unwrap_or_default();
                prop_assert_eq!(items(&page), rest.iter().take(limit).cloned().collect::<Vec<_>>());
                let more = rest.len() > limit;
                prop_assert_eq!(page.next.map(|next| next.0), more.then(|| rest[limit - 1].0));
            }
            Step::After(after, limit) => {
                let page = lists.page_after(&list, after.map(Ordinal), limit).await.unwrap();
                let rest: Vec<_> =
                    model.clone().into_iter().filter(|(o, _)| after.is_none_or(|after| *o > after)).collect();
                prop_assert_eq!(items(&page), rest.iter().take(limit).cloned().collect::<Vec<_>>());
                let more = rest.len() > limit;
                prop_assert_eq!(page.next.map(|next| next.0), more.then(|| rest[limit - 1].0));
            }
            Step::Maintain => {
                world.clock.advance(Duration::from_secs(3));
                lists.maintain().await.unwrap();
            }
            Step::Restart => processes[at] = world.process(),
            Step::Switch => {
                at = 1 - at;
                // A process that has not read the list yet need not catch up.
                world.catch_up(&processes[at]).await;
            }
            Step::Rebuild => {
                prop_assert_eq!(lists.rebuild(&list).await.unwrap(), model.len() as u64);
            }
        }
        prop_assert_eq!(processes[at].total(&list).await.unwrap(), model.len() as u64);
    }
    prop_assert_eq!(walk(&processes[at], &list, 3).await, model.into_iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn lists_agree_with_an_ordered_map() {
    let (runtime, world) = (runtime(), World::new());
    let mut number = 0;
    let mut next = || {
        number += 1;
        List::new("tenant", format!("list {number}").as_str())
    };
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 128, ..Default::default() });
    let next = std::cell::RefCell::new(&mut next);
    let outcome = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        let list = (next.borrow_mut())();
        runtime.block_on(run(&world, list, steps))
    });
    outcome.unwrap();
}

#[test]
fn reserved_ordinals_rise_and_are_never_given_twice() {
    runtime().block_on(async {
        let world = World::new();
        let (one, two) = (world.process(), world.process());
        let mut given = Vec::new();
        for lists in [&one, &two, &one] {
            let mut last = None;
            for _ in 0..6000 {
                let ordinal = lists.reserve(&members()).await.unwrap();
                assert!(last < Some(ordinal));
                last = Some(ordinal);
                given.push(ordinal);
            }
        }
        let unused = given.iter().max().unwrap().0 + 1 - given.len() as u64;
        assert!(unused < 3 * BLOCK, "{unused} ordinals are wasted");
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 18_000);
    });
}

#[test]
fn an_ordinal_belongs_to_one_member() {
    runtime().block_on(async {
        let world = World::new();
        let lists = world.process();
        let ordinal = lists.append(&members(), "first").await.unwrap();
        lists.insert(&members(), ordinal, "first").await.unwrap();
        let error = lists.insert(&members(), ordinal, "second").await.unwrap_err();
        assert!(matches!(error, Error::Request { .. }), "{error}");
        let changes = [(Ordinal(ordinal.0 + 1), Some("third".into())), (ordinal, Some("second".into()))];
        lists.change(&members(), changes).await.unwrap_err();
        assert_eq!(walk(&lists, &members(), 10).await, [(ordinal.0, "first".to_owned())]);
        lists.remove(&members(), ordinal).await.unwrap();
        lists.remove(&members(), ordinal).await.unwrap();
        lists.insert(&members(), ordinal, "second").await.unwrap();
        assert_eq!(walk(&lists, &members(), 10).await, [(ordinal.0, "second".to_owned())]);
        lists.insert(&members(), Ordinal(u64::MAX), "far").await.unwrap_err();
    });
}

#[test]
fn counts_are_settled_when_blocks_come_to_rest() {
    runtime().block_on(async {
        let world = World::new();
        let lists = world.process();
        for ordinal in [0, 1, 2, BLOCK, 9 * BLOCK] {
            lists.insert(&members(), Ordinal(ordinal), &name(ordinal)).await.unwrap();
        }
        lists.maintain().await.unwrap();
        assert_eq!(world.stored(("tenant", "members")).await, (BTreeMap::new(), 3), "too early");
        world.clock.advance(Duration::from_secs(3));
        lists.remove(&members(), Ordinal(BLOCK)).await.unwrap();
        lists.maintain().await.unwrap();
        assert_eq!(world.stored(("tenant", "members")).await, (BTreeMap::from([(0, 3), (9, 1)]), 1));
        world.clock.advance(Duration::from_secs(3));
        lists.maintain().await.unwrap();
        let settled = BTreeMap::from([(0, 3), (1, 0), (9, 1)]);
        assert_eq!(world.stored(("tenant", "members")).await, (settled.clone(), 0));

        // A process that dies leaves a mark; another counts right at once, and cleans up when the mark is old.
        let dead = world.process();
        dead.insert(&members(), Ordinal(BLOCK + 7), "late").await.unwrap();
        drop(dead);
        let other = world.process();
        assert_eq!(other.total(&members()).await.unwrap(), 5);
        world.clock.advance(Duration::from_mins(11));
        assert_eq!(other.total(&members()).await.unwrap(), 5);
        other.maintain().await.unwrap();
        let mut settled = settled;
        settled.insert(1, 1);
        assert_eq!(world.stored(("tenant", "members")).await, (settled, 0));
    });
}

#[test]
fn processes_share_blocks_behind_a_failing_network() {
    const TASKS: u64 = 8;
    const EACH: u64 = 60;
    let faults = Faults { unknown_done: 10, unknown_lost: 10, read_timeout: 10 };
    runtime().block_on(async {
        let world = World::new();
        let processes = [1, 2].map(|seed| {
            let faulty = Faulty::new(world.store.clone(), faults, seed);
            Lists::new(Arc::new(faulty), world.clock.clone())
        });
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (lists, list) = (processes[task as usize % 2].clone(), members());
                tokio::spawn(async move {
                    for number in 0..EACH {
                        // All tasks work on the same two blocks.
                        let ordinal = Ordinal(number % 2 * BLOCK + number / 2 * TASKS + task);
                        retried(|| lists.insert(&list, ordinal, "somebody")).await;
                        if number % 3 == 0 {
                            retried(|| lists.remove(&list, ordinal)).await;
                        }
                        if number % 7 == 0 {
                            // Faults are part of this: the counts are settled later.
                            let _ = lists.maintain().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let expected = TASKS * (0..EACH).filter(|number| number % 3 != 0).count() as u64;
        world.clock.advance(Duration::from_secs(6));
        for lists in &processes {
            retried(|| lists.maintain()).await;
        }
        let fresh = world.process();
        assert_eq!(fresh.total(&members()).await.unwrap(), expected);
        assert_eq!(walk(&fresh, &members(), 100).await.len() as u64, expected);
        let (counts, marks) = world.stored(("tenant", "members")).await;
        assert_eq!(counts.values().map(|count| *count as u64).sum::<u64>(), expected);
        assert_eq!(marks, 0);
    });
}

#[test]
fn a_dropped_change_is_not_made_late() {
    runtime().block_on(async {
        let world = World::new();
        let lists = world.process();
        for number in 0..200_u64 {
            let (list, ordinal) = (members(), Ordinal(number));
            {
                // Polled once, then dropped: made or not, but not later.
                let insert = std::pin::pin!(lists.insert(&list, ordinal, "dropped"));
                let _ = futures::poll!(insert);
            }
            lists.remove(&list, ordinal).await.unwrap();
            assert_eq!(lists.page_after(&list, None, 10).await.unwrap(), Page::default());
        }
        assert_eq!(lists.total(&members()).await.unwrap(), 0);
    });
}

#[test]
fn a_process_sees_its_own_changes_at_once_while_it_reads_the_counts() {
    runtime().block_on(async {
        let world = World::new();
        let lists = world.process();
        let reader = {
            let (lists, clock) = (lists.clone(), world.clock.clone());
            tokio::spawn(async move {
                loop {
                    // Time passes for the reading of counts, not long enough for blocks to rest.
                    clock.advance(Duration::from_millis(1));
                    let _ = lists.rebuild(&members()).await;
                    tokio::task::yield_now().await;
                }
            })
        };
        for number in 0..400 {
            lists.insert(&members(), Ordinal(number * 100), "somebody").await.unwrap();
            assert_eq!(lists.total(&members()).await.unwrap(), number + 1);
        }
        reader.abort();
    });
}

/// A store in which something happens just before the first conditional write of a count.
struct Interrupted {
    store: Arc<dyn Store>,
    interruption: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl Store for Interrupted {
    async fn get(&self, get: Get) -> Result<Option<Row>, Error> {
        self.store.get(get).await
    }

    async fn scan(&self, scan: Scan) -> Result<store::Page, Error> {
        self.store.scan(scan).await
    }

    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error> {
        self.store.apply(batches).await
    }

    async fn cas(&self, cas: Cas) -> Result<Outcome, Error> {
        let is_count = std::ptr::eq(cas.table, &raw const COUNTS);
        let interruption = if is_count { self.interruption.lock().unwrap().take() } else { None };
        if let Some(interruption) = interruption {
            interruption.await;
        }
        self.store.cas(cas).await
    }

    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error> {
        self.store.token_scan(scan).await
    }
}

#[test]
fn a_slow_process_cannot_leave_an_old_count_behind() {
    runtime().block_on(async {
        let world = World::new();
        let quick = world.process();
        let interruption = {
            let clock = world.clock.clone();
            async move {
                quick.insert(&members(), Ordinal(1), "second").await.unwrap();
                clock.advance(Duration::from_secs(3));
                quick.maintain().await.unwrap();
            }
        };
        let interruption = Mutex::new(Some(interruption.boxed()));
        let store = Interrupted { store: world.store.clone(), interruption };
        let slow = Lists::new(Arc::new(store), world.clock.clone());
        slow.insert(&members(), Ordinal(0), "first").await.unwrap();
        world.clock.advance(Duration::from_secs(3));
        slow.maintain().await.unwrap();
        assert_eq!(world.stored(("tenant", "members")).await, (BTreeMap::from([(0, 2)]), 0));
        assert_eq!(slow.total(&members()).await.unwrap(), 2);
    });
}

async fn retried<T, F: Future<Output = Result<T, Error>>>(mut call: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.retryable(), "{error}"),
        }
    }
    panic!("1000 calls failed in a row");
}
