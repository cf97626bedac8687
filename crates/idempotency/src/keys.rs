//! The rows of keys.

use crate::{Error, KEYS, Key};
use aws_lc_rs::digest::{SHA256, digest};
use riskmesh_core::cipher::random_bytes;
use riskmesh_core::{Clock, TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use store::race::Race;
use store::{Cas, Get, Outcome, Row, Store, Ttl, Upsert, upsert};

/// How long a key is kept.
pub const KEPT: Duration = Duration::from_hours(24);
/// How long a caller may work on a key before another takes over. Longer than any request of a method that takes keys.
const LEASE: Duration = Duration::from_secs(45);
/// When somebody who comes in between is to ask again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Whether other processes work on the keys of the store, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// This process is the only one: whoever held a key before it started is dead.
    Alone,
    /// Others may be at work; what they hold is theirs until their lease ends.
    Shared,
}

/// Reads and writes keys.
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sharing: Sharing,
    /// Names this start of this process.
    process: [u8; 8],
}

/// A request with a key.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Whose data it is about.
    pub tenant: &'a TenantId,
    /// The method's full name.
    pub method: &'static str,
    /// Who sent it: another caller's key is another key.
    pub caller: &'a str,
    /// The key.
    pub key: &'a Key,
    /// The request as bytes: what makes it the same request.
    pub content: &'a [u8],
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Begun {
    /// It is to be carried out, perhaps once more after it was cut off.
    Run(Ticket),
    /// It was carried out, and this was made.
    Done(String),
}

/// The right to carry a request out.
#[derive(Clone, Debug)]
pub struct Ticket {
    place: [String; 3],
    request: Vec<u8>,
    resource: String,
    decided_at: Timestamp,
    epoch: i64,
    /// Tells this caller's writes from all others: the process, and the call.
    owner: [u8; 16],
}

impl Ticket {
    /// The id of what is made.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// When that was decided: the time that the effect bears.
    pub fn decided_at(&self) -> Timestamp {
        self.decided_at
    }

    fn get(&self) -> Get {
        Get::row(&KEYS, self.partition(), ()).latest()
    }

    fn partition(&self) -> (&str, &str, &str) {
        let [tenant, method, key] = &self.place;
        (tenant, method, key)
    }

    /// The whole row: all of its cells go at the same time.
    fn row(&self, now: Timestamp, leased_until: Timestamp, done: bool) -> Upsert {
        let age = now.millis().saturating_sub(self.decided_at.millis()).max(0).cast_unsigned();
        let left = KEPT.saturating_sub(Duration::from_millis(age));
        upsert(())
            .set("request", self.request.clone())
            .set("resource", self.resource.clone())
            .set("decided_at", self.decided_at)
            .set("epoch", self.epoch)
            .set("owner", self.owner.to_vec())
            .set("leased_until", leased_until)
            .set("done", done)
            .ttl(Ttl::seconds(u32::try_from(left.as_secs()).unwrap_or(u32::MAX)))
    }
}

/// A key's row as it is.
struct Known {
    request: Vec<u8>,
    resource: String,
    decided_at: Timestamp,
    epoch: i64,
    owner: Vec<u8>,
    leased_until: Timestamp,
    done: bool,
}

impl Keys {
    /// The keys in a store that was opened with [`TABLES`](crate::TABLES).
    ///
    /// # Errors
    /// The machine gives no random bytes.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, sharing: Sharing) -> Result<Self, Error> {
        Ok(Self { store, clock, sharing, process: random_bytes().map_err(Error::Random)? })
    }

    fn owner(&self) -> Result<[u8; 16], Error> {
        let mut owner: [u8; 16] = random_bytes().map_err(Error::Random)?;
        owner[..8].copy_from_slice(&self.process);
        Ok(owner)
    }

    /// Whether somebody may be at work on it.
    fn is_held(&self, known: &Known, now: Timestamp) -> bool {
        known.leased_until > now
            && (self.sharing == Sharing::Shared || known.owner.starts_with(&self.process))
    }

    /// Takes up a request. `resource` is the id of what it would make, if it is new.
    ///
    /// # Errors
    /// A key that came with another request, or whose request somebody is working on.
    pub async fn begin(&self, request: Request<'_>, resource: String) -> Result<Begun, Error> {
        let mut key = digest(&SHA256, request.caller.as_bytes()).as_ref().to_vec();
        key.extend_from_slice(request.key.as_bytes());
        let key = hex::encode(digest(&SHA256, &key));
        let now = self.clock.now();
        let mut ticket = Ticket {
            place: [request.tenant.to_string(), request.method.to_owned(), key],
            request: digest(&SHA256, request.content).as_ref().to_vec(),
            resource,
            decided_at: now,
            epoch: 1,
            owner: self.owner()?,
        };
        let insert = Cas::new(&KEYS, ticket.partition()).if_absent(());
        if self
            .store
            .cas(insert.with(ticket.row(now, now.plus(LEASE), false)))
            .await
            .map_err(writing)?
            .is_applied()
        {
            return Ok(Begun::Run(ticket));
        }
        let mut race = Race::default();
        while race.again(ticket.partition()).await {
            let now = self.clock.now();
            let row = self.store.get(ticket.get()).await.map_err(reading)?;
            let Some(known) = row.as_ref().map(read).transpose().map_err(reading)? else {
                // It has just expired, or the insert of unknown outcome never came.
                let insert = Cas::new(&KEYS, ticket.partition()).if_absent(());
                let row = ticket.row(now, now.plus(LEASE), false);
                if self.store.cas(insert.with(row)).await.map_err(writing)?.is_applied() {
                    return Ok(Begun::Run(ticket));
                }
                continue;
            };
            if known.request != ticket.request {
                return Err(Error::Reused);
            }
            if known.done {
                return Ok(Begun::Done(known.resource));
            }
            if known.owner == ticket.owner {
                // Our own write, of which nobody knew.
                return Ok(Begun::Run(ticket));
            }
            if self.is_held(&known, now) {
                return Err(Error::Running { wait: ASK_AGAIN });
            }
            let before = known.epoch;
            ticket = Ticket {
                resource: known.resource,
                decided_at: known.decided_at,
                epoch: known.epoch + 1,
                ..ticket
            };
            let take = Cas::new(&KEYS, ticket.partition()).if_equals((), "epoch", before);
            let row = ticket.row(now, now.plus(LEASE), false);
            if self.store.cas(take.with(row)).await.map_err(writing)?.is_applied() {
                return Ok(Begun::Run(ticket));
            }
        }
        Err(Error::Contended)
    }

    /// Notes that a request was carried out. Whoever has taken over in the meantime comes to the same.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(&self, ticket: &Ticket) -> Result<(), Error> {
        self.end(ticket, true).await
    }

    /// Gives the key back: the request may be carried out again at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn release(&self, ticket: &Ticket) -> Result<(), Error> {
        self.end(ticket, false).await
    }

    async fn end(&self, ticket: &Ticket, done: bool) -> Result<(), Error> {
        let mut race = Race::default();
        while race.again(ticket.partition()).await {
            let write = Cas::new(&KEYS, ticket.partition()).if_equals((), "epoch", ticket.epoch);
            let row = ticket.row(self.clock.now(), Timestamp(0), done);
            // The same write again does no harm.
            if !matches!(self.store.cas(write.with(row)).await.map_err(writing)?, Outcome::Unknown) {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }
}

fn read(row: &Row) -> Result<Known, store::Error> {
    Ok(Known {
        request: row.blob("request")?.to_vec(),
        resource: row.text("resource")?.to_owned(),
        decided_at: row.timestamp("decided_at")?,
        epoch: row.bigint("epoch")?,
        owner: row.blob("owner")?.to_vec(),
        leased_until: row.timestamp("leased_until")?,
        done: row.boolean("done")?,
    })
}

fn reading(source: store::Error) -> Error {
    Error::Store { doing: "read idempotency key", source }
}

fn writing(source: store::Error) -> Error {
    Error::Store { doing: "write idempotency key", source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use riskmesh_core::clock::ManualClock;
    use store::faulty::{Faults, Faulty};

    struct World {
        keys: Keys,
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        tenant: TenantId,
        _dir: tempfile::TempDir,
    }

    impl World {
        fn new(faults: Option<Faults>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
            let options = store_embedded::Options::new(dir.path(), crate::TABLES.to_vec());
            let store: Arc<dyn Store> = Arc::new(store_embedded::Embedded::open(options).unwrap());
            let store = match faults {
                Some(faults) => Arc::new(Faulty::new(store, faults, 7)),
                None => store,
            };
            let keys = Keys::new(store.clone(), clock.clone(), Sharing::Shared).unwrap();
            Self { keys, store, clock, tenant: TenantId::new("acme").unwrap(), _dir: dir }
        }

        async fn begin(&self, caller: &str, content: &str, resource: &str) -> Result<Begun, Error> {
            let key = Key::read(b"k").unwrap();
            let request = Request {
                tenant: &self.tenant,
                method: "pay",
                caller,
                key: &key,
                content: content.as_bytes(),
            };
            self.keys.begin(request, resource.to_owned()).await
        }

        async fn run(&self, content: &str, resource: &str) -> Ticket {
            match self.begin("ada", content, resource).await.unwrap() {
                Begun::Run(ticket) => ticket,
                Begun::Done(_) => panic!("done already"),
            }
        }
    }

    #[tokio::test]
    async fn a_request_that_was_carried_out_tells_what_it_made() {
        let world = World::new(None);
        let ticket = world.run("pay 5", "p1").await;
        assert_eq!((ticket.resource(), ticket.decided_at()), ("p1", world.clock.now()));
        world.keys.finish(&ticket).await.unwrap();
        let Begun::Done(made) = world.begin("ada", "pay 5", "p2").await.unwrap() else { panic!() };
        assert_eq!(made, "p1");
        // The same key of somebody else is another one.
        let Begun::Run(other) = world.begin("bob", "pay 5", "p3").await.unwrap() else { panic!() };
        assert_eq!(other.resource(), "p3");
    }

    #[tokio::test]
    async fn a_key_is_for_one_request() {
        let world = World::new(None);
        let ticket = world.run("pay 5", "p1").await;
        assert!(matches!(world.begin("ada", "pay 6", "p2").await, Err(Error::Reused)));
        world.keys.finish(&ticket).await.unwrap();
        let error = world.begin("ada", "pay 6", "p2").await.unwrap_err().outward();
        assert_eq!((error.code.name(), error.code.http()), ("IDEMPOTENCY_KEY_REUSED", 409));
    }

    #[tokio::test]
    async fn one_works_on_a_key_until_it_gives_up_or_its_lease_ends() {
        let world = World::new(None);
        let first = world.run("pay 5", "p1").await;
        let error = world.begin("ada", "pay 5", "p2").await.unwrap_err().outward();
        assert_eq!((error.code.name(), error.code.http()), ("REQUEST_IN_PROGRESS", 409));
        world.keys.release(&first).await.unwrap();
        let second = world.run("pay 5", "p3").await;
        assert_eq!(
            (second.resource(), second.decided_at()),
            ("p1", first.decided_at()),
            "what was decided stays"
        );
        world.clock.advance(LEASE);
        let third = world.run("pay 5", "p4").await;
        assert_eq!(third.resource(), "p1");
        // Who was given up says nothing any more.
        world.keys.release(&second).await.unwrap();
        assert!(matches!(world.begin("ada", "pay 5", "p5").await, Err(Error::Running { .. })));
        world.keys.finish(&third).await.unwrap();
        assert!(
            matches!(world.begin("ada", "pay 5", "p6").await.unwrap(), Begun::Done(made) if made == "p1")
        );
    }

    #[tokio::test]
    async fn who_is_alone_does_not_wait_for_the_dead() {
        let mut world = World::new(None);
        world.run("pay 5", "p1").await;
        world.keys = Keys::new(world.store.clone(), world.clock.clone(), Sharing::Shared).unwrap();
        assert!(matches!(world.begin("ada", "pay 5", "p2").await, Err(Error::Running { .. })));
        world.keys = Keys::new(world.store.clone(), world.clock.clone(), Sharing::Alone).unwrap();
        let ticket = world.run("pay 5", "p3").await;
        assert_eq!(ticket.resource(), "p1");
        assert!(
            matches!(world.begin("ada", "pay 5", "p4").await, Err(Error::Running { .. })),
            "not with itself"
        );
    }

    #[tokio::test]
    async fn of_many_at_once_one_runs_whatever_the_store_forgets_to_say() {
        let faults = Faults { unknown_done: 20, unknown_lost: 20, read_timeout: 0 };
        let world = World::new(Some(faults));
        let world = &world;
        let tries = (0..50).map(|n| async move { world.begin("ada", "pay 5", &format!("p{n}")).await });
        let mut run = 0;
        for begun in futures::future::join_all(tries).await {
            match begun {
                Ok(Begun::Run(_)) => run += 1,
                Ok(Begun::Done(_)) => panic!("nobody finished"),
                Err(Error::Running { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(run, 1);
    }
}
