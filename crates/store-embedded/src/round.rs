//! One round of the writer: what all queued operations are about is read in key order, then decided operation by operation in
//! the order of arrival, then written in key order. The key order is for speed alone: neighbours in a skip list or in a table
//! file share most of the way to them, which makes a bulk write several times faster.

use crate::compile::{Change, Condition, Expect, Ops, Span};
use crate::expiry;
use crate::layout::{Layout, Layouts};
use crate::record::{self, Record};
use crate::writer::{Answer, Done, Found, engine_error};
use fjall::{Database, Keyspace, OwnedWriteBatch, Readable as _, Slice, Snapshot};
use smallvec::SmallVec;
use store::{Error, limits};

pub(crate) struct Round<'a> {
    layouts: &'a Layouts,
    ops: &'a [Ops],
    snapshot: Snapshot,
    now: i64,
    threads: usize,
    /// Every row that a condition or a change names, once, in order of table and key.
    rows: Vec<State>,
    /// For each job the index in `rows` of each of its conditions, then of each of its changes.
    slots: Vec<Vec<u32>>,
    /// Rows deleted by a range and not in `rows`.
    deleted: Vec<(u16, Slice)>,
    /// Entries of the expiry index to put or to remove.
    index: Vec<(Slice, bool)>,
    /// What the operation at hand makes of `rows`, before it is certain that all of it can be done.
    pending: Vec<(u32, Option<Slice>)>,
    scratch: Vec<u8>,
}

/// Where a key is written down.
#[derive(Clone, Copy)]
struct Name {
    table: u16,
    job: u32,
    key: Span,
}

/// A key in a condition or a change.
struct Mention {
    /// The first bytes of the key, as a number: enough to order almost all.
    token: u64,
    name: Name,
    slot: u32,
    /// Whether the row's old state is needed.
    reads: bool,
}

/// A row in a round.
struct State {
    name: Name,
    /// Whether the old state is needed by anyone.
    reads: bool,
    /// What is stored, with this round's changes so far; not read if nothing needs it.
    row: Option<Slice>,
    changed: bool,
}

/// From this many rows on, reading them is spread over threads.
const PARALLEL_ROWS: usize = 4096;
/// The most threads that read for a round.
pub(crate) const READ_THREADS: usize = 4;

/// The slot of a change without a row.
const NONE: u32 = u32::MAX;

impl<'a> Round<'a> {
    /// Reads what the operations of all jobs need.
    pub(crate) fn new(
        layouts: &'a Layouts,
        ops: &'a [Ops],
        snapshot: Snapshot,
        now: i64,
        threads: usize,
    ) -> Result<Self, Error> {
        let mut slots: Vec<_> =
            ops.iter().map(|ops| vec![NONE; ops.conditions.len() + ops.changes.len()]).collect();
        let mut round = Self {
            layouts,
            snapshot,
            now,
            threads,
            rows: Vec::new(),
            slots: Vec::new(),
            deleted: Vec::new(),
            index: Vec::new(),
            pending: Vec::new(),
            scratch: Vec::new(),
            ops,
        };
        let names = round.names();
        round.rows.reserve(names.len());
        let mut names = names.into_iter().peekable();
        while let Some(first) = names.next() {
            let slot = round.rows.len() as u32;
            let mut reads = first.reads;
            slots[first.name.job as usize][first.slot as usize] = slot;
            while let Some(same) = names.next_if(|next| round.same(&first, next)) {
                reads |= same.reads;
                slots[same.name.job as usize][same.slot as usize] = slot;
            }
            round.rows.push(State { name: first.name, reads, row: None, changed: false });
        }
        round.slots = slots;
        round.read_rows()?;
        Ok(round)
    }

    /// Every mention of a key, in order of table and key.
    fn names(&self) -> Vec<Mention> {
        let count = self.ops.iter().map(|ops| ops.conditions.len() + ops.changes.len()).sum();
        let mut names = Vec::with_capacity(count);
        for (job, ops) in self.ops.iter().enumerate() {
            let mut mention = |table, key, slot: usize, reads| {
                let token = ops.get(key).first_chunk().map_or(0, |token| u64::from_be_bytes(*token));
                let name = Name { table, job: job as u32, key };
                names.push(Mention { token, name, slot: slot as u32, reads });
            };
            for op in ops.iter() {
                for slot in op.conditions {
                    mention(op.table, ops.conditions[slot].key, slot, true);
                }
                for change in op.changes {
                    let Some(key) = ops.changes[change].key() else { continue };
                    mention(op.table, key, ops.conditions.len() + change, ops.changes[change].reads());
                }
            }
        }
        names.sort_unstable_by(|left, right| {
            let by_token = (left.name.table, left.token).cmp(&(right.name.table, right.token));
            by_token.then_with(|| self.key(left.name).cmp(self.key(right.name)))
        });
        names
    }

    fn same(&self, left: &Mention, right: &Mention) -> bool {
        left.token == right.token
            && left.name.table == right.name.table
            && self.key(left.name) == self.key(right.name)
    }

    fn key(&self, name: Name) -> &'a [u8] {
        self.ops[name.job as usize].get(name.key)
    }

    /// Reads the rows whose state is needed, a large round on several threads.
    fn read_rows(&mut self) -> Result<(), Error> {
        let mut rows = std::mem::take(&mut self.rows);
        let read = |rows: &mut [State]| {
            for state in rows.iter_mut().filter(|state| state.reads) {
                state.row = self.read(self.layouts.at(state.name.table), self.key(state.name))?;
            }
            Ok(())
        };
        let threads = if rows.len() < PARALLEL_ROWS { 1 } else { self.threads };
        let share = rows.len().div_ceil(threads).max(1);
        let outcome = std::thread::scope(|scope| {
            let mut shares = rows.chunks_mut(share);
            let mine = shares.next();
            let others: Vec<_> = shares.map(|share| scope.spawn(|| read(share))).collect();
            mine.map_or(Ok(()), read)?;
            let lost = |_| Error::Backend { operation: "read for write", source: "a reader panicked".into() };
            others.into_iter().try_for_each(|other| other.join().map_err(lost)?)
        });
        self.rows = rows;
        outcome
    }

    fn read(&self, layout: &Layout, key: &[u8]) -> Result<Option<Slice>, Error> {
        self.snapshot.get(&layout.keyspace, key).map_err(|source| engine_error("read for write", source))
    }

    /// Decides the operations of one job.
    pub(crate) fn run(&mut self, job: usize) -> Answer {
        let ops = &self.ops[job];
        let slots = std::mem::take(&mut self.slots[job]);
        let (conditions, changes) = slots.split_at(ops.conditions.len());
        let mut done = SmallVec::with_capacity(ops.len());
        for op in ops.iter() {
            let tests = op.conditions.clone().map(|at| (&ops.conditions[at], conditions[at]));
            if self.holds(ops, op.table, tests)? {
                self.change(ops, op.table, op.changes.map(|at| (&ops.changes[at], changes[at])))?;
                done.push(Done::Applied);
            } else {
                let rows = conditions[op.conditions.clone()].iter();
                let rows = rows.map(|slot| self.rows[*slot as usize].row.clone()).collect();
                let statics = self.statics(op.table, ops.get(ops.conditions[op.conditions.start].key))?;
                done.push(Done::Conflict(Box::new(Found { rows, statics })));
            }
        }
        Ok(done)
    }

    fn holds<'b>(
        &self,
        ops: &Ops,
        table: u16,
        conditions: impl Iterator<Item = (&'b Condition, u32)>,
    ) -> Result<bool, Error> {
        for (condition, slot) in conditions {
            let table = self.layouts.at(table).table;
            let row = self.rows[slot as usize].row.as_deref();
            let record = row.map(|bytes| Record::parse(table, bytes)).transpose()?;
            let exists = || record.map_or(Ok(false), |record| record.exists(self.now));
            let cell = |id| record.map_or(Ok(None), |record| record.live(id, self.now));
            let holds = match &condition.test {
                Expect::Absent => !exists()?,
                Expect::Present => exists()?,
                Expect::Null(id) => cell(*id)?.is_none(),
                Expect::Equals(id, value) => cell(*id)?.is_some_and(|cell| cell.value == ops.get(*value)),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The statics of the partition that a key is in.
    fn statics(&self, table: u16, key: &[u8]) -> Result<Option<Slice>, Error> {
        let layout = self.layouts.at(table);
        if layout.table.statics.is_empty() {
            return Ok(None);
        }
        let key = Layout::statics_key(layout.parse(key)?.prefix);
        match self.find(table, &key) {
            Ok(slot) if self.rows[slot].changed => Ok(self.rows[slot].row.clone()),
            _ => self.read(layout, &key),
        }
    }

    /// Where a key stands in `rows`, or would stand.
    fn find(&self, table: u16, key: &[u8]) -> Result<usize, usize> {
        self.rows.binary_search_by(|state| {
            state.name.table.cmp(&table).then_with(|| self.key(state.name).cmp(key))
        })
    }

    fn change<'b>(
        &mut self,
        ops: &Ops,
        table: u16,
        changes: impl Iterator<Item = (&'b Change, u32)> + Clone,
    ) -> Result<(), Error> {
        self.pending.clear();
        let mut deleted = Vec::new();
        for (change, slot) in changes.clone() {
            match change {
                Change::Put { patch, replaces, .. } => {
                    let row = self.put(table, slot, ops.get(*patch), *replaces)?;
                    self.pending.push((slot, row));
                }
                Change::Delete { .. } => self.pending.push((slot, None)),
                Change::DeleteRange { start, end } => {
                    self.delete_range(table, ops.get(*start), ops.get(*end), &mut deleted)?;
                }
                Change::Purge { .. } => self.purge(table, slot)?,
                Change::Unindex { .. } => {}
            }
        }
        // Nothing has changed yet, and nothing can fail any more.
        for (slot, row) in self.pending.drain(..) {
            let state = &mut self.rows[slot as usize];
            (state.row, state.changed) = (row, true);
        }
        self.deleted.extend(deleted.into_iter().map(|key| (table, key)));
        for (change, _) in changes {
            match change {
                Change::Put { key, expires: Some(at), .. } => {
                    let entry = expiry::key(*at, self.layouts.at(table).table.name, ops.get(*key));
                    self.index.push((entry.into(), true));
                }
                Change::Unindex { entry } => self.index.push((ops.get(*entry).into(), false)),
                _ => {}
            }
        }
        Ok(())
    }

    fn put(&mut self, table: u16, slot: u32, patch: &[u8], replaces: bool) -> Result<Option<Slice>, Error> {
        let table = self.layouts.at(table).table;
        if replaces && !record::is_empty(patch) {
            return Ok(Some(patch.into()));
        }
        let old = if replaces { None } else { self.rows[slot as usize].row.as_deref() };
        let exists = record::merge(table, old, patch, self.now, &mut self.scratch)?;
        Ok(exists.then(|| self.scratch.as_slice().into()))
    }

    fn purge(&mut self, table: u16, slot: u32) -> Result<(), Error> {
        let Some(stored) = self.rows[slot as usize].row.as_deref() else { return Ok(()) };
        let exists = record::purge(self.layouts.at(table).table, stored, self.now, &mut self.scratch)?;
        if !exists || *self.scratch != *stored {
            let row = exists.then(|| self.scratch.as_slice().into());
            self.pending.push((slot, row));
        }
        Ok(())
    }

    fn delete_range(
        &mut self,
        table: u16,
        start: &[u8],
        end: &[u8],
        deleted: &mut Vec<Slice>,
    ) -> Result<(), Error> {
        if start >= end {
            return Ok(());
        }
        let layout = self.layouts.at(table);
        for (count, guard) in self.snapshot.range(&layout.keyspace, start..end).enumerate() {
            if count == limits::RANGE_DELETE_ROWS {
                return Err(Error::TooLarge {
                    table: layout.table.name,
                    what: "number of rows in a range deletion",
                    actual: count + 1,
                    limit: limits::RANGE_DELETE_ROWS,
                });
            }
            let key = guard.key().map_err(|source| engine_error("read for write", source))?;
            if self.find(table, &key).is_err() {
                deleted.push(key);
            }
        }
        let (Ok(first) | Err(first)) = self.find(table, start);
        let (Ok(last) | Err(last)) = self.find(table, end);
        self.pending.extend((first..last).map(|slot| (slot as u32, None)));
        Ok(())
    }

    /// All that has changed, as one batch.
    pub(crate) fn into_batch(self, database: &Database, expiry: &Keyspace) -> OwnedWriteBatch {
        let changed = self.rows.iter().filter(|state| state.changed).count();
        let capacity = changed + self.deleted.len() + self.index.len();
        let mut batch = OwnedWriteBatch::with_capacity(database.clone(), capacity);
        for state in self.rows.iter().filter(|state| state.changed) {
            let keyspace = &self.layouts.at(state.name.table).keyspace;
            match &state.row {
                Some(row) => batch.insert(keyspace, self.key(state.name), row.clone()),
                None => batch.remove(keyspace, self.key(state.name)),
            }
        }
        for (table, key) in self.deleted {
            batch.remove(&self.layouts.at(table).keyspace, key);
        }
        // An entry may be removed by the sweeper and put again in one round: the last word counts.
        let mut index = self.index;
        index.reverse();
        index.sort_by(|left, right| left.0.cmp(&right.0));
        index.dedup_by(|later, earlier| later.0 == earlier.0);
        for (entry, put) in index {
            if put {
                batch.insert(expiry, entry, Slice::empty());
            } else {
                batch.remove(expiry, entry);
            }
        }
        batch
    }
}
