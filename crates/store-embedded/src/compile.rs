//! Requests turned into what the writer thread works on: encoded keys, cells and expectations. This runs on the callers'
//! threads, so that the one writer has little to do. All operations of a call share a few flat vectors: a bulk import hands
//! over hundreds of thousands of mutations a second, and would otherwise spend its time in the allocator.

use crate::expiry;
use crate::layout::{Layout, Layouts};
use crate::record::{self, Marker};
use store::{Batch, Cas, Error, Mutation, Target, Test, Upsert, Value, Values, check, clustering};

/// The operations of one call.
#[derive(Default)]
pub(crate) struct Ops {
    /// What the spans point into.
    arena: Vec<u8>,
    list: Vec<Op>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) changes: Vec<Change>,
    /// Bytes of keys and values, for the bounds of a commit.
    pub(crate) bytes: usize,
}

/// Conditions and changes in one partition: applied together or not at all.
#[derive(Clone, Copy)]
struct Op {
    table: u16,
    /// Where this operation's conditions and changes end; they begin where those of the one before end.
    conditions: u32,
    changes: u32,
}

/// Bytes in the arena.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

pub(crate) struct Condition {
    pub(crate) key: Span,
    pub(crate) test: Expect,
}

pub(crate) enum Expect {
    Absent,
    Present,
    /// The column's value has this CQL serialization.
    Equals(u8, Span),
    Null(u8),
}

pub(crate) enum Change {
    /// Patches a row: see [`record::put_patch`].
    Put {
        key: Span,
        patch: Span,
        /// The old row does not matter.
        replaces: bool,
        /// When something of it expires, for the expiry index.
        expires: Option<i64>,
    },
    Delete {
        key: Span,
    },
    /// From the first key, included, to the second, excluded.
    DeleteRange {
        start: Span,
        end: Span,
    },
    /// Removes what has expired in a row.
    Purge {
        key: Span,
    },
    /// Removes an entry of the expiry index.
    Unindex {
        entry: Span,
    },
}

impl Change {
    /// The row that is changed.
    pub(crate) const fn key(&self) -> Option<Span> {
        match self {
            Self::Put { key, .. } | Self::Delete { key } | Self::Purge { key } => Some(*key),
            Self::DeleteRange { .. } | Self::Unindex { .. } => None,
        }
    }

    /// Whether the row's old state must be known.
    pub(crate) const fn reads(&self) -> bool {
        matches!(self, Self::Put { replaces: false, .. } | Self::Purge { .. })
    }
}

/// One operation, as the writer sees it. The ranges index [`Ops::conditions`] and [`Ops::changes`].
pub(crate) struct View {
    pub(crate) table: u16,
    pub(crate) conditions: std::ops::Range<usize>,
    pub(crate) changes: std::ops::Range<usize>,
}

impl Ops {
    /// Room for that much, with keys and cells of ordinary size.
    pub(crate) fn with_capacity(operations: usize, changes: usize) -> Self {
        Self {
            arena: Vec::with_capacity(changes.min(65_536) * 160),
            list: Vec::with_capacity(operations),
            conditions: Vec::new(),
            changes: Vec::with_capacity(changes),
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, span: Span) -> &[u8] {
        &self.arena[span.start as usize..span.end as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = View> + '_ {
        let (mut conditions, mut changes) = (0, 0);
        self.list.iter().map(move |op| {
            let view = View {
                table: op.table,
                conditions: conditions..op.conditions as usize,
                changes: changes..op.changes as usize,
            };
            (conditions, changes) = (op.conditions as usize, op.changes as usize);
            view
        })
    }

    pub(crate) fn add_batch(&mut self, layout: &Layout, batch: &Batch, now: i64) -> Result<(), Error> {
        self.bytes += check::batch(batch)?;
        let prefix = self.prefix(layout, &batch.partition);
        for mutation in &batch.mutations {
            self.change(layout, prefix, mutation, now)?;
        }
        self.end(layout.index);
        Ok(())
    }

    pub(crate) fn add_cas(&mut self, layout: &Layout, cas: &Cas, now: i64) -> Result<(), Error> {
        self.bytes += check::cas(cas)?;
        let prefix = self.prefix(layout, &cas.partition);
        let first = self.changes.len();
        for mutation in &cas.mutations {
            self.change(layout, prefix, mutation, now)?;
        }
        for condition in &cas.conditions {
            // Most conditions are about a row that the batch writes: that key is there already.
            let written = cas.mutations.iter().position(|mutation| match (mutation, &condition.target) {
                (Mutation::Upsert(upsert), target) => upsert.target == *target,
                (Mutation::Delete(key), Target::Row(row)) => key == row,
                _ => false,
            });
            let key = match written.and_then(|position| self.changes[first + position].key()) {
                Some(key) => key,
                None => self.key(layout, prefix, &condition.target),
            };
            let is_static = condition.target == Target::Statics;
            let test = match &condition.test {
                Test::NotExists => Expect::Absent,
                Test::Exists => Expect::Present,
                Test::IsNull(column) => Expect::Null(layout.id(is_static, column)?),
                Test::Equals(column, value) => {
                    let value = self.put(|arena| store::key::put(value, arena));
                    Expect::Equals(layout.id(is_static, column)?, value)
                }
            };
            self.conditions.push(Condition { key, test });
        }
        self.end(layout.index);
        Ok(())
    }

    /// Adds the purge of an expired row, from an entry of the expiry index. Of a table that is no longer declared only the entry
    /// goes.
    pub(crate) fn add_purge(&mut self, layouts: &Layouts, entry: &[u8]) {
        let open = expiry::parse(entry).and_then(|parsed| Some((layouts.get(parsed.table)?, parsed.row)));
        if let Some((_, row)) = open {
            let key = self.put(|arena| arena.extend_from_slice(row));
            self.changes.push(Change::Purge { key });
        }
        let entry = self.put(|arena| arena.extend_from_slice(entry));
        self.changes.push(Change::Unindex { entry });
        self.end(open.map_or(0, |(layout, _)| layout.index));
    }

    fn end(&mut self, table: u16) {
        let (conditions, changes) = (self.conditions.len() as u32, self.changes.len() as u32);
        self.list.push(Op { table, conditions, changes });
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.arena.len() as u32;
        write(&mut self.arena);
        Span { start, end: self.arena.len() as u32 }
    }

    fn prefix(&mut self, layout: &Layout, partition: &Values) -> Span {
        self.put(|arena| layout.put_prefix(partition, arena))
    }

    fn key(&mut self, layout: &Layout, prefix: Span, target: &Target) -> Span {
        self.put(|arena| {
            arena.extend_from_within(prefix.start as usize..prefix.end as usize);
            layout.put_rest(target, arena);
        })
    }

    fn change(&mut self, layout: &Layout, prefix: Span, mutation: &Mutation, now: i64) -> Result<(), Error> {
        let change = match mutation {
            Mutation::Upsert(upsert) => self.upsert(layout, prefix, upsert, now)?,
            Mutation::Delete(clustering) => {
                let key = self.put(|arena| {
                    arena.extend_from_within(prefix.start as usize..prefix.end as usize);
                    layout.put_row(clustering, arena);
                });
                Change::Delete { key }
            }
            Mutation::DeleteRange(range) => {
                let mut rows = self.get(prefix).to_vec();
                layout.put_row(&Values::default(), &mut rows);
                let (start, end) = clustering::bounds(layout.table, range);
                let (start, end) = within(&rows, &start, end.as_deref());
                Change::DeleteRange {
                    start: self.put(|arena| arena.extend_from_slice(&start)),
                    end: self.put(|arena| arena.extend_from_slice(&end)),
                }
            }
        };
        self.changes.push(change);
        Ok(())
    }

    fn upsert(&mut self, layout: &Layout, prefix: Span, upsert: &Upsert, now: i64) -> Result<Change, Error> {
        let is_static = upsert.target == Target::Statics;
        let mut cells: smallvec::SmallVec<[(u8, &Value); 16]> = upsert
            .set
            .iter()
            .map(|(column, value)| Ok((layout.id(is_static, column)?, value)))
            .collect::<Result<_, Error>>()?;
        cells.sort_unstable_by_key(|(id, _)| *id);
        let expires = upsert.ttl.map(|ttl| now.saturating_add(i64::from(ttl.get()) * 1000));
        let marker = match (is_static, expires) {
            (true, _) => Marker::None,
            (false, None) => Marker::Forever,
            (false, Some(at)) => Marker::Until(at),
        };
        // An upsert of every column leaves nothing of the old row.
        let replaces = cells.len() == layout.columns(is_static).0.len();
        let key = self.key(layout, prefix, &upsert.target);
        let patch = self.put(|arena| record::put_patch(marker, &cells, expires, replaces, arena));
        Ok(Change::Put { key, patch, replaces, expires })
    }
}

/// Bounds inside the rows of one partition as bounds among all keys of the table.
pub(crate) fn within(rows: &[u8], start: &[u8], end: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
    let end = end.map_or_else(
        // The kind byte is never FF, so there is a successor.
        || clustering::successor(rows).unwrap_or_default(),
        |end| [rows, end].concat(),
    );
    ([rows, start].concat(), end)
}
