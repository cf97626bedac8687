//! Rows as they are read: cells by column name, with accessors that check the type and give an error, not a panic.

use crate::error::Error;
use crate::table::Table;
use crate::value::{Type, Value, Values};
use bytes::Bytes;
use riskmesh_core::Timestamp;
use uuid::Uuid;

/// One row. It has a cell for every column of its table; cells that were not read (statics that nobody asked for) or that
/// have no value are null. A row that stands for a partition alone, with its statics, has null clustering cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    table: &'static Table,
    cells: Vec<Value>,
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident, $opt:ident: $variant:ident($value:ident) => $result:ty = $read:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(&self, column: &str) -> Result<$result, Error> {
            self.$opt(column)?.ok_or_else(|| self.null(column))
        }

        $(#[$doc])*
        /// `None` where the cell is null.
        pub fn $opt(&self, column: &str) -> Result<Option<$result>, Error> {
            if let Value::$variant($value) = self.value(column)? {
                return Ok(Some($read));
            }
            self.expect_type(column, Type::$variant).map(|()| None)
        }
    )* };
}

impl Row {
    /// A row of `table` from its cells in the order of [`Table::columns`]; for backends.
    pub fn from_cells(table: &'static Table, cells: Vec<Value>) -> Result<Self, Error> {
        if cells.len() == table.width() {
            Ok(Self { table, cells })
        } else {
            Err(Error::Request { table: table.name, what: "a row needs one cell a column" })
        }
    }

    /// The table.
    pub const fn table(&self) -> &'static Table {
        self.table
    }

    /// The cells in the order of [`Table::columns`].
    pub fn cells(&self) -> &[Value] {
        &self.cells
    }

    /// The cell of a column.
    pub fn value(&self, column: &str) -> Result<&Value, Error> {
        let (position, _) = self.table.position(column)?;
        Ok(&self.cells[position])
    }

    /// The partition key.
    pub fn partition(&self) -> Values {
        Values(self.cells[..self.table.partition.len()].into())
    }

    /// The clustering key: empty for a table without one, `None` for a row that stands for a partition alone.
    pub fn clustering(&self) -> Option<Values> {
        let start = self.table.partition.len();
        let key = &self.cells[start..start + self.table.clustering.len()];
        key.iter().all(|value| !value.is_null()).then(|| Values(key.into()))
    }

    accessors! {
        /// The text of a column.
        text, text_opt: Text(value) => &str = value.as_str();
        /// The bytes of a column.
        blob, blob_opt: Blob(value) => &Bytes = value;
        /// The 64-bit integer of a column.
        bigint, bigint_opt: BigInt(value) => i64 = *value;
        /// The 32-bit integer of a column.
        int, int_opt: Int(value) => i32 = *value;
        /// The boolean of a column.
        boolean, boolean_opt: Boolean(value) => bool = *value;
        /// The instant of a column.
        timestamp, timestamp_opt: Timestamp(value) => Timestamp = *value;
        /// The UUID of a column.
        uuid, uuid_opt: Uuid(value) => Uuid = *value;
    }

    fn expect_type(&self, column: &str, actual: Type) -> Result<(), Error> {
        let (_, column) = self.table.position(column)?;
        if column.kind == actual {
            Ok(())
        } else {
            Err(Error::WrongType {
                table: self.table.name,
                column: column.name,
                expected: column.kind,
                actual,
            })
        }
    }

    fn null(&self, column: &str) -> Error {
        match self.table.position(column) {
            Ok((_, column)) => Error::Null { table: self.table.name, column: column.name },
            Err(error) => error,
        }
    }
}
