//! One partition's log: what is where, and how it is read.

use super::append::Writer;
use super::{BUS_LOG, BUS_SEGMENTS};
use crate::error::Error;
use crate::record::Record;
use crate::traits::{Batch, Bounds, Fetch, Stored};
use bytes::Bytes;
use prost::Message as _;
use riskmesh_core::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Get, Mutation, Range, Row, Scan, Store, Values, delete, delete_range, upsert};
use tokio::sync::watch;

/// Rows of the first scan of a fetch, while nothing is known of the size of records, and of the later ones.
const FIRST_PAGE: usize = 16;
const MAX_PAGE: usize = 4096;

/// A partition's log.
pub(super) struct Log {
    pub(super) store: Arc<dyn Store>,
    pub(super) topic: Arc<str>,
    pub(super) index: u32,
    segment: i64,
    /// The segments there are, the oldest first. Never empty once there was a record: the last one is not dropped.
    segments: Mutex<VecDeque<Segment>>,
    /// The next offset to be written; everything below is durable.
    high: watch::Receiver<i64>,
}

/// A segment of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Its first offset divided by the size of segments.
    pub(super) number: i64,
    /// When its first record was appended.
    pub(super) first_at: Timestamp,
}

impl Log {
    /// Finds out where the log begins and ends, and finishes what retention had begun.
    pub(super) async fn recover(
        store: &Arc<dyn Store>,
        topic: Arc<str>,
        index: u32,
        segment: i64,
    ) -> Result<(Arc<Self>, Writer), Error> {
        let failed = Error::store("recover the log");
        let (watch, high) = watch::channel(0);
        let log = Self { store: store.clone(), topic, index, segment, segments: Mutex::default(), high };
        let mut dropped = Vec::new();
        let mut after: Option<i64> = None;
        loop {
            let mut scan = Scan::new(&BUS_SEGMENTS, log.key(), 1000);
            scan.after = after.map(Values::from);
            let page = store.scan(scan).await.map_err(&failed)?;
            for row in &page.rows {
                let number = row.bigint("segment").map_err(&failed)?;
                let first_at = row.timestamp("first_at").map_err(&failed)?;
                after = Some(number);
                if row.boolean_opt("dropped").map_err(&failed)? == Some(true) {
                    dropped.push(number);
                } else {
                    log.add(Segment { number, first_at });
                }
            }
            if !page.more {
                break;
            }
        }
        for number in dropped {
            log.erase(number).await?;
        }

        let last = log.segments().back().copied();
        let mut writer = Writer { next: 0, last_at: Timestamp::MIN, high: watch };
        if let Some(last) = last {
            let scan = Scan::new(&BUS_LOG, log.segment_key(last.number), 1).reverse();
            let page = store.scan(scan).await.map_err(&failed)?;
            (writer.next, writer.last_at) = match page.rows.first() {
                Some(row) => {
                    (row.bigint("position").map_err(&failed)? + 1, row.timestamp("at").map_err(&failed)?)
                }
                None => (log.base_of(last.number), last.first_at),
            };
            writer.high.send_replace(writer.next);
        }
        Ok((Arc::new(log), writer))
    }

    pub(super) fn key(&self) -> Values {
        (&*self.topic, self.index as i32).into()
    }

    fn segment_key(&self, segment: i64) -> Values {
        (&*self.topic, self.index as i32, segment).into()
    }

    /// An empty write to a segment.
    pub(super) fn batch(&self, segment: i64) -> store::Batch {
        store::Batch::new(&BUS_LOG, self.segment_key(segment))
    }

    pub(super) const fn segment_of(&self, offset: i64) -> i64 {
        offset / self.segment
    }

    pub(super) const fn base_of(&self, segment: i64) -> i64 {
        segment * self.segment
    }

    pub(super) fn segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends to the list of segments; again is no harm.
    pub(super) fn add(&self, segment: Segment) {
        let mut segments = self.segments();
        if segments.back().is_none_or(|last| last.number < segment.number) {
            segments.push_back(segment);
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let high = *self.high.borrow();
        let low = self.segments().front().map_or(high, |first| self.base_of(first.number));
        // A segment that has just begun, and has no record yet, may lie ahead of the watermark.
        Bounds { low: low.min(high), high }
    }

    pub(super) async fn fetch(&self, fetch: &Fetch) -> Result<Batch, Error> {
        self.check(fetch.offset)?;
        let mut high = self.high.clone();
        if *high.borrow_and_update() <= fetch.offset && !fetch.max_wait.is_zero() {
            let more = high.wait_for(|high| *high > fetch.offset);
            if let Ok(Err(_)) = tokio::time::timeout(fetch.max_wait, more).await {
                return Err(Error::Closed);
            }
        }
        let high_watermark = *high.borrow_and_update();
        let records = self.read(fetch, high_watermark).await?;
        Ok(Batch { records, high_watermark })
    }

    fn check(&self, offset: i64) -> Result<(), Error> {
        let Bounds { low, high } = self.bounds();
        if (low..=high).contains(&offset) { Ok(()) } else { Err(Error::OutOfRange { offset, low, high }) }
    }

    async fn read(&self, fetch: &Fetch, high: i64) -> Result<Vec<Stored>, Error> {
        let failed = Error::store("read the log");
        let max_records = fetch.max_records.max(1);
        let mut records: Vec<Stored> = Vec::new();
        let mut bytes = 0;
        let mut page = FIRST_PAGE;
        let mut offset = fetch.offset;
        while offset < high && records.len() < max_records {
            let segment = self.segment_of(offset);
            let end = high.min(self.base_of(segment + 1));
            let limit = page.min(max_records - records.len());
            let scan = Scan::new(&BUS_LOG, self.segment_key(segment), limit)
                .range(Range::all().at_least(offset).below(end));
            let rows = self.store.scan(scan).await.map_err(&failed)?.rows;
            if rows.is_empty() {
                // Retention may have overtaken this read; otherwise records are missing.
                self.check(fetch.offset)?;
                return Err(failed(corrupt("sequence of records")));
            }
            for row in &rows {
                let stored = to_stored(row).map_err(&failed)?;
                if stored.offset != offset {
                    return Err(failed(corrupt("sequence of records")));
                }
                bytes += stored.record.size();
                if bytes > fetch.max_bytes && !records.is_empty() {
                    return Ok(records);
                }
                records.push(stored);
                offset += 1;
            }
            // As many as are likely to fit: so that no scan reads much more than was asked for.
            let average = (bytes / records.len()).max(1);
            page = (fetch.max_bytes.saturating_sub(bytes) / average).clamp(1, MAX_PAGE);
        }
        Ok(records)
    }

    /// The first offset at or after an instant: by segment, then by halving.
    pub(super) async fn offset_at(&self, at: Timestamp) -> Result<i64, Error> {
        let Bounds { low, high } = self.bounds();
        let (mut first, mut end) = {
            let segments = self.segments();
            // The last segment that begins before `at` is the first that may hold it; the next one begins with it at the latest.
            let after = segments.partition_point(|segment| segment.first_at < at);
            let first = after.checked_sub(1).map_or(low, |before| self.base_of(segments[before].number));
            let end = segments.get(after).map_or(high, |segment| self.base_of(segment.number));
            (first.max(low), end.min(high))
        };
        while first < end {
            let middle = i64::midpoint(first, end);
            let get = Get::row(&BUS_LOG, self.segment_key(self.segment_of(middle)), middle);
            let failed = Error::store("find an offset by time");
            let Some(row) = self.store.get(get).await.map_err(&failed)? else {
                self.check(low)?;
                return Err(failed(corrupt("sequence of records")));
            };
            if row.timestamp("at").map_err(&failed)? < at {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(first)
    }

    /// Drops a segment for good: it is marked, so that a crash in between is made good by [`Log::recover`].
    pub(super) async fn drop_segment(&self, segment: Segment) -> Result<(), Error> {
        let mark = upsert(segment.number).set("first_at", segment.first_at).set("dropped", true);
        self.store
            .apply(vec![store::Batch::new(&BUS_SEGMENTS, self.key()).with(mark)])
            .await
            .map_err(Error::store("mark a segment"))?;
        self.segments().retain(|other| other.number != segment.number);
        self.erase(segment.number).await
    }

    async fn erase(&self, segment: i64) -> Result<(), Error> {
        let failed = Error::store("drop a segment");
        let records = self.batch(segment).with(delete_range(Range::all()));
        self.store.apply(vec![records]).await.map_err(&failed)?;
        let entry = store::Batch::new(&BUS_SEGMENTS, self.key()).with(delete(segment));
        self.store.apply(vec![entry]).await.map_err(failed)
    }
}

fn corrupt(what: &'static str) -> store::Error {
    store::Error::Corrupt { table: BUS_LOG.name, what }
}

/// The headers of a record as they are stored.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredHeaders {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<StoredHeader>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredHeader {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

pub(super) fn to_mutation(offset: i64, at: Timestamp, record: &Record) -> Mutation {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| StoredHeader { name: name.to_owned(), value: value.clone() })
        .collect();
    upsert(offset)
        .set("at", at)
        .set("record_key", record.key.clone())
        .set("headers", StoredHeaders { headers }.encode_to_vec())
        .set("payload", record.payload.clone())
        .into()
}

fn to_stored(row: &Row) -> Result<Stored, store::Error> {
    let headers =
        StoredHeaders::decode(row.blob("headers")?.clone()).map_err(|_| corrupt("headers of a record"))?;
    let mut record = Record::new(row.blob("record_key")?.clone(), row.blob("payload")?.clone());
    for header in headers.headers {
        record.headers.insert(header.name, header.value);
    }
    Ok(Stored { offset: row.bigint("position")?, at: row.timestamp("at")?, record })
}
