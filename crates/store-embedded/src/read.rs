//! Reads: against a snapshot, which holds whole commits only, on the calling thread.
//!
//! A point read of cached blocks takes a few microseconds, less than handing it to another thread, and one that must go to the
//! disk about a hundred: short enough for an async worker. So only long reads (table scans, pages above
//! [`INLINE_ROWS`]) move to the blocking pool; the caller in `lib.rs` does that.

use crate::Inner;
use crate::compile::within;
use crate::layout::{Layout, Parts, ROW, STATICS};
use crate::record::Record;
use crate::writer::engine_error;
use fjall::{Guard, Readable as _, Slice, Snapshot};
use std::ops::Bound;
use store::{
    Direction, Error, Get, Page, Resume, Row, Scan, Target, Token, TokenPage, TokenScan, Values, Yield,
    check, clustering,
};

/// Scans of at most this many rows run on the calling thread.
pub(crate) const INLINE_ROWS: usize = 1024;
/// A table scan looks at no more keys than this for one page: it then returns what it has.
const TOKEN_SCAN_KEYS: usize = 100_000;
/// A scan of partitions steps over this many rows of one before it seeks to the next.
const STEPS_BEFORE_SEEK: usize = 8;

impl Inner {
    pub(crate) fn get_now(&self, get: &Get, snapshot: &Snapshot) -> Result<Option<Row>, Error> {
        check::get(get)?;
        let layout = self.layouts.of(get.table)?;
        let prefix = layout.prefix(&get.partition);
        let now = self.clock.now().millis();
        let row = match &get.target {
            Target::Statics => None,
            Target::Row(key) => match read(snapshot, layout, &layout.row_key(&prefix, key))? {
                Some(row) => Some((row, key)),
                None => return Ok(None),
            },
        };
        let record = row.as_ref().map(|(bytes, _)| Record::parse(get.table, bytes)).transpose()?;
        if let Some(record) = record
            && !record.exists(now)?
        {
            return Ok(None);
        }
        let statics = if get.table.statics.is_empty() {
            None
        } else {
            read(snapshot, layout, &Layout::statics_key(&prefix))?
        };
        let statics = statics.as_deref().map(|bytes| Record::parse(get.table, bytes)).transpose()?;
        if record.is_none() && !statics.map_or(Ok(false), |statics| statics.exists(now))? {
            return Ok(None);
        }
        layout.row(&get.partition, row.as_ref().map(|(_, key)| *key), statics, record, now).map(Some)
    }

    pub(crate) fn scan_now(&self, scan: &Scan) -> Result<Page, Error> {
        check::scan(scan)?;
        let layout = self.layouts.of(scan.table)?;
        let prefix = layout.prefix(&scan.partition);
        let rows = layout.row_key(&prefix, &Values::default());
        let now = self.clock.now().millis();
        let snapshot = self.database.snapshot();
        let mut page = Page::default();
        if scan.statics
            && let Some(bytes) = read(&snapshot, layout, &Layout::statics_key(&prefix))?
        {
            let statics = Record::parse(scan.table, &bytes)?;
            if statics.exists(now)? {
                page.statics = Some(layout.row(&scan.partition, None, Some(statics), None, now)?);
            }
        }
        let (start, end) =
            clustering::bounds_after(scan.table, &scan.range, scan.after.as_ref(), scan.direction);
        let (start, end) = within(&rows, &start, end.as_deref());
        if start >= end {
            return Ok(page);
        }
        let mut found = snapshot.range(&layout.keyspace, start..end);
        while let Some(guard) = match scan.direction {
            Direction::Forward => found.next(),
            Direction::Reverse => found.next_back(),
        } {
            let (key, value) = pair(guard)?;
            let record = Record::parse(scan.table, &value)?;
            if !record.exists(now)? {
                continue;
            }
            if page.rows.len() == scan.limit {
                page.more = true;
                break;
            }
            let clustering = clustering::decode(scan.table, &key[rows.len()..])?;
            page.rows.push(layout.row(&scan.partition, Some(&clustering), None, Some(record), now)?);
        }
        Ok(page)
    }

    pub(crate) fn token_scan_now(&self, scan: &TokenScan) -> Result<TokenPage, Error> {
        check::token_scan(scan)?;
        let layout = self.layouts.of(scan.table)?;
        let Some((start, end)) = token_bounds(layout, scan) else { return Ok(TokenPage::default()) };
        let mut walk = Walk {
            layout,
            snapshot: self.database.snapshot(),
            end,
            yields: scan.yields,
            limit: scan.limit,
            now: self.clock.now().millis(),
            looked_at: 0,
            page: TokenPage::default(),
        };
        match scan.yields {
            Yield::Rows => walk.rows(start)?,
            Yield::Partitions => walk.partitions(start)?,
        }
        Ok(walk.page)
    }
}

pub(crate) fn read(snapshot: &Snapshot, layout: &Layout, key: &[u8]) -> Result<Option<Slice>, Error> {
    snapshot.get(&layout.keyspace, key).map_err(|source| engine_error("read", source))
}

fn pair(guard: Guard) -> Result<(Slice, Slice), Error> {
    guard.into_inner().map_err(|source| engine_error("scan", source))
}

/// The keys of a table scan; `None` if it is empty.
fn token_bounds(layout: &Layout, scan: &TokenScan) -> Option<(Vec<u8>, Bound<Vec<u8>>)> {
    if scan.tokens.after >= scan.tokens.upto {
        return None;
    }
    let first = Token(scan.tokens.after.0 + 1).to_ordered_bytes().to_vec();
    let start = scan.resume.as_ref().map_or_else(Vec::new, |resume| {
        let prefix = layout.prefix(&resume.partition);
        match (&resume.clustering, scan.yields) {
            // The next possible key after that one.
            (Some(key), _) => [layout.row_key(&prefix, key).as_slice(), &[0]].concat(),
            // The partition had no rows: what it has now is new.
            (None, Yield::Rows) => [prefix.as_slice(), &[ROW]].concat(),
            (None, Yield::Partitions) => [prefix.as_slice(), &[ROW + 1]].concat(),
        }
    });
    let end = match scan.tokens.upto {
        Token(i64::MAX) => Bound::Unbounded,
        Token(upto) => Bound::Excluded(Token(upto + 1).to_ordered_bytes().to_vec()),
    };
    let start = start.max(first);
    match &end {
        Bound::Excluded(end) if start >= *end => None,
        _ => Some((start, end)),
    }
}

/// A walk over the keys of a table.
struct Walk<'a> {
    layout: &'a Layout,
    snapshot: Snapshot,
    end: Bound<Vec<u8>>,
    yields: Yield,
    limit: usize,
    now: i64,
    looked_at: usize,
    page: TokenPage,
}

/// The partition that a walk is in.
struct Here {
    prefix: Vec<u8>,
    partition: Values,
    statics: Option<Slice>,
    rows: usize,
}

impl Walk<'_> {
    fn rows(&mut self, start: Vec<u8>) -> Result<(), Error> {
        let mut here: Option<Here> = None;
        for guard in self.range(start) {
            let (key, value) = pair(guard)?;
            let parts = self.layout.parse(&key)?;
            if here.as_ref().is_none_or(|here| *here.prefix != *parts.prefix) {
                if let Some(left) = here.take() {
                    self.leave(&left)?;
                }
                if self.is_full() {
                    self.pause();
                    return Ok(());
                }
                here = Some(self.enter(&parts)?);
            } else if self.is_full() {
                self.pause();
                return Ok(());
            }
            self.looked_at += 1;
            let Some(here) = &mut here else { continue };
            if parts.kind == STATICS {
                here.statics = Some(value);
                continue;
            }
            let record = Record::parse(self.layout.table, &value)?;
            if record.exists(self.now)? {
                here.rows += 1;
                let clustering = clustering::decode(self.layout.table, parts.clustering)?;
                let statics = self.statics(here)?;
                let row =
                    self.layout.row(&here.partition, Some(&clustering), statics, Some(record), self.now)?;
                self.page.rows.push(row);
            }
        }
        match here {
            Some(left) => self.leave(&left),
            None => Ok(()),
        }
    }

    fn partitions(&mut self, mut start: Vec<u8>) -> Result<(), Error> {
        loop {
            let mut here: Option<Here> = None;
            let mut alive = false;
            let mut steps = 0;
            let mut next = None;
            for guard in self.range(start) {
                let (key, value) = pair(guard)?;
                let parts = self.layout.parse(&key)?;
                if here.as_ref().is_none_or(|here| *here.prefix != *parts.prefix) {
                    self.yield_partition(here.take(), alive)?;
                    if self.is_full() {
                        self.pause();
                        return Ok(());
                    }
                    (alive, steps) = (false, 0);
                    here = Some(self.enter(&parts)?);
                }
                self.looked_at += 1;
                steps += 1;
                let Some(current) = &mut here else { continue };
                alive = alive || Record::parse(self.layout.table, &value)?.exists(self.now)?;
                if parts.kind == STATICS {
                    current.statics = Some(value);
                }
                if alive && steps >= STEPS_BEFORE_SEEK {
                    next = Some([parts.prefix, &[ROW + 1]].concat());
                    break;
                }
            }
            self.yield_partition(here, alive)?;
            match next {
                Some(_) if self.is_full() => {
                    self.pause();
                    return Ok(());
                }
                Some(key) if self.inside(&key) => start = key,
                _ => return Ok(()),
            }
        }
    }

    fn range(&self, start: Vec<u8>) -> fjall::Iter {
        self.snapshot.range(&self.layout.keyspace, (Bound::Included(start), self.end.clone()))
    }

    fn inside(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Excluded(end) => key < end.as_slice(),
            _ => true,
        }
    }

    /// A page can be cut short by what was looked at only after it has a row to resume from.
    fn is_full(&self) -> bool {
        self.page.rows.len() >= self.limit
            || (self.looked_at >= TOKEN_SCAN_KEYS && !self.page.rows.is_empty())
    }

    fn pause(&mut self) {
        self.page.resume = self.page.rows.last().map(|row| Resume {
            partition: row.partition(),
            clustering: if self.yields == Yield::Rows { row.clustering() } else { None },
        });
    }

    fn enter(&self, parts: &Parts<'_>) -> Result<Here, Error> {
        // Statics come first in their partition, except where the walk starts inside one.
        let statics = if parts.kind == STATICS || self.layout.table.statics.is_empty() || self.looked_at > 0 {
            None
        } else {
            read(&self.snapshot, self.layout, &Layout::statics_key(parts.prefix))?
        };
        // Inside a partition: the page before has yielded it.
        let rows = usize::from(statics.is_some());
        Ok(Here { prefix: parts.prefix.to_vec(), partition: parts.partition.clone(), statics, rows })
    }

    fn statics<'a>(&self, here: &'a Here) -> Result<Option<Record<'a>>, Error> {
        here.statics.as_deref().map(|bytes| Record::parse(self.layout.table, bytes)).transpose()
    }

    /// Ends a partition: one that has statics but gave no row stands for itself.
    fn leave(&mut self, here: &Here) -> Result<(), Error> {
        let Some(statics) = self.statics(here)? else { return Ok(()) };
        if here.rows == 0 && statics.exists(self.now)? {
            self.page.rows.push(self.layout.row(&here.partition, None, Some(statics), None, self.now)?);
        }
        Ok(())
    }

    fn yield_partition(&mut self, here: Option<Here>, alive: bool) -> Result<(), Error> {
        if let Some(here) = here.filter(|_| alive) {
            let statics = self.statics(&here)?;
            self.page.rows.push(self.layout.row(&here.partition, None, statics, None, self.now)?);
        }
        Ok(())
    }
}
