use super::*;
use crate::testing::{BEGIN, Disk, Fault, Faulty};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use riskmesh_core::{Clock as _, ManualClock};
use std::sync::atomic::{AtomicU32, Ordering};

const DURATION: Duration = Duration::from_secs(10);

/// The wall clock and a monotonic one that go together.
struct Times {
    clock: Arc<ManualClock>,
    began: Instant,
}

impl Times {
    fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, began: Instant::now() }
    }

    fn now(&self) -> Moment {
        let wall = self.clock.now();
        let passed = Duration::from_millis((wall.0 - BEGIN.0).unsigned_abs());
        Moment { wall, monotonic: self.began + passed }
    }

    fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }
}

fn leases(store: Arc<dyn Store>, group: &str, member: &str, seize: bool) -> Leases {
    Leases { store, group: group.into(), member: member.into(), duration: DURATION, seize }
}

fn part() -> Part {
    Part { topic: "things".into(), partition: 0 }
}

fn held(acquired: Acquired) -> Lease {
    match acquired {
        Acquired::Held(lease) => lease,
        other => panic!("not held: {other:?}"),
    }
}

async fn renew(leases: &Leases, lease: &mut Lease, offset: i64, now: Moment) -> Renewed {
    leases.renew(&mut [(lease, offset)], now).await.unwrap()[0]
}

#[tokio::test]
async fn a_lease_is_exclusive_until_it_expires_and_keeps_the_offset() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let (one, two) = (leases(store.clone(), "g", "one", false), leases(store, "g", "two", false));
    let mut lease = held(one.acquire(&part(), 5, times.now()).await.unwrap());
    assert_eq!((lease.epoch, lease.next_offset), (1, 5));
    assert_eq!(lease.held_until, times.now().monotonic + DURATION * 9 / 10);
    times.pass(Duration::from_secs(6));
    assert_eq!(renew(&one, &mut lease, 8, times.now()).await, Renewed::Done);
    times.pass(Duration::from_millis(9_999));
    assert_eq!(two.acquire(&part(), 0, times.now()).await.unwrap(), Acquired::Taken);
    assert!(lease.held_until < times.now().monotonic, "the owner has stopped before anybody may take over");
    times.pass(Duration::from_millis(1));
    let taken = held(two.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!((taken.epoch, taken.next_offset), (2, 8));
}

#[tokio::test]
async fn a_paused_owner_cannot_commit_after_a_takeover() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let (one, two) = (leases(store.clone(), "g", "one", false), leases(store, "g", "two", false));
    let mut old = held(one.acquire(&part(), 0, times.now()).await.unwrap());
    times.pass(DURATION);
    let mut new = held(two.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!(renew(&two, &mut new, 3, times.now()).await, Renewed::Done);
    assert_eq!(renew(&one, &mut old, 100, times.now()).await, Renewed::Lost);
    assert_eq!(one.release(&old, 100).await.unwrap(), Renewed::Lost);
    assert_eq!(two.release(&new, 4).await.unwrap(), Renewed::Done);
    assert_eq!(held(one.acquire(&part(), 0, times.now()).await.unwrap()).next_offset, 4);
}

#[tokio::test]
async fn a_released_lease_can_be_had_at_once() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let (one, two) = (leases(store.clone(), "g", "one", false), leases(store, "g", "two", false));
    let lease = held(one.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!(one.release(&lease, 9).await.unwrap(), Renewed::Done);
    let lease = held(two.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!((lease.epoch, lease.next_offset), (2, 9));
}

#[tokio::test]
async fn a_sole_member_seizes_what_its_former_process_held() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let (old, new) = (leases(store.clone(), "g", "1", true), leases(store, "g", "2", true));
    let mut before = held(old.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!(renew(&old, &mut before, 2, times.now()).await, Renewed::Done);
    let after = held(new.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!((after.epoch, after.next_offset), (2, 2));
    assert_eq!(renew(&old, &mut before, 3, times.now()).await, Renewed::Lost);
}

#[tokio::test]
async fn a_rewound_owner_commits_no_more_and_is_the_only_one_who_may_begin_anew() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let (one, two) = (leases(store.clone(), "g", "one", false), leases(store.clone(), "g", "two", false));
    let mut lease = held(one.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!(renew(&one, &mut lease, 9, times.now()).await, Renewed::Done);
    assert_eq!(one.fenced([&lease].into_iter()).await.unwrap(), []);
    let rewound = rewind(&*store, "g", &part(), 4).await.unwrap();
    assert_eq!(rewound, Some(Rewound { was: 9, now: 4 }));

    assert_eq!(one.fenced([&lease].into_iter()).await.unwrap(), [part()]);
    assert_eq!(renew(&one, &mut lease, 12, times.now()).await, Renewed::Lost);
    assert_eq!(one.release(&lease, 12).await.unwrap(), Renewed::Lost);
    assert_eq!(two.acquire(&part(), 0, times.now()).await.unwrap(), Acquired::Taken, "its work may go on");
    assert_eq!(held(one.acquire(&part(), 0, times.now()).await.unwrap()).next_offset, 4);
}

#[tokio::test]
async fn a_rewind_never_leaves_anything_out_and_still_covers_what_is_not_committed() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let one = leases(store.clone(), "g", "one", false);
    assert_eq!(rewind(&*store, "g", &part(), 4).await.unwrap(), None, "no group, no offset");
    let mut lease = held(one.acquire(&part(), 2, times.now()).await.unwrap());
    // It may have handled what comes after 4 by now, and must do so again.
    let stays = Some(Rewound { was: 2, now: 2 });
    assert_eq!(rewind(&*store, "g", &part(), 4).await.unwrap(), stays);
    assert_eq!(renew(&one, &mut lease, 9, times.now()).await, Renewed::Lost);
    let lease = held(one.acquire(&part(), 0, times.now()).await.unwrap());
    assert_eq!(one.release(&lease, 2).await.unwrap(), Renewed::Done);
    let before = row(&store, "g").await;
    assert_eq!(rewind(&*store, "g", &part(), 4).await.unwrap(), stays);
    assert_eq!(row(&store, "g").await, before, "nobody works: there is nothing to do");
}

/// The condition on the epoch alone would not see this: renewals leave it as it is.
#[tokio::test]
async fn a_takeover_fails_if_the_owner_renews_in_between() {
    let disk = Disk::new();
    let (store, times) = (disk.open(), Times::new(disk.clock.clone()));
    let one = leases(store.clone(), "g", "one", false);
    let mut lease = held(one.acquire(&part(), 0, times.now()).await.unwrap());
    times.pass(DURATION);
    let stale = one.store.get(one.get(&part())).await.unwrap();
    assert_eq!(renew(&one, &mut lease, 1, times.now()).await, Renewed::Done);
    let racing = Leases {
        store: Arc::new(Stale { inner: store, row: stale }),
        ..leases(one.store.clone(), "g", "two", false)
    };
    assert_eq!(racing.acquire(&part(), 0, times.now()).await.unwrap(), Acquired::Taken);
    assert_eq!(renew(&one, &mut lease, 2, times.now()).await, Renewed::Done);
}

/// A store whose reads are old: what a member sees that is overtaken between its read and its write.
struct Stale {
    inner: Arc<dyn Store>,
    row: Option<Row>,
}

#[async_trait::async_trait]
impl Store for Stale {
    async fn get(&self, _: Get) -> Result<Option<Row>, store::Error> {
        Ok(self.row.clone())
    }
    async fn scan(&self, scan: store::Scan) -> Result<store::Page, store::Error> {
        self.inner.scan(scan).await
    }
    async fn apply(&self, batches: Vec<store::Batch>) -> Result<(), store::Error> {
        self.inner.apply(batches).await
    }
    async fn cas(&self, cas: Cas) -> Result<Outcome, store::Error> {
        self.inner.cas(cas).await
    }
    async fn token_scan(&self, scan: store::TokenScan) -> Result<store::TokenPage, store::Error> {
        self.inner.token_scan(scan).await
    }
}

/// One step of the members around one partition.
#[derive(Clone, Debug)]
struct Step {
    member: usize,
    action: Action,
    trouble: Trouble,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Acquire,
    /// After having handled this many records.
    Renew(i64),
    Release,
    /// Time goes by.
    Pass(u64),
    /// The member dies and forgets everything, and starts again under another name.
    Restart,
    /// Somebody rewinds the group to this offset.
    Rewind(i64),
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// The write's outcome is unknown: whether it was done, and whether the read that asks gets an answer.
    Unknown {
        done: bool,
        settled: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        3 => Just(Action::Acquire),
        4 => (0..5_i64).prop_map(Action::Renew),
        1 => Just(Action::Release),
        2 => (0..12_000_u64).prop_map(Action::Pass),
        1 => Just(Action::Restart),
        1 => (0..10_i64).prop_map(Action::Rewind),
    ];
    let trouble = prop_oneof![
        3 => Just(Trouble::None),
        1 => any::<(bool, bool)>().prop_map(|(done, settled)| Trouble::Unknown { done, settled }),
    ];
    (0..3_usize, action, trouble).prop_map(|(member, action, trouble)| Step { member, action, trouble })
}

/// What the row must say: changed only by what the rules allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    owner: Option<String>,
    epoch: i64,
    expires_at: i64,
    next_offset: i64,
}

struct Actor {
    leases: Leases,
    name: String,
    lease: Option<Lease>,
    /// The next offset this member would handle.
    next: i64,
}

async fn row(store: &Arc<dyn Store>, group: &str) -> Model {
    let row = store.get(Get::row(&LEASES, (group, "things", 0), ())).await.unwrap();
    row.map_or_else(Model::default, |row| Model {
        owner: row.text_opt("owner").unwrap().map(str::to_owned),
        epoch: row.bigint("epoch").unwrap(),
        expires_at: row.timestamp("expires_at").unwrap().0,
        next_offset: row.bigint("next_offset").unwrap(),
    })
}

async fn obey(
    store: &Arc<dyn Store>,
    clock: Arc<ManualClock>,
    group: &str,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let times = Times::new(clock);
    let mut names = 0..;
    let mut actor = |store: Arc<dyn Store>| {
        let name = format!("member-{}", names.next().unwrap());
        Actor { leases: leases(store, group, &name, false), name, lease: None, next: 0 }
    };
    let faulty = Faulty::over(store.clone());
    let mut actors: Vec<_> = (0..3).map(|_| actor(faulty.clone())).collect();
    let mut model = Model::default();

    for Step { member, action, trouble } in steps {
        let now = times.now();
        let promise = now.wall.plus(DURATION).0;
        let this = &mut actors[member];
        // What the store will really do with the member's write, if it sends one.
        let done = match trouble {
            Trouble::None => true,
            Trouble::Unknown { done, settled } => {
                // An acquisition reads before it writes, and so does a rewind; only the read after the write is to fail.
                if !settled && !matches!(action, Action::Acquire | Action::Rewind(_)) {
                    faulty.blind(1);
                }
                faulty.plan(0, if done { Fault::DoneUnknown } else { Fault::LostUnknown });
                done
            }
        };
        let certain = matches!(trouble, Trouble::None | Trouble::Unknown { settled: true, .. })
            || matches!(action, Action::Acquire);
        match action {
            Action::Acquire => {
                let free = model.owner.is_none()
                    || model.owner.as_ref() == Some(&this.name)
                    || model.expires_at <= now.wall.0;
                let acquired = this.leases.acquire(&part(), 0, now).await.unwrap();
                if free && done {
                    model = Model {
                        owner: Some(this.name.clone()),
                        epoch: model.epoch + 1,
                        expires_at: promise,
                        next_offset: model.next_offset,
                    };
                    let lease = held(acquired);
                    prop_assert_eq!((lease.epoch, lease.next_offset), (model.epoch, model.next_offset));
                    this.next = lease.next_offset;
                    this.lease = Some(lease);
                } else {
                    prop_assert_eq!(acquired, if free { Acquired::Unsettled } else { Acquired::Taken });
                }
            }
            Action::Renew(handled) => {
                if let Some(lease) = &mut this.lease {
                    this.next += handled;
                    let valid = lease.epoch == model.epoch;
                    // A renewal that would change nothing is as good as done, even if it was lost.
                    let same = model.expires_at == promise && model.next_offset == this.next;
                    let renewed = renew(&this.leases, lease, this.next, now).await;
                    if valid && done {
                        model.expires_at = promise;
                        model.next_offset = this.next;
                    }
                    let expected = match (valid, certain) {
                        (_, false) => Renewed::Unsettled,
                        (false, _) => Renewed::Lost,
                        (true, _) if done || same => Renewed::Done,
                        (true, _) => Renewed::Unsettled,
                    };
                    prop_assert_eq!(renewed, expected);
                    if renewed == Renewed::Lost {
                        this.lease = None;
                    }
                }
            }
            Action::Release => {
                if let Some(lease) = this.lease.take() {
                    let valid = lease.epoch == model.epoch;
                    let released = this.leases.release(&lease, this.next).await.unwrap();
                    if valid && done {
                        model.owner = None;
                        model.expires_at = RELEASED.0;
                        model.next_offset = this.next;
                    }
                    let expected = match (valid, certain) {
                        (_, false) => Renewed::Unsettled,
                        (false, _) => Renewed::Lost,
                        (true, _) if done => Renewed::Done,
                        (true, _) => Renewed::Unsettled,
                    };
                    prop_assert_eq!(released, expected);
                }
            }
            Action::Pass(millis) => times.pass(Duration::from_millis(millis)),
            Action::Restart => *this = actor(faulty.clone()),
            Action::Rewind(offset) => {
                let there = model != Model::default();
                let expected =
                    there.then(|| Rewound { was: model.next_offset, now: model.next_offset.min(offset) });
                if there && (model.owner.is_some() || model.next_offset > offset) {
                    // What was lost is sent again.
                    model.epoch += 1;
                    model.next_offset = model.next_offset.min(offset);
                }
                prop_assert_eq!(rewind(&*faulty, group, &part(), offset).await.unwrap(), expected);
            }
        }
        faulty.forgive();
        prop_assert_eq!(&row(store, group).await, &model);

        // At most one member believes that it may work, and that one may; but for the one that has not noticed yet that it was rewound.
        let now = times.now();
        let working: Vec<_> = actors
            .iter()
            .filter_map(|actor| actor.lease.as_ref())
            .filter(|lease| lease.held_until > now.monotonic)
            .collect();
        prop_assert!(working.len() <= 1, "{working:?}");
        let owner = |lease: &&Lease| {
            let of = |actor: &&Actor| actor.lease.as_ref().is_some_and(|other| std::ptr::eq(other, *lease));
            actors.iter().find(of).map(|actor| actor.name.clone())
        };
        prop_assert!(working.iter().all(|lease| lease.epoch == model.epoch || owner(lease) == model.owner));
    }
    Ok(())
}

#[test]
fn whatever_happens_the_row_obeys_the_rules() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let disk = Disk::new();
    let store = disk.open();
    let groups = AtomicU32::new(0);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(500));
    let obeyed = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        let group = format!("group-{}", groups.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(obey(&store, Arc::new(ManualClock::at(BEGIN)), &group, steps))
    });
    obeyed.unwrap();
}
