use super::run::Member;
use super::*;
use crate::embedded::Embedded;
use crate::partition;
use crate::record::{MAX_HEADERS, MAX_RECORD_BYTES, Record};
use crate::testing::{Disk, Fault, Faulty, TOPIC, eventually, key_of};
use crate::traits::{Fetch, Stored};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;

/// Notes what it was given, and does to each record what its payload says.
#[derive(Default)]
struct Notes {
    handled: Mutex<Vec<(u32, i64)>>,
    attempts: Mutex<BTreeMap<(u32, i64), usize>>,
    /// Whether the dependency of "unavailable" records is back.
    available: AtomicUsize,
}

#[async_trait]
impl Handler for Notes {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        for delivered in batch {
            let place = (delivered.partition, delivered.offset);
            *self.attempts.lock().unwrap().entry(place).or_default() += 1;
            match &*delivered.record.payload {
                b"poison" => return Err(HandlerError::Poison("cannot be read".into())),
                b"fails" => return Err(HandlerError::Failed("does not fit".into())),
                b"panics" => panic!("as told"),
                b"unavailable" if self.available.load(Ordering::SeqCst) == 0 => {
                    return Err(HandlerError::Unavailable("the store is down".into()));
                }
                b"hangs" => std::future::pending().await,
                _ => {}
            }
        }
        self.handled
            .lock()
            .unwrap()
            .extend(batch.iter().map(|delivered| (delivered.partition, delivered.offset)));
        Ok(())
    }
}

impl Notes {
    fn handled(&self) -> Vec<(u32, i64)> {
        self.handled.lock().unwrap().clone()
    }

    fn distinct(&self) -> BTreeSet<(u32, i64)> {
        self.handled().into_iter().collect()
    }

    fn attempts(&self, place: (u32, i64)) -> usize {
        self.attempts.lock().unwrap().get(&place).copied().unwrap_or(0)
    }
}

/// Fast, but with leases that do not run out by accident on a busy machine: the clock of the rows stands still.
fn config(member: &str) -> Config {
    Config {
        lease: Duration::from_mins(1),
        renew: Duration::from_millis(5),
        retry: Retry {
            batch_tries: 2,
            tries: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(4),
        },
        drain: Duration::from_millis(200),
        ..Config::new("group", member, [TOPIC.name])
    }
}

struct World {
    disk: Disk,
    store: Arc<dyn Store>,
    bus: Arc<Embedded>,
}

impl World {
    async fn new() -> Self {
        let disk = Disk::new();
        let store = disk.open();
        let bus = Embedded::open(store.clone(), disk.clock(), &[TOPIC]).await.unwrap();
        Self { disk, store, bus }
    }

    /// One record a payload in partition 0.
    async fn publish(&self, payloads: &[&str]) {
        self.publish_to(0, payloads).await;
    }

    async fn publish_to(&self, partition: u32, payloads: &[&str]) {
        let key = key_of(partition);
        let records =
            payloads.iter().map(|payload| Record::new(key.clone(), (*payload).to_owned())).collect();
        self.bus.publish(TOPIC.name, records).await.unwrap();
    }

    fn consumer(&self, config: Config) -> Consumer {
        Consumer::new(self.bus.clone(), self.store.clone(), self.disk.clock(), config).unwrap()
    }

    fn run(&self, config: Config, notes: &Arc<Notes>) -> Running {
        let consumer = self.consumer(config);
        let (stop, lag) = (CancellationToken::new(), consumer.lag());
        let task = tokio::spawn(consumer.run(notes.clone(), stop.clone()));
        Running { stop, lag, task }
    }

    /// The offset that the group has committed for a partition.
    async fn committed(&self, partition: u32) -> i64 {
        let get = store::Get::row(&crate::group::LEASES, ("group", TOPIC.name, partition as i32), ());
        self.store.get(get).await.unwrap().map_or(-1, |row| row.bigint("next_offset").unwrap())
    }

    async fn quarantine(&self) -> Vec<Stored> {
        self.bus.fetch(Fetch::new("things.quarantine", 0, 0)).await.unwrap().records
    }
}

struct Running {
    stop: CancellationToken,
    lag: Lag,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// As a process that is killed: nothing is committed, nothing given back.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

#[tokio::test]
async fn records_are_handled_in_order_and_committed_and_not_given_again_after_a_clean_stop() {
    let world = World::new().await;
    let notes = Arc::new(Notes::default());
    let running = world.run(config("one"), &notes);
    for _ in 0..5 {
        world.publish(&["a", "b"]).await;
    }
    eventually("all handled", async || notes.handled().len() == 10).await;
    running.stop().await;
    assert_eq!(world.committed(0).await, 10);
    // The next one needs no lease to run out: the clock stands still.
    let running = world.run(config("two"), &notes);
    world.publish(&["c"]).await;
    eventually("the next handled", async || notes.handled().len() >= 11).await;
    running.stop().await;
    assert_eq!(notes.handled(), (0..11).map(|offset| (0, offset)).collect::<Vec<_>>());
}

#[tokio::test]
async fn offsets_are_committed_while_it_runs_and_the_lag_is_known() {
    let world = World::new().await;
    world.publish(&["a", "b", "c"]).await;
    let notes = Arc::new(Notes::default());
    let running = world.run(config("one"), &notes);
    eventually("committed", async || world.committed(0).await == 3).await;
    eventually("lag of every partition", async || running.lag.partitions().len() == 3).await;
    eventually("no lag", async || running.lag.records() == 0).await;
    world.publish_to(1, &["unavailable", "a"]).await;
    eventually("a lag of two", async || running.lag.records() == 2).await;
    notes.available.store(1, Ordering::SeqCst);
    eventually("no lag", async || running.lag.records() == 0).await;
    let lag = running.lag.clone();
    running.stop().await;
    assert_eq!(lag.partitions(), []);
}

#[tokio::test]
async fn poison_is_quarantined_with_its_reason_and_the_others_go_on() {
    let world = World::new().await;
    world.publish(&["a", "poison", "b", "fails", "c", "panics", "d"]).await;
    world.publish_to(1, &["e"]).await;
    let notes = Arc::new(Notes::default());
    let running = world.run(config("one"), &notes);
    eventually("the good ones handled", async || notes.distinct().len() == 5).await;
    eventually("committed past the bad ones", async || world.committed(0).await == 7).await;
    running.stop().await;

    let good: BTreeSet<_> = [0, 2, 4, 6].map(|offset| (0, offset)).into_iter().chain([(1, 0)]).collect();
    assert_eq!(notes.distinct(), good);
    let quarantine = world.quarantine().await;
    let seen: Vec<_> = quarantine
        .iter()
        .map(|stored| {
            let header = |name| stored.record.headers.text(name).unwrap();
            (header(QUARANTINE_ORIGIN), header(QUARANTINE_REASON), &stored.record.payload[..])
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("things/0/1", "record is poison: cannot be read", &b"poison"[..]),
            ("things/0/3", "record failed: does not fit", b"fails"),
            ("things/0/5", "record failed: the handler panicked", b"panics"),
        ]
    );
    let first = &quarantine[0].record;
    assert_eq!(first.headers.text(QUARANTINE_GROUP), Some("group"));
    assert_eq!(first.headers.text(QUARANTINE_TIME), Some("2025-06-15T15:06:40Z"));
    assert_eq!(partition::of(&first.key, 3), 0, "the key is kept, for a replay");
    // Poison is not tried again by itself; a failure is, as often as was set.
    assert_eq!(notes.attempts((0, 1)), 2);
    assert_eq!(notes.attempts((0, 3)), 3);
}

/// Says a lot.
struct Wordy;
#[async_trait]
impl Handler for Wordy {
    async fn handle(&self, _: &[Delivered]) -> Result<(), HandlerError> {
        Err(HandlerError::Poison("é".repeat(1000).into()))
    }
}

#[tokio::test]
async fn a_long_reason_is_cut_at_a_character() {
    let world = World::new().await;
    world.publish(&["a"]).await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(world.consumer(config("one")).run(Wordy, stop.clone()));
    eventually("quarantined", async || !world.quarantine().await.is_empty()).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let reason = world.quarantine().await[0].record.headers.text(QUARANTINE_REASON).unwrap().to_owned();
    assert!(reason.starts_with("record is poison: éé") && (499..=500).contains(&reason.len()), "{reason}");
}

/// Takes what is poison by its first byte.
struct Picky;
#[async_trait]
impl Handler for Picky {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        let poison = batch.iter().any(|delivered| delivered.record.payload.first() == Some(&0));
        if poison { Err(HandlerError::Poison("é".repeat(1000).into())) } else { Ok(()) }
    }
}

/// The record grows by what is told of it, and the next one is handled all the same.
#[tokio::test]
async fn the_largest_record_there_may_be_is_quarantined_as_a_whole() {
    let world = World::new().await;
    let headers = (0..MAX_HEADERS).map(|n| (format!("header-{n}"), "v"));
    let mut largest =
        headers.fold(Record::new(key_of(0), ""), |record, (name, value)| record.header(name, value));
    largest.payload = vec![0; MAX_RECORD_BYTES - largest.size()].into();
    world.bus.publish(TOPIC.name, vec![largest.clone()]).await.unwrap();
    world.publish(&["a"]).await;
    let longest_name = "g".repeat(255);
    let config = Config { group: longest_name.clone().into(), ..config("one") };
    let (stop, consumer) = (CancellationToken::new(), world.consumer(config));
    let lag = consumer.lag();
    let task = tokio::spawn(consumer.run(Picky, stop.clone()));
    eventually("both done", async || lag.partitions().iter().any(|lag| lag.next_offset == 2)).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let [stored] = &world.quarantine().await[..] else { panic!() };
    assert_eq!(stored.record.headers.text(QUARANTINE_GROUP), Some(&*longest_name));
    assert_eq!((&stored.record.key, &stored.record.payload), (&largest.key, &largest.payload));
    let kept = largest.headers.iter().all(|(name, value)| stored.record.headers.get(name) == Some(value));
    assert!(kept && stored.record.headers.get(QUARANTINE_CUT).is_none());
}

/// Somebody else wrote records that are larger, or have more headers, than ours may: they are told of, and the next one is handled.
#[tokio::test]
async fn what_does_not_fit_into_quarantine_is_cut() {
    let world = World::new().await;
    let large = Record::new(key_of(0), vec![0; MAX_RECORD_BYTES + 4096]).header("ce_id", "7");
    let heads =
        (0..100).fold(Record::new(key_of(0), vec![0]), |record, n| record.header(format!("h{n}"), "v"));
    let long_key = Record::new(vec![b'k'; MAX_RECORD_BYTES + 4096], vec![0]);
    let foreign = [large.clone(), heads.clone(), long_key.clone()];
    let deliver = super::deliver::Deliver {
        handler: Arc::new(Picky),
        bus: world.bus.clone(),
        clock: world.disk.clock(),
        config: Arc::new(config("one")),
        part: crate::group::lease::Part { topic: TOPIC.name.into(), partition: 0 },
        progress: super::worker::Progress::new(0),
        stop: CancellationToken::new(),
    };
    let delivered = foreign.iter().zip(0..).map(|(record, offset)| Delivered {
        topic: TOPIC.name.into(),
        partition: 0,
        offset,
        at: world.disk.clock.now(),
        record: record.clone(),
    });
    let delivered: Vec<Delivered> = delivered.collect();
    tokio::time::timeout(Duration::from_secs(30), deliver.batch(&delivered)).await.unwrap().unwrap();
    assert_eq!(deliver.progress.get(), 3);

    let quarantine = world.quarantine().await;
    let records: Vec<&Record> = quarantine.iter().map(|stored| &stored.record).collect();
    assert_eq!(records.len(), 3);
    for (record, offset) in records.iter().zip(0..) {
        let origin = format!("things/0/{offset}");
        assert_eq!(record.headers.text(QUARANTINE_ORIGIN), Some(&*origin));
        let bytes: usize = record.headers.text(QUARANTINE_CUT).unwrap().parse().unwrap();
        assert!(bytes > foreign[offset].size(), "with what was to be told of it");
        assert_eq!(record.payload, "");
    }
    assert_eq!((&records[0].key, records[0].headers.text("ce_id")), (&large.key, Some("7")));
    assert_eq!((&*records[1].key, &*records[2].key), (&b""[..], &b""[..]));
}

#[tokio::test]
async fn a_dependency_that_is_down_quarantines_nothing() {
    let world = World::new().await;
    world.publish(&["a", "unavailable", "b"]).await;
    let notes = Arc::new(Notes::default());
    let running = world.run(config("one"), &notes);
    eventually("tried often", async || notes.attempts((0, 1)) > 20).await;
    assert_eq!(world.committed(0).await, 0);
    notes.available.store(1, Ordering::SeqCst);
    eventually("all handled", async || notes.distinct().len() == 3).await;
    running.stop().await;
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_dependency_nor_for_a_handler_that_hangs() {
    let world = World::new().await;
    world.publish(&["unavailable"]).await;
    world.publish_to(1, &["hangs"]).await;
    world.publish_to(2, &["a"]).await;
    let notes = Arc::new(Notes::default());
    let running = world.run(config("one"), &notes);
    eventually("both tried", async || notes.attempts((0, 0)) > 0 && notes.attempts((1, 0)) > 0).await;
    eventually("the third handled", async || notes.distinct().contains(&(2, 0))).await;
    running.stop().await;
    assert_eq!((world.committed(0).await, world.committed(1).await, world.committed(2).await), (0, 0, 1));
}

#[tokio::test]
async fn after_a_kill_a_sole_member_goes_on_at_once_and_nothing_is_lost() {
    let world = World::new().await;
    let sole = |member: &str| Config { takeover: Takeover::Immediate, ..config(member) };
    let notes = Arc::new(Notes::default());
    let running = world.run(sole("start-1"), &notes);
    world.publish(&["a", "b", "unavailable", "c"]).await;
    eventually("stuck", async || notes.attempts((0, 2)) > 0).await;
    running.kill().await;
    notes.available.store(1, Ordering::SeqCst);
    let running = world.run(sole("start-2"), &notes);
    eventually("all handled", async || notes.distinct().len() == 4).await;
    running.stop().await;
    assert_eq!(world.committed(0).await, 4);
}

#[tokio::test]
async fn a_sole_member_writes_nothing_while_nothing_happens() {
    let world = World::new().await;
    let faulty = Faulty::over(world.store.clone());
    let sole = Config { takeover: Takeover::Immediate, ..config("one") };
    let consumer = Consumer::new(world.bus.clone(), faulty.clone(), world.disk.clock(), sole).unwrap();
    let mut member = Member::start(consumer, Arc::new(Notes::default())).await.unwrap();
    member.tick().await;
    let writes = faulty.writes();
    for _ in 0..10 {
        member.tick().await;
    }
    assert_eq!(faulty.writes(), writes);
}

/// It has nothing to commit, and so nothing is refused that would tell it.
#[tokio::test]
async fn a_sole_member_that_is_idle_notices_that_its_group_was_rewound() {
    let world = World::new().await;
    let notes = Arc::new(Notes::default());
    let running = world.run(Config { takeover: Takeover::Immediate, ..config("one") }, &notes);
    world.publish(&["a", "b", "c"]).await;
    eventually("committed", async || world.committed(0).await == 3).await;
    let replay = crate::Replay::new(world.bus.clone(), world.store.clone());
    replay.rewind("group", TOPIC.name, 0, 1).await.unwrap();
    eventually("handled again", async || notes.handled().len() == 5).await;
    eventually("committed again", async || world.committed(0).await == 3).await;
    running.stop().await;
    assert_eq!(notes.handled(), [0, 1, 2, 1, 2].map(|offset| (0, offset)));
}

/// A handler that is in the middle of a batch when the group is rewound is stopped there, and nothing of the batch is committed.
#[tokio::test]
async fn a_member_at_work_is_stopped_and_begins_where_the_group_was_rewound_to() {
    let world = World::new().await;
    let notes = Arc::new(Notes::default());
    let config = Config { max_records: 1, ..config("one") };
    let running = world.run(config, &notes);
    world.publish(&["a", "b", "unavailable"]).await;
    eventually("stuck", async || notes.attempts((0, 2)) > 0 && world.committed(0).await == 2).await;
    let replay = crate::Replay::new(world.bus.clone(), world.store.clone());
    replay.rewind("group", TOPIC.name, 0, 0).await.unwrap();
    eventually("handled again", async || notes.handled().len() >= 4).await;
    notes.available.store(1, Ordering::SeqCst);
    eventually("all committed", async || world.committed(0).await == 3).await;
    running.stop().await;
    assert_eq!(notes.handled(), [0, 1, 0, 1, 2].map(|offset| (0, offset)));
}

#[tokio::test]
async fn two_members_share_and_the_one_that_stays_takes_over() {
    let world = World::new().await;
    let (notes_one, notes_two) = (Arc::new(Notes::default()), Arc::new(Notes::default()));
    let one = world.run(config("one"), &notes_one);
    eventually("one has all", async || one.lag.partitions().len() == 3).await;
    // "two" is a name for which rendezvous hashing gives each of them something.
    let two = world.run(config("two"), &notes_two);
    eventually("both have some", async || {
        let (one, two) = (one.lag.partitions().len(), two.lag.partitions().len());
        one > 0 && two > 0 && one + two == 3
    })
    .await;
    for partition in 0..3 {
        world.publish_to(partition, &["a", "b"]).await;
    }
    let all = async |records: usize| {
        let handled: BTreeSet<_> = notes_one.distinct().union(&notes_two.distinct()).copied().collect();
        handled.len() == records
    };
    eventually("all handled", async || all(6).await).await;
    assert!(!notes_one.handled().is_empty() && !notes_two.handled().is_empty());
    assert_eq!(notes_one.handled().len() + notes_two.handled().len(), 6, "nothing was handled twice");

    two.stop().await;
    eventually("one has all again", async || one.lag.partitions().len() == 3).await;
    for partition in 0..3 {
        world.publish_to(partition, &["c"]).await;
    }
    eventually("the rest handled", async || all(9).await).await;
    one.stop().await;
}

#[tokio::test]
async fn a_member_that_was_killed_is_replaced_when_its_lease_has_run_out() {
    let world = World::new().await;
    let notes = Arc::new(Notes::default());
    let one = world.run(config("one"), &notes);
    eventually("one has all", async || one.lag.partitions().len() == 3).await;
    one.kill().await;
    let two = world.run(config("two"), &notes);
    world.publish(&["a"]).await;
    eventually("two has come", async || {
        let members = store::Scan::new(&crate::group::GROUP_MEMBERS, "group", 10);
        world.store.scan(members).await.unwrap().rows.len() == 2
    })
    .await;
    assert_eq!(two.lag.partitions(), []);
    world.disk.clock.advance(Duration::from_mins(1));
    eventually("handled", async || notes.distinct().len() == 1).await;
    eventually("two has all", async || two.lag.partitions().len() == 3).await;
    two.stop().await;
}

/// A member that stands still, as in a long pause of its machine, while its lease runs out and another one takes over: what it
/// wants to commit afterwards is refused, and its worker is ended in the middle of its batch.
#[tokio::test]
async fn what_a_paused_member_wants_to_commit_is_refused() {
    let world = World::new().await;
    let config = |member| Config { max_records: 1, ..config(member) };
    world.publish(&["a", "b"]).await;
    let notes = Arc::new(Notes::default());
    let mut paused = Member::start(world.consumer(config("one")), notes.clone()).await.unwrap();
    paused.tick().await;
    eventually("handled", async || notes.handled().len() == 2).await;
    world.publish(&["hangs"]).await;
    eventually("hanging", async || notes.attempts((0, 2)) == 1).await;

    world.disk.clock.advance(Duration::from_mins(1));
    let other_notes = Arc::new(Notes::default());
    let mut other = Member::start(world.consumer(config("two")), other_notes.clone()).await.unwrap();
    other.tick().await;
    eventually("handled again", async || other_notes.handled().len() == 2).await;
    other.tick().await;
    assert_eq!(world.committed(0).await, 2);
    let row = async || {
        let get = store::Get::row(&crate::group::LEASES, ("group", TOPIC.name, 0), ());
        world.store.get(get).await.unwrap().unwrap()
    };
    let before = row().await;
    assert_eq!(before.text("owner").unwrap(), "two");

    paused.tick().await;
    assert_eq!(row().await, before);
    eventually("the paused one's work is ended", async || {
        paused.tick().await;
        paused.working() == 0
    })
    .await;
}

/// The lease's time has run out by the monotonic clock and the store does not answer: the worker must stop by itself.
#[tokio::test]
async fn work_stops_when_the_lease_cannot_be_renewed() {
    let world = World::new().await;
    let faulty = Faulty::over(world.store.clone());
    let config = Config { lease: Duration::from_millis(1500), ..config("one") };
    let consumer = Consumer::new(world.bus.clone(), faulty.clone(), world.disk.clock(), config).unwrap();
    world.publish(&["hangs"]).await;
    let notes = Arc::new(Notes::default());
    let mut member = Member::start(consumer, notes.clone()).await.unwrap();
    member.tick().await;
    eventually("hanging", async || notes.attempts((0, 0)) == 1).await;
    faulty.plan(0, Fault::DieBefore);
    member.tick().await;
    assert!(faulty.is_dead());
    eventually("ended", async || member.ended() == 3).await;
    assert_eq!(notes.attempts((0, 0)), 1);
}

#[tokio::test]
async fn a_group_goes_on_where_retention_has_left_something() {
    let world = World::new().await;
    world.publish(&["a"]).await;
    // The group's offset lies beyond the end, as after a restore of an older backup.
    let leases = crate::group::lease::Leases {
        store: world.store.clone(),
        group: "group".into(),
        member: "zero".into(),
        duration: Duration::from_secs(1),
        seize: true,
    };
    let part = crate::group::lease::Part { topic: TOPIC.name.into(), partition: 0 };
    let now =
        crate::group::lease::Moment { wall: world.disk.clock().now(), monotonic: std::time::Instant::now() };
    let crate::group::lease::Acquired::Held(lease) = leases.acquire(&part, 50, now).await.unwrap() else {
        panic!()
    };
    leases.release(&lease, 50).await.unwrap();
    let notes = Arc::new(Notes::default());
    let running = world.run(config("one"), &notes);
    eventually("brought back", async || world.committed(0).await == 1).await;
    world.publish(&["b"]).await;
    eventually("handled", async || notes.distinct().contains(&(0, 1))).await;
    running.stop().await;
}

#[tokio::test]
async fn a_group_that_starts_with_the_latest_record_leaves_the_others() {
    let world = World::new().await;
    world.publish(&["a", "b"]).await;
    let notes = Arc::new(Notes::default());
    let running = world.run(Config { start: Start::Latest, ..config("one") }, &notes);
    eventually("started", async || running.lag.partitions().len() == 3).await;
    world.publish(&["c"]).await;
    eventually("handled", async || !notes.handled().is_empty()).await;
    running.stop().await;
    assert_eq!(notes.handled(), [(0, 2)]);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let world = World::new().await;
    let good = config("one");
    let bad = [
        Config { topics: vec![], ..good.clone() },
        Config { member: "".into(), ..good.clone() },
        Config { topics: vec!["things.quarantine".into()], ..good.clone() },
        Config { renew: Duration::ZERO, ..good.clone() },
        Config { renew: Duration::from_secs(21), ..good.clone() },
        Config { retry: Retry { tries: 0, ..good.retry }, ..good.clone() },
    ];
    for config in bad {
        let consumer = Consumer::new(world.bus.clone(), world.store.clone(), world.disk.clock(), config);
        assert!(matches!(consumer.err(), Some(Error::Config { .. })));
    }
    let unknown = world.consumer(Config { topics: vec!["nothing".into()], ..good });
    let run = unknown.run(Notes::default(), CancellationToken::new()).await;
    assert!(matches!(run, Err(Error::UnknownTopic { .. })));
}
