//! Values on their way: both sides have the CQL serialization, so nothing is converted.

use bytes::Bytes;
use scylla::cluster::metadata::ColumnType;
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use scylla::serialize::SerializationError;
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::{CellWriter, WrittenCellProof};
use store::{Column, Error, Table, Value};

/// A value that is bound.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    /// Of a column.
    Value(Value),
    /// A time to live in seconds, or a limit of rows.
    Int(i32),
    /// A token.
    BigInt(i64),
}

impl From<&Value> for Bound {
    fn from(value: &Value) -> Self {
        Self::Value(value.clone())
    }
}

impl SerializeValue for Bound {
    fn serialize<'b>(
        &self,
        _: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        let fixed;
        let bytes = match self {
            Self::Value(Value::Null) => return Ok(writer.set_null()),
            Self::Value(Value::Text(text)) => text.as_bytes(),
            Self::Value(Value::Blob(bytes)) => bytes,
            Self::Value(value) => {
                let mut bytes = Vec::with_capacity(16);
                store::key::put(value, &mut bytes);
                fixed = bytes;
                &fixed
            }
            Self::Int(number) => {
                fixed = number.to_be_bytes().to_vec();
                &fixed
            }
            Self::BigInt(number) => {
                fixed = number.to_be_bytes().to_vec();
                &fixed
            }
        };
        writer.set_value(bytes).map_err(SerializationError::new)
    }
}

/// The cells of a row as they came.
pub(crate) struct Raw(Vec<Option<Bytes>>);

impl<'frame, 'metadata> DeserializeRow<'frame, 'metadata> for Raw {
    fn type_check(_: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        // Statements name their columns, whose types the catalog vouches for.
        Ok(())
    }

    fn deserialize(row: ColumnIterator<'frame, 'metadata>) -> Result<Self, DeserializationError> {
        row.map(|column| Ok(column?.slice.map(|slice| slice.to_bytes()))).collect::<Result<_, _>>().map(Self)
    }
}

impl Raw {
    /// The cell of a column, which is the one selected at this position.
    pub(crate) fn cell(&self, table: &'static Table, column: Column, at: usize) -> Result<Value, Error> {
        let Some(bytes) = self.0.get(at).and_then(Option::as_ref) else { return Ok(Value::Null) };
        store::key::value(column, bytes).ok_or(Error::Corrupt { table: table.name, what: "cell" })
    }

    /// Whether a conditional write was applied: the first column of its answer.
    pub(crate) fn applied(&self) -> Option<bool> {
        match self.0.first()?.as_deref()? {
            [flag] => Some(*flag != 0),
            _ => None,
        }
    }
}
