//! Reads: one row ([`Get`]), a range of one partition ([`Scan`]), and the whole table in token order ([`TokenScan`]).

use crate::error::Error;
use crate::key;
use crate::row::Row;
use crate::table::{Column, Table};
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

impl Resume {
    /// Bytes to store. They hold key values, so they are as private as the rows are.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.clustering.is_some())];
        let clustering = self.clustering.iter().flat_map(Values::as_slice);
        for value in self.partition.as_slice().iter().chain(clustering) {
            bytes.extend_from_slice(&(value.size() as u16).to_be_bytes());
            key::put(value, &mut bytes);
        }
        bytes
    }

    /// Back from [`Resume::to_bytes`], for a scan of the same table.
    pub fn from_bytes(table: &'static Table, mut bytes: &[u8]) -> Result<Self, Error> {
        let refused = || Error::Corrupt { table: table.name, what: "place in a table scan" };
        let has_clustering = match bytes.split_off_first() {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(refused()),
        };
        let mut take = |column: Column| {
            let len = u16::from_be_bytes(bytes.split_off(..2)?.try_into().ok()?);
            key::value(column, bytes.split_off(..usize::from(len))?)
        };
        let mut values = |columns: &mut dyn Iterator<Item = Column>| {
            let values: Option<Vec<Value>> = columns.map(&mut take).collect();
            values.map(Values::from).ok_or_else(refused)
        };
        let partition = values(&mut table.partition.iter().copied())?;
        let clustering = if has_clustering {
            Some(values(&mut table.clustering.iter().map(|key| key.column))?)
        } else {
            None
        };
        if bytes.is_empty() { Ok(Self { partition, clustering }) } else { Err(refused()) }
    }
}

/// What a [`TokenScan`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenPage {
    /// The rows, in token order and inside a partition in clustering order.
    pub rows: Vec<Row>,
    /// Where to go on; `None` at the end of the range.
    pub resume: Option<Resume>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{asc, bigint, blob, desc, text};

    static TABLE: Table =
        Table::new("t", &[text("p"), bigint("q")]).clustering(&[asc(blob("a")), desc(text("b"))]);

    #[test]
    fn a_stored_place_is_found_again() {
        let partition = Values::from(("p\0", -1_i64));
        for clustering in [None, Some((vec![0_u8, 255], "")), Some((vec![], "ß"))] {
            let resume = Resume { partition: partition.clone(), clustering: clustering.map(Into::into) };
            let bytes = resume.to_bytes();
            assert_eq!(Resume::from_bytes(&TABLE, &bytes).unwrap(), resume);
            for len in 0..bytes.len() {
                assert!(Resume::from_bytes(&TABLE, &bytes[..len]).is_err());
            }
            assert!(Resume::from_bytes(&TABLE, &[bytes.as_slice(), &[0]].concat()).is_err());
        }
    }

    #[test]
    fn a_split_ring_has_no_gaps() {
        for parts in [1, 2, 3, 7, 1000] {
            let ranges = TokenRange::FULL.split(parts);
            assert_eq!(ranges.len(), parts as usize);
            assert_eq!(
                (ranges[0].after, ranges[ranges.len() - 1].upto),
                (TokenRange::FULL.after, TokenRange::FULL.upto)
            );
            assert!(ranges.windows(2).all(|pair| pair[0].upto == pair[1].after));
        }
        let narrow = TokenRange { after: Token(5), upto: Token(7) };
        assert_eq!(narrow.split(10).len(), 2);
    }
}
