//! Writes: mutations of one partition, grouped into a [`Batch`] (unconditional) or a [`Cas`] (conditional). Each is atomic by
//! itself; nothing is atomic across partitions.
//!
//! A batch may touch a row once: two upserts of one row, or a range deletion over a row that the batch also writes, would have
//! no defined order on Cassandra, where all mutations of a batch carry one timestamp. Such a batch is refused.

use crate::read::{Range, Target};
use crate::row::Row;
use crate::table::Table;
use crate::value::{Value, Values};

/// How long a written cell lives, in whole seconds as CQL has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// The longest: 20 years.
    pub const MAX: Self = Self(630_720_000);

    /// This many seconds, brought into 1 to [`Ttl::MAX`].
    pub const fn seconds(seconds: u32) -> Self {
        Self(if seconds == 0 {
            1
        } else if seconds > Self::MAX.0 {
            Self::MAX.0
        } else {
            seconds
        })
    }

    /// In seconds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Writes some columns of one row, or of a partition's statics; the other columns keep their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upsert {
    /// Which row.
    pub target: Target,
    /// Columns and their new values; a null deletes the cell.
    pub set: Vec<(&'static str, Value)>,
    /// How long these cells, and the row's existence if nothing else keeps it, shall last; `None` for ever.
    pub ttl: Option<Ttl>,
}

/// Writes some columns of the row with this clustering key (`()` for a table without one). The row exists afterwards, even if
/// no column is set; with a [`Ttl`], as long as that, or as long as a cell that was written without one.
pub fn upsert(clustering: impl Into<Values>) -> Upsert {
    Upsert { target: Target::Row(clustering.into()), set: Vec::with_capacity(8), ttl: None }
}

/// Writes some static columns of the partition.
pub const fn upsert_statics() -> Upsert {
    Upsert { target: Target::Statics, set: Vec::new(), ttl: None }
}

impl Upsert {
    /// With this column set; `None` deletes the cell.
    #[must_use]
    pub fn set(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.set.push((column, value.into()));
        self
    }

    /// Only for this long.
    #[must_use]
    pub const fn ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// One change inside a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Writes columns.
    Upsert(Upsert),
    /// Deletes the row with this clustering key; nothing happens if there is none.
    Delete(Values),
    /// Deletes every row in a range. Not in a [`Cas`].
    DeleteRange(Range),
}

/// Deletes the row with this clustering key (`()` for a table without one).
pub fn delete(clustering: impl Into<Values>) -> Mutation {
    Mutation::Delete(clustering.into())
}

/// Deletes the rows in a range.
pub const fn delete_range(range: Range) -> Mutation {
    Mutation::DeleteRange(range)
}

impl From<Upsert> for Mutation {
    fn from(upsert: Upsert) -> Self {
        Self::Upsert(upsert)
    }
}

/// Mutations of one partition that happen together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The table.
    pub table: &'static Table,
    /// The partition key.
    pub partition: Values,
    /// What to change.
    pub mutations: Vec<Mutation>,
}

impl Batch {
    /// An empty batch; add to it [`with`](Self::with).
    pub fn new(table: &'static Table, partition: impl Into<Values>) -> Self {
        Self { table, partition: partition.into(), mutations: Vec::new() }
    }

    /// With this mutation too.
    #[must_use]
    pub fn with(mut self, mutation: impl Into<Mutation>) -> Self {
        self.mutations.push(mutation.into());
        self
    }
}

/// What must hold for a [`Cas`] to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The row that it is about, or the statics.
    pub target: Target,
    /// What must hold of it.
    pub test: Test,
}

/// A test of one row, or of a partition's statics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// There is no such row; no static has a value.
    NotExists,
    /// There is such a row; some static has a value.
    Exists,
    /// The column has this value; never true of a row that does not exist. A null value means [`Test::IsNull`].
    Equals(&'static str, Value),
    /// The column has no value; true of a row that does not exist.
    IsNull(&'static str),
}

/// Mutations of one partition that happen together if all conditions hold, and otherwise not at all.
///
/// Some rules follow from what conditional batches can do in CQL. A condition on a row needs a mutation of the same row in the
/// batch, and [`Test::NotExists`] or [`Test::Exists`] of statics an upsert of statics; [`Test::Exists`] of a row needs a column set or the
/// row deleted, and cannot stand beside [`Test::IsNull`] of the same row. And never mix conditional and plain
/// writes on one row: on a cluster they are ordered by different clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cas {
    /// The table.
    pub table: &'static Table,
    /// The partition key.
    pub partition: Values,
    /// What must hold: all of these, at least one.
    pub conditions: Vec<Condition>,
    /// What to change then.
    pub mutations: Vec<Mutation>,
}

impl Cas {
    /// A conditional batch without conditions and mutations yet.
    pub fn new(table: &'static Table, partition: impl Into<Values>) -> Self {
        Self { table, partition: partition.into(), conditions: Vec::new(), mutations: Vec::new() }
    }

    /// If the row does not exist.
    #[must_use]
    pub fn if_absent(self, clustering: impl Into<Values>) -> Self {
        self.when(Target::Row(clustering.into()), Test::NotExists)
    }

    /// If the row exists.
    #[must_use]
    pub fn if_exists(self, clustering: impl Into<Values>) -> Self {
        self.when(Target::Row(clustering.into()), Test::Exists)
    }

    /// If a column of the row has this value, or none for a null.
    #[must_use]
    pub fn if_equals(
        self,
        clustering: impl Into<Values>,
        column: &'static str,
        value: impl Into<Value>,
    ) -> Self {
        self.when(Target::Row(clustering.into()), Test::Equals(column, value.into()))
    }

    /// If a static column has this value, or none for a null.
    #[must_use]
    pub fn if_static(self, column: &'static str, value: impl Into<Value>) -> Self {
        self.when(Target::Statics, Test::Equals(column, value.into()))
    }

    /// If this condition holds too.
    #[must_use]
    pub fn when(mut self, target: Target, test: Test) -> Self {
        let test = match test {
            Test::Equals(column, Value::Null) => Test::IsNull(column),
            test => test,
        };
        self.conditions.push(Condition { target, test });
        self
    }

    /// With this mutation.
    #[must_use]
    pub fn with(mut self, mutation: impl Into<Mutation>) -> Self {
        self.mutations.push(mutation.into());
        self
    }
}

/// What became of a [`Cas`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a conditional write that was not applied did nothing"]
pub enum Outcome {
    /// The conditions held and the mutations are durable.
    Applied,
    /// A condition did not hold; nothing changed. This is what stood there.
    Conflict(Current),
    /// It may or may not have been applied (a time-out, a lost connection). Settle it with a [`Read::Latest`] of the row;
    /// never guess, never just send it again.
    ///
    /// [`Read::Latest`]: crate::Read::Latest
    Unknown,
}

impl Outcome {
    /// Whether the mutations were applied for certain.
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied)
    }
}

/// The rows that the conditions of a [`Cas`] were about, as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Those of them that exist, each with its partition's statics.
    pub rows: Vec<Row>,
    /// The partition's statics, if any has a value.
    pub statics: Option<Row>,
}

impl Current {
    /// The row with this clustering key, if it is one of those and exists.
    pub fn row(&self, clustering: impl Into<Values>) -> Option<&Row> {
        let clustering = clustering.into();
        self.rows.iter().find(|row| row.clustering().as_ref() == Some(&clustering))
    }
}
