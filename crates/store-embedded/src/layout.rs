//! Where rows stand. Each table is a keyspace (an LSM tree of its own); inside it a key is
//!
//! ```text
//! token:8  partition key  kind:1  clustering key
//! ```
//! with the token ordered, the partition key in CQL's serialization, `kind` 0 for the statics and 1 for a row, and the
//! clustering key memcomparable. So the key order is the order of a CQL table: by token, then partition key, then clustering.
//! CQL's composite partition keys say their own length; a key of one text or blob column is terminated instead, so that no
//! partition's prefix is the beginning of another's.

use crate::record::{self, Record};
use fjall::Keyspace;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Column, Error, Row, Table, Target, Token, Value, Values, clustering, key};

/// The kind of a key.
pub(crate) const STATICS: u8 = 0;
pub(crate) const ROW: u8 = 1;

/// A table, opened.
pub(crate) struct Layout {
    pub(crate) table: &'static Table,
    pub(crate) keyspace: Keyspace,
    /// Its place among the open tables.
    pub(crate) index: u16,
    /// Ids of the value columns, in declared order.
    values: Vec<u8>,
    /// Ids of the static columns, in declared order.
    statics: Vec<u8>,
}

/// A key taken apart.
pub(crate) struct Parts<'a> {
    /// Token and partition key.
    pub(crate) prefix: &'a [u8],
    pub(crate) partition: Values,
    pub(crate) kind: u8,
    pub(crate) clustering: &'a [u8],
}

/// The open tables, by name and by index.
#[derive(Clone, Default)]
pub(crate) struct Layouts {
    list: Vec<Arc<Layout>>,
    by_name: HashMap<&'static str, u16>,
}

impl Layouts {
    /// Adds a table; the ids are those of its value and static columns, in declared order.
    pub(crate) fn add(
        &mut self,
        table: &'static Table,
        keyspace: Keyspace,
        values: Vec<u8>,
        statics: Vec<u8>,
    ) {
        let index = self.list.len() as u16;
        self.list.push(Arc::new(Layout { table, keyspace, index, values, statics }));
        self.by_name.insert(table.name, index);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Layout>> {
        self.by_name.get(name).map(|index| &self.list[usize::from(*index)])
    }

    pub(crate) fn at(&self, index: u16) -> &Layout {
        &self.list[usize::from(index)]
    }

    /// The layout of a declared table.
    pub(crate) fn of(&self, table: &'static Table) -> Result<&Arc<Layout>, Error> {
        match self.get(table.name) {
            Some(layout) if std::ptr::eq(layout.table, table) || *layout.table == *table => Ok(layout),
            _ => Err(Error::UnknownTable { table: table.name }),
        }
    }
}

impl Layout {
    /// Appends token and partition key: what all keys of a partition start with.
    pub(crate) fn put_prefix(&self, partition: &Values, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        key::serialize(self.table, partition, out);
        let token = Token::of(&out[start + 8..]);
        if self.is_terminated() {
            let serialized = out.split_off(start + 8);
            clustering::put_terminated(&serialized, out);
        }
        out[start..start + 8].copy_from_slice(&token.to_ordered_bytes());
    }

    /// Appends to a prefix what makes it the key of a row.
    pub(crate) fn put_row(&self, clustering: &Values, out: &mut Vec<u8>) {
        out.push(ROW);
        clustering::encode(self.table, clustering, out);
    }

    /// Appends to a prefix what makes it the key of a row or of the statics.
    pub(crate) fn put_rest(&self, target: &Target, out: &mut Vec<u8>) {
        match target {
            Target::Row(clustering) => self.put_row(clustering, out),
            Target::Statics => out.push(STATICS),
        }
    }

    pub(crate) fn prefix(&self, partition: &Values) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(96);
        self.put_prefix(partition, &mut prefix);
        prefix
    }

    /// The key of a row, from its partition's prefix.
    pub(crate) fn row_key(&self, prefix: &[u8], clustering: &Values) -> Vec<u8> {
        let mut key = Vec::with_capacity(prefix.len() + 40);
        key.extend_from_slice(prefix);
        self.put_row(clustering, &mut key);
        key
    }

    /// The key of a partition's statics, from its prefix.
    pub(crate) fn statics_key(prefix: &[u8]) -> Vec<u8> {
        [prefix, &[STATICS]].concat()
    }

    /// Takes a key apart.
    pub(crate) fn parse<'a>(&self, key: &'a [u8]) -> Result<Parts<'a>, Error> {
        let corrupt = || Error::Corrupt { table: self.table.name, what: "key" };
        let mut rest = key.get(8..).ok_or_else(corrupt)?;
        let partition = match self.table.partition {
            [column] if self.is_terminated() => {
                let raw = clustering::take_terminated(0, &mut rest).ok_or_else(corrupt)?;
                Values::from(key::value(*column, &raw).ok_or_else(corrupt)?)
            }
            _ => key::parse(self.table, &mut rest)?,
        };
        let prefix = &key[..key.len() - rest.len()];
        let kind = *rest.split_off_first().ok_or_else(corrupt)?;
        Ok(Parts { prefix, partition, kind, clustering: rest })
    }

    fn is_terminated(&self) -> bool {
        matches!(self.table.partition, [column] if column.kind.fixed_width().is_none())
    }

    /// The id of a value or static column.
    pub(crate) fn id(&self, statics: bool, name: &str) -> Result<u8, Error> {
        let (columns, ids) = self.columns(statics);
        let position = columns.iter().position(|column| column.name == name);
        position
            .map(|position| ids[position])
            .ok_or_else(|| Error::NoSuchColumn { table: self.table.name, column: name.to_owned() })
    }

    /// The columns of rows, or of statics, with their ids.
    pub(crate) fn columns(&self, statics: bool) -> (&'static [Column], &[u8]) {
        if statics { (self.table.statics, &self.statics) } else { (self.table.values, &self.values) }
    }

    /// Builds a row from its stored parts; the caller has checked that it exists. `clustering` and `record` are `None` for a
    /// row that stands for its partition.
    pub(crate) fn row(
        &self,
        partition: &Values,
        clustering: Option<&Values>,
        statics: Option<Record<'_>>,
        record: Option<Record<'_>>,
        now: i64,
    ) -> Result<Row, Error> {
        let mut cells = Vec::with_capacity(self.table.width());
        cells.extend_from_slice(partition.as_slice());
        match clustering {
            Some(key) => cells.extend_from_slice(key.as_slice()),
            None => cells.resize(cells.len() + self.table.clustering.len(), Value::Null),
        }
        for (is_static, record) in [(true, statics), (false, record)] {
            let start = cells.len();
            let (columns, ids) = self.columns(is_static);
            cells.resize(start + columns.len(), Value::Null);
            for cell in record.iter().flat_map(Record::cells) {
                let cell = cell?;
                // A cell of no declared column belongs to one that was dropped.
                let Some(position) = ids.iter().position(|id| *id == cell.id) else { continue };
                if cell.is_live(now) {
                    cells[start + position] = record::value(self.table, columns[position], cell)?;
                }
            }
        }
        Row::from_cells(self.table, cells)
    }
}
