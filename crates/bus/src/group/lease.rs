//! Leases on partitions, fenced by an epoch: the state machine of one row of [`LEASES`].
//!
//! A member *acquires* a partition whose lease was never given, was given back, or has expired: the epoch goes up by one, so that
//! whoever held it before can change the row no more. It *renews* the lease and commits its offset in one conditional write under
//! its epoch, and *releases* it with its last offset. Nobody else can raise an offset; [`rewind`](rewind()) lowers one, under a new epoch.
//!
//! Expiry is by the wall clocks of the members, so a badly set clock can make a takeover early: then two members work for a while,
//! but only the later one's offsets are accepted. An owner stops by its own monotonic clock ([`Lease::held_until`]), counted from
//! before the renewal was sent and a tenth short of what the row promises.

mod rewind;

pub use rewind::Rewound;
pub(crate) use rewind::rewind;

use super::LEASES;
use crate::error::Error;
use riskmesh_core::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Cas, Current, Get, Outcome, Row, Store, Values, upsert};

/// Where no time is: the `expires_at` of a lease that was given back.
const RELEASED: Timestamp = Timestamp(0);

/// A partition as a group sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
}

/// A lease that this member holds, as far as it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) part: Part,
    pub(crate) epoch: i64,
    /// The committed offset: the next one to handle.
    pub(crate) next_offset: i64,
    /// Work must stop then.
    pub(crate) held_until: Instant,
}

/// When something is done, by both clocks; read before anything is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Instant,
}

/// What became of an attempt to get a lease.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// It is ours.
    Held(Lease),
    /// Somebody holds it.
    Taken,
    /// Nobody can tell; to be tried again.
    Unsettled,
}

/// What became of a renewal or a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// It was done.
    Done,
    /// Somebody has taken the lease over; what was to be committed was refused.
    Lost,
    /// Nobody can tell, or the store did not answer: the old deadline stands, to be tried again.
    Unsettled,
}

/// The leases of one group from the view of one member.
pub(crate) struct Leases {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) group: Arc<str>,
    /// Unique among all members and all starts of them.
    pub(crate) member: Arc<str>,
    pub(crate) duration: Duration,
    /// Whether a lease is taken even from a holder whose time has not run out.
    pub(crate) seize: bool,
}

/// A row of [`LEASES`].
struct Held<'a> {
    owner: Option<&'a str>,
    epoch: i64,
    expires_at: Timestamp,
    next_offset: i64,
}

impl<'a> Held<'a> {
    fn read(row: &'a Row) -> Result<Self, Error> {
        let failed = Error::store("read a lease");
        Ok(Self {
            owner: row.text_opt("owner").map_err(&failed)?,
            epoch: row.bigint("epoch").map_err(&failed)?,
            expires_at: row.timestamp("expires_at").map_err(&failed)?,
            next_offset: row.bigint("next_offset").map_err(&failed)?,
        })
    }
}

impl Leases {
    fn key(&self, part: &Part) -> Values {
        (&*self.group, &*part.topic, part.partition as i32).into()
    }

    fn get(&self, part: &Part) -> Get {
        Get::row(&LEASES, self.key(part), ()).latest()
    }

    fn held_until(&self, now: Moment) -> Instant {
        now.monotonic + self.duration * 9 / 10
    }

    /// Tries to get the lease of a partition; `start` is the offset of a group that has none yet.
    pub(crate) async fn acquire(&self, part: &Part, start: i64, now: Moment) -> Result<Acquired, Error> {
        let failed = Error::store("acquire a lease");
        let row = self.store.get(self.get(part)).await.map_err(&failed)?;
        let held = row.as_ref().map(Held::read).transpose()?;
        let free = held.as_ref().is_none_or(|held| {
            self.seize || held.expires_at <= now.wall || held.owner.is_none_or(|owner| owner == &*self.member)
        });
        if !free {
            return Ok(Acquired::Taken);
        }
        let epoch = held.as_ref().map_or(0, |held| held.epoch) + 1;
        let next_offset = held.as_ref().map_or(start, |held| held.next_offset);
        let wanted = Cas::new(&LEASES, self.key(part)).with(
            upsert(())
                .set("owner", &*self.member)
                .set("epoch", epoch)
                .set("expires_at", now.wall.plus(self.duration))
                .set("next_offset", next_offset),
        );
        let wanted = match &held {
            None => wanted.if_absent(()),
            // The epoch does not change by a renewal: the two other conditions see one that came in between.
            Some(held) => wanted
                .if_equals((), "epoch", held.epoch)
                .if_equals((), "expires_at", held.expires_at)
                .if_equals((), "next_offset", held.next_offset),
        };
        let lease = Lease { part: part.clone(), epoch, next_offset, held_until: self.held_until(now) };
        match self.store.cas(wanted).await.map_err(&failed)? {
            Outcome::Applied => Ok(Acquired::Held(lease)),
            Outcome::Conflict(_) => Ok(Acquired::Taken),
            Outcome::Unknown => {
                let Ok(row) = self.store.get(self.get(part)).await else { return Ok(Acquired::Unsettled) };
                let now_held = row.as_ref().map(Held::read).transpose()?;
                let ours =
                    now_held.is_some_and(|held| held.epoch == epoch && held.owner == Some(&*self.member));
                Ok(if ours { Acquired::Held(lease) } else { Acquired::Unsettled })
            }
        }
    }

    /// Renews leases and commits an offset with each. The answers stand in the order of the leases; those that were done are
    /// brought up to date.
    pub(crate) async fn renew(
        &self,
        leases: &mut [(&mut Lease, i64)],
        now: Moment,
    ) -> Result<Vec<Renewed>, Error> {
        let expires_at = now.wall.plus(self.duration);
        let writes = leases
            .iter()
            .map(|(lease, offset)| {
                self.under_epoch(lease)
                    .with(upsert(()).set("expires_at", expires_at).set("next_offset", *offset))
            })
            .collect();
        let outcomes = self.store.cas_many(writes).await.map_err(Error::store("renew leases"))?;
        let mut answers = Vec::with_capacity(outcomes.len());
        for ((lease, offset), outcome) in leases.iter_mut().zip(outcomes) {
            let wanted = |held: &Held<'_>| held.expires_at == expires_at && held.next_offset == *offset;
            let answer = self.settle(lease, outcome, wanted).await?;
            if answer == Renewed::Done {
                lease.next_offset = *offset;
                lease.held_until = self.held_until(now);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Gives a lease back with its last offset; the next member can have it at once.
    pub(crate) async fn release(&self, lease: &Lease, offset: i64) -> Result<Renewed, Error> {
        let given_back =
            upsert(()).set("owner", None::<String>).set("expires_at", RELEASED).set("next_offset", offset);
        let write = self.under_epoch(lease).with(given_back);
        let outcome = self.store.cas(write).await.map_err(Error::store("release a lease"))?;
        self.settle(lease, outcome, |held| held.owner.is_none()).await
    }

    /// Those of the leases that are not of their epoch any more: somebody has taken them over, or has rewound the group.
    pub(crate) async fn fenced<'a>(
        &self,
        leases: impl Iterator<Item = &'a Lease> + Send,
    ) -> Result<Vec<Part>, Error> {
        let failed = Error::store("look at leases");
        let leases: Vec<&Lease> = leases.collect();
        let gets = leases.iter().map(|lease| self.get(&lease.part)).collect();
        let rows = self.store.get_many(gets).await.map_err(&failed)?;
        let mut fenced = Vec::new();
        for (lease, row) in leases.into_iter().zip(rows) {
            let held = row.as_ref().map(Held::read).transpose()?;
            if held.is_none_or(|held| held.epoch != lease.epoch) {
                fenced.push(lease.part.clone());
            }
        }
        Ok(fenced)
    }

    fn under_epoch(&self, lease: &Lease) -> Cas {
        Cas::new(&LEASES, self.key(&lease.part)).if_equals((), "epoch", lease.epoch)
    }

    /// What an outcome means for a write under the lease's epoch; `done` recognises its effect in the row.
    async fn settle(
        &self,
        lease: &Lease,
        outcome: Outcome,
        done: impl Fn(&Held<'_>) -> bool + Send + Sync,
    ) -> Result<Renewed, Error> {
        match outcome {
            Outcome::Applied => Ok(Renewed::Done),
            Outcome::Conflict(Current { .. }) => Ok(Renewed::Lost),
            Outcome::Unknown => {
                let Ok(row) = self.store.get(self.get(&lease.part)).await else {
                    return Ok(Renewed::Unsettled);
                };
                let held = row.as_ref().map(Held::read).transpose()?;
                Ok(match held {
                    Some(held) if held.epoch == lease.epoch && done(&held) => Renewed::Done,
                    Some(held) if held.epoch == lease.epoch => Renewed::Unsettled,
                    _ => Renewed::Lost,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
