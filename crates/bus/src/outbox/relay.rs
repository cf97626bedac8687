//! The relay: publishes what a crash, or a bus that did not answer, left behind.

use super::{GRACE, OUTBOX, Outbox, Outgoing, PendingSource, Place, SHARDS, minute_of};
use crate::consumer::Takeover;
use crate::error::Error;
use crate::record::Record;
use crate::traits::Bus;
use bytes::Bytes;
use futures::StreamExt as _;
use riskmesh_core::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Row, Scan, TokenScan, Values};
use tokio_util::sync::CancellationToken;

/// Pointers worked on at once, and read at once.
const AT_ONCE: usize = 16;
const PAGE: usize = 256;
/// Records of one publication.
const PUBLISH_RECORDS: usize = 1000;

/// How the relay looks for pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// [`Takeover::Immediate`]: this process is the only one, so what lies there when the relay starts was left behind by a former
    /// one, and is settled at once whatever its age. [`Takeover::WhenExpired`]: it may be another process's work in hand.
    pub takeover: Takeover,
    /// How often the last minutes are looked at.
    pub every: Duration,
    /// How often everything is looked at: what could not be published, and what was written late.
    pub full_every: Duration,
    /// How old a pointer must be, if another process may have written it; [`GRACE`] or more.
    pub grace: Duration,
    /// How old a pointer with nothing pending must be to be removed: its change of state will not happen any more.
    pub abandon_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            takeover: Takeover::WhenExpired,
            every: Duration::from_secs(1),
            full_every: Duration::from_mins(1),
            grace: GRACE,
            abandon_after: Duration::from_mins(15),
        }
    }
}

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Records published.
    pub published: usize,
    /// Pointers removed.
    pub settled: usize,
    /// Pointers left for later: young, in hand, or with nothing pending yet.
    pub kept: usize,
    /// Pointers whose events could not be read, published or cleared; they stay.
    pub failed: usize,
}

/// Publishes pending events that nobody else published.
pub struct Relay {
    outbox: Outbox,
    bus: Arc<dyn Bus>,
    sources: HashMap<&'static str, Arc<dyn PendingSource>>,
    config: Config,
}

/// A pointer as it was read.
struct Found {
    place: Place,
    at: Timestamp,
    source: Arc<dyn PendingSource>,
    reference: Bytes,
}

/// From which age on pointers are worked on, and removed with nothing pending.
#[derive(Clone, Copy)]
struct Ages {
    grace: Duration,
    abandon: Duration,
}

impl Relay {
    /// A relay for the pointers of these sources; others are left to other processes. [`Error::Config`] if two have one kind.
    pub fn new(
        outbox: Outbox,
        bus: Arc<dyn Bus>,
        sources: Vec<Arc<dyn PendingSource>>,
        config: Config,
    ) -> Result<Self, Error> {
        let mut by_kind = HashMap::new();
        for source in sources {
            if let Some(twice) = by_kind.insert(source.kind(), source) {
                return Err(Error::Config { what: format!("two sources of kind {}", twice.kind()) });
            }
        }
        Ok(Self { outbox, bus, sources: by_kind, config })
    }

    /// A full sweep, then one of the last minutes every second and a full one every minute, until `stop` is cancelled. To be started
    /// when the bus is open, before or together with the services.
    pub async fn run(self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.sweep_for_ever()).await;
    }

    async fn sweep_for_ever(&self) {
        while let Err(error) = self.recover().await {
            tracing::warn!(%error, "outbox sweep failed");
            tokio::time::sleep(self.config.every).await;
        }
        let mut full = Instant::now();
        loop {
            tokio::time::sleep(self.config.every).await;
            let swept = if full.elapsed() >= self.config.full_every {
                full = Instant::now();
                self.sweep_all().await
            } else {
                self.sweep_recent().await
            };
            match swept {
                Ok(swept) => swept.log(),
                Err(error) => tracing::warn!(%error, "outbox sweep failed"),
            }
        }
    }

    /// The sweep at the start: everything there is. As the only process ([`Takeover::Immediate`]) whatever its age.
    pub async fn recover(&self) -> Result<Swept, Error> {
        let ages = match self.config.takeover {
            Takeover::Immediate => Ages { grace: Duration::ZERO, abandon: Duration::ZERO },
            Takeover::WhenExpired => self.ages(),
        };
        let swept = self.sweep_table(ages).await?;
        swept.log();
        Ok(swept)
    }

    /// Everything there is that is old enough.
    pub async fn sweep_all(&self) -> Result<Swept, Error> {
        self.sweep_table(self.ages()).await
    }

    fn ages(&self) -> Ages {
        Ages { grace: self.config.grace, abandon: self.config.abandon_after }
    }

    async fn sweep_table(&self, ages: Ages) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let mut resume = None;
        loop {
            let scan = TokenScan::new(&OUTBOX, PAGE).resume(resume);
            let page =
                self.outbox.inner.store.token_scan(scan).await.map_err(Error::store("scan the outbox"))?;
            self.work_on(&page.rows, ages, &mut swept).await?;
            resume = page.resume;
            if resume.is_none() {
                return Ok(swept);
            }
        }
    }

    /// What was written in the minutes that have just come of age.
    pub async fn sweep_recent(&self) -> Result<Swept, Error> {
        let now = self.outbox.inner.clock.now();
        let old_enough = now.0 - i64::try_from(self.config.grace.as_millis()).unwrap_or(i64::MAX);
        let upto = minute_of(Timestamp(old_enough));
        let from = upto - 1 - (self.config.full_every.as_secs() / 60) as i64;
        let mut swept = Swept::default();
        for partition in (from..=upto).flat_map(|minute| (0..SHARDS).map(move |shard| (minute, shard))) {
            self.sweep_partition(partition, &mut swept).await?;
        }
        Ok(swept)
    }

    async fn sweep_partition(&self, partition: (i64, i32), swept: &mut Swept) -> Result<(), Error> {
        let mut after: Option<Values> = None;
        loop {
            let mut scan = Scan::new(&OUTBOX, partition, PAGE);
            scan.after = after;
            let page = self.outbox.inner.store.scan(scan).await.map_err(Error::store("scan the outbox"))?;
            self.work_on(&page.rows, self.ages(), swept).await?;
            if !page.more {
                return Ok(());
            }
            after = page.rows.last().and_then(Row::clustering);
        }
    }

    /// Publishes, clears and removes, as far as it goes: one pointer's trouble is not another's.
    async fn work_on(&self, rows: &[Row], ages: Ages, swept: &mut Swept) -> Result<(), Error> {
        let now = self.outbox.inner.clock.now();
        let mut due = Vec::new();
        for row in rows {
            let Some(found) = self.find(row).map_err(Error::store("read a pointer"))? else { continue };
            if found.at.plus(ages.grace) > now || self.outbox.inner.is_in_hand(found.place.id, now) {
                swept.kept += 1;
            } else {
                due.push(found);
            }
        }
        let reads: Vec<_> = due.into_iter().map(read).collect();
        let read: Vec<_> = futures::stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;

        let mut settled = Vec::new();
        let mut pending = Vec::new();
        for (found, events) in read {
            match events {
                Ok(events) if !events.is_empty() => pending.push((found, events)),
                Ok(_) if found.at.plus(ages.abandon) <= now => settled.push(found.place),
                Ok(_) => swept.kept += 1,
                Err(error) => swept.failed(found.source.kind(), &error),
            }
        }
        for chunk in chunks(pending) {
            self.publish(chunk, &mut settled, swept).await;
        }
        self.outbox.remove(&settled).await?;
        swept.settled += settled.len();
        Ok(())
    }

    async fn publish(&self, chunk: Vec<(Found, Vec<Outgoing>)>, settled: &mut Vec<Place>, swept: &mut Swept) {
        let mut topics: BTreeMap<&'static str, Vec<Record>> = BTreeMap::new();
        for event in chunk.iter().flat_map(|(_, events)| events) {
            topics.entry(event.topic).or_default().push(event.record.clone());
        }
        for (topic, records) in topics {
            let count = records.len();
            if let Err(error) = self.bus.publish(topic, records).await {
                // Which records are there nobody can tell: all of the chunk come again.
                for (found, _) in &chunk {
                    swept.failed(found.source.kind(), &error);
                }
                return;
            }
            swept.published += count;
        }
        for (found, events) in chunk {
            match found.source.clear(&found.reference, &events).await {
                Ok(()) => settled.push(found.place),
                Err(error) => swept.failed(found.source.kind(), &*error),
            }
        }
    }

    /// The pointer in a row, if its kind is one of ours.
    fn find(&self, row: &Row) -> Result<Option<Found>, store::Error> {
        let Some(source) = self.sources.get(row.text("kind")?) else { return Ok(None) };
        let place =
            Place { minute: row.bigint("minute")?, shard: row.int("shard")?, id: row.uuid("event_id")? };
        let (at, reference) = (row.timestamp("at")?, row.blob("reference")?.clone());
        Ok(Some(Found { place, at, source: source.clone(), reference }))
    }
}

impl Swept {
    /// What there was to do.
    fn log(self) {
        let Self { published, settled, kept, failed } = self;
        if published + settled + failed > 0 {
            tracing::info!(published, settled, kept, failed, "outbox swept");
        }
    }

    fn failed(&mut self, kind: &'static str, error: &dyn std::error::Error) {
        self.failed += 1;
        tracing::warn!(kind, %error, "pending event not published");
    }
}

async fn read(found: Found) -> (Found, Result<Vec<Outgoing>, Error>) {
    let events = found.source.pending(&found.reference).await;
    let kind = found.source.kind();
    (found, events.map_err(|source| Error::Pending { kind, source }))
}

/// Pointers with together about as many records as one publication takes.
fn chunks(pending: Vec<(Found, Vec<Outgoing>)>) -> Vec<Vec<(Found, Vec<Outgoing>)>> {
    let mut chunks: Vec<Vec<_>> = Vec::new();
    let mut records = usize::MAX;
    for (found, events) in pending {
        if records.saturating_add(events.len()) > PUBLISH_RECORDS {
            chunks.push(Vec::new());
            records = 0;
        }
        records += events.len();
        if let Some(chunk) = chunks.last_mut() {
            chunk.push((found, events));
        }
    }
    chunks
}
