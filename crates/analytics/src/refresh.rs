//! Brings the hours of an account up to date: reads the entries of its dirty hours again and replaces what is kept of them.

use crate::domain::dirty::{Stretch, stretches};
use crate::error::Error;
use crate::repo::hours::{BATCH_HOURS, Hours};
use crate::upstream::Upstream;
use futures::TryStreamExt as _;
use risk::{Entry, Hour, HourState};
use riskmesh_core::{AccountId, TenantId};
use std::collections::BTreeSet;
use std::pin::pin;
use store::race::Race;

/// Recomputes hours.
#[derive(Clone)]
pub(crate) struct Refresh {
    pub(crate) hours: Hours,
    pub(crate) upstream: Upstream,
}

impl Refresh {
    /// When this returns, what is kept of these hours holds every entry that was recorded before the call.
    pub(crate) async fn account(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        dirty: &BTreeSet<i64>,
    ) -> Result<(), Error> {
        let mut version = None;
        for stretch in stretches(dirty, BATCH_HOURS) {
            let mut race = Race::default();
            loop {
                if !race.again((tenant, account)).await {
                    return Err(Error::Contended { doing: "write account state" });
                }
                // The version of our own last write is as good as one read now: nobody came in between, or the next write fails.
                let before = match version {
                    Some(version) => version,
                    None => self.hours.version(tenant, account).await?,
                };
                let states = self.recompute(tenant, account, &stretch).await?;
                version = self.hours.write(tenant, account, &states, before).await?;
                if version.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The states of a stretch's dirty hours, from their entries as they are now.
    async fn recompute(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        stretch: &Stretch,
    ) -> Result<Vec<HourState>, Error> {
        let pieces = self.upstream.entries(tenant, account, stretch.start_ms(), stretch.end_ms()).await?;
        let mut pieces = pin!(pieces);
        let mut fold = Fold::new(&stretch.hours);
        while let Some(piece) = pieces.try_next().await? {
            piece.into_iter().try_for_each(|entry| fold.add(entry))?;
        }
        Ok(fold.finish())
    }
}

/// Makes hours of entries that come in the order of time, holding the entries of one hour at a time.
struct Fold<'a> {
    /// The hours to make, ascending; those before `states.len()` are made.
    hours: &'a [Hour],
    states: Vec<HourState>,
    /// The entries so far of the next hour to make.
    entries: Vec<Entry>,
    last_ms: i64,
}

impl<'a> Fold<'a> {
    fn new(hours: &'a [Hour]) -> Self {
        Self { hours, states: Vec::with_capacity(hours.len()), entries: Vec::new(), last_ms: i64::MIN }
    }

    fn add(&mut self, entry: Entry) -> Result<(), Error> {
        if entry.at_ms < self.last_ms {
            return Err(Error::Answer { doing: "scan transactions", field: "bookedAt" });
        }
        self.last_ms = entry.at_ms;
        while self.next().is_some_and(|next| next < entry.hour()) {
            self.make();
        }
        if self.next() == Some(entry.hour()) {
            self.entries.push(entry);
        }
        Ok(())
    }

    fn next(&self) -> Option<Hour> {
        self.hours.get(self.states.len()).copied()
    }

    fn make(&mut self) {
        if let Some(hour) = self.next() {
            self.states.push(HourState::from_entries(hour, &self.entries));
            self.entries.clear();
        }
    }

    fn finish(mut self) -> Vec<HourState> {
        while self.next().is_some() {
            self.make();
        }
        self.states
    }
}
