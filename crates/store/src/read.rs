//! Reads: one row ([`Get`]), a range of one partition ([`Scan`]), and the whole table in token order ([`TokenScan`]).

use crate::row::Row;
use crate::table::Table;
use crate::token::Token;
use crate::value::{Value, Values};
use std::ops::Bound;

/// How fresh a read must be. On the embedded store both are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// Sees every plain write that was acknowledged (a quorum read). A conditional write whose outcome is unknown may show
    /// later.
    #[default]
    Regular,
    /// Linearizable (a serial read): it first settles any conditional write in flight on the partition. What resolves an
    /// [`Outcome::Unknown`](crate::Outcome::Unknown).
    Latest,
}

/// Which rows of the table one [`Get`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The row with this clustering key, and its partition's statics.
    Row(Values),
    /// The statics alone.
    Statics,
}

/// A point read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    /// The table.
    pub table: &'static Table,
    /// The partition key.
    pub partition: Values,
    /// What to read in it.
    pub target: Target,
    /// How fresh.
    pub read: Read,
}

impl Get {
    /// One row. The clustering key of a table without one is `()`. Gives `None` where the row does not exist, even if its
    /// partition has statics.
    pub fn row(table: &'static Table, partition: impl Into<Values>, clustering: impl Into<Values>) -> Self {
        Self {
            table,
            partition: partition.into(),
            target: Target::Row(clustering.into()),
            read: Read::Regular,
        }
    }

    /// A partition's statics; `None` where none has a value.
    pub fn statics(table: &'static Table, partition: impl Into<Values>) -> Self {
        Self { table, partition: partition.into(), target: Target::Statics, read: Read::Regular }
    }

    /// As a serial read: see [`Read::Latest`].
    #[must_use]
    pub const fn latest(mut self) -> Self {
        self.read = Read::Latest;
        self
    }
}

/// A range of clustering keys: equal on the first columns, then bounded on the next one. Bounds are in terms of the column's
/// values, whatever the order it is stored in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The values of the first clustering columns; may be empty.
    pub prefix: Values,
    /// The smallest value of the column after the prefix.
    pub low: Bound<Value>,
    /// The largest.
    pub high: Bound<Value>,
}

impl Range {
    /// Every row of the partition.
    pub fn all() -> Self {
        Self::prefix(())
    }

    /// The rows whose first clustering columns have these values.
    pub fn prefix(prefix: impl Into<Values>) -> Self {
        Self { prefix: prefix.into(), low: Bound::Unbounded, high: Bound::Unbounded }
    }

    /// With the next column at least `value`.
    #[must_use]
    pub fn at_least(mut self, value: impl Into<Value>) -> Self {
        self.low = Bound::Included(value.into());
        self
    }

    /// With the next column above `value`.
    #[must_use]
    pub fn above(mut self, value: impl Into<Value>) -> Self {
        self.low = Bound::Excluded(value.into());
        self
    }

    /// With the next column at most `value`.
    #[must_use]
    pub fn at_most(mut self, value: impl Into<Value>) -> Self {
        self.high = Bound::Included(value.into());
        self
    }

    /// With the next column below `value`.
    #[must_use]
    pub fn below(mut self, value: impl Into<Value>) -> Self {
        self.high = Bound::Excluded(value.into());
        self
    }
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// In the table's clustering order.
    #[default]
    Forward,
    /// Against it.
    Reverse,
}

/// A read of consecutive rows of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The table.
    pub table: &'static Table,
    /// The partition key.
    pub partition: Values,
    /// Which rows.
    pub range: Range,
    /// Only rows after this clustering key, in the scan's direction: where the page before ended. The row itself need not
    /// exist any more.
    pub after: Option<Values>,
    /// Which way.
    pub direction: Direction,
    /// At most this many rows; 1 to [`limits::PAGE_ROWS`](crate::limits::PAGE_ROWS).
    pub limit: usize,
    /// Whether [`Page::statics`] is wanted.
    pub statics: bool,
    /// How fresh.
    pub read: Read,
}

impl Scan {
    /// The first `limit` rows of a partition, in its order, without statics.
    pub fn new(table: &'static Table, partition: impl Into<Values>, limit: usize) -> Self {
        Self {
            table,
            partition: partition.into(),
            range: Range::all(),
            after: None,
            direction: Direction::Forward,
            limit,
            statics: false,
            read: Read::Regular,
        }
    }

    /// Only this range.
    #[must_use]
    pub fn range(mut self, range: Range) -> Self {
        self.range = range;
        self
    }

    /// Only what comes after this clustering key in the scan's direction.
    #[must_use]
    pub fn after(mut self, clustering: impl Into<Values>) -> Self {
        self.after = Some(clustering.into());
        self
    }

    /// Against the table's order.
    #[must_use]
    pub const fn reverse(mut self) -> Self {
        self.direction = Direction::Reverse;
        self
    }

    /// With the partition's statics.
    #[must_use]
    pub const fn with_statics(mut self) -> Self {
        self.statics = true;
        self
    }

    /// As a serial read: see [`Read::Latest`].
    #[must_use]
    pub const fn latest(mut self) -> Self {
        self.read = Read::Latest;
        self
    }
}

/// What a [`Scan`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The partition's statics, if they were asked for and one has a value.
    pub statics: Option<Row>,
    /// The rows, in the scan's direction.
    pub rows: Vec<Row>,
    /// Whether there are more rows after these.
    pub more: bool,
}

/// A range of tokens, as CQL has it: above `after`, up to and including `upto`. No partition has the smallest token, so
/// [`TokenRange::FULL`] holds them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenRange {
    /// Excluded.
    pub after: Token,
    /// Included.
    pub upto: Token,
}

impl TokenRange {
    /// Every partition.
    pub const FULL: Self = Self { after: Token(i64::MIN), upto: Token(i64::MAX) };

    /// Cuts the range into at most `parts` consecutive ones of about the same size.
    pub fn split(self, parts: u32) -> Vec<Self> {
        let (low, high) = (i128::from(self.after.0), i128::from(self.upto.0));
        let parts = i128::from(parts.max(1));
        let cut = |part: i128| Token((low + (high - low) * part / parts) as i64);
        (0..parts)
            .map(|part| Self { after: cut(part), upto: cut(part + 1) })
            .filter(|range| range.after < range.upto)
            .collect()
    }
}

/// What a [`TokenScan`] yields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Yield {
    /// Every row with its partition's statics. A partition that has statics but no row gives one [`Row`] with null
    /// clustering.
    #[default]
    Rows,
    /// One [`Row`] a partition, with its key and statics only (CQL's `SELECT DISTINCT`).
    Partitions,
}

/// A read of the whole table, or a token range of it, partition after partition in token order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenScan {
    /// The table.
    pub table: &'static Table,
    /// Which partitions.
    pub tokens: TokenRange,
    /// Where the page before ended.
    pub resume: Option<Resume>,
    /// At most this many rows; 1 to [`limits::PAGE_ROWS`](crate::limits::PAGE_ROWS).
    pub limit: usize,
    /// Rows or partitions.
    pub yields: Yield,
}

impl TokenScan {
    /// The first `limit` rows of the whole table.
    pub const fn new(table: &'static Table, limit: usize) -> Self {
        Self { table, tokens: TokenRange::FULL, resume: None, limit, yields: Yield::Rows }
    }

    /// Only these partitions.
    #[must_use]
    pub const fn tokens(mut self, tokens: TokenRange) -> Self {
        self.tokens = tokens;
        self
    }

    /// After what an earlier page ended with.
    #[must_use]
    pub fn resume(mut self, resume: Option<Resume>) -> Self {
        self.resume = resume;
        self
    }

    /// One row a partition: see [`Yield::Partitions`].
    #[must_use]
    pub const fn partitions(mut self) -> Self {
        self.yields = Yield::Partitions;
        self
    }
}

/// Where a [`TokenScan`] page ended: the key of its last row. It can be stored with [`Resume::to_bytes`] and taken up later, by
/// another process too; rows written meanwhile behind it are not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The partition key of the last row.
    pub partition: Values,
    /// Its clustering key; `None` where the row stands for a whole partition.
    pub clustering: Option<Values>,
}

/// What a [`TokenScan`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenPage {
    /// The rows, in token order and inside a partition in clustering order.
    pub rows: Vec<Row>,
    /// Where to go on; `None` at the end of the range.
    pub resume: Option<Resume>,
}
