//! Values: the seven column types and what a key or a cell holds. A [`Value`] is one cell, [`Values`] are the columns of a
//! partition key or of a clustering key in declared order; both are built from plain Rust values with `into()`.

use crate::text::Text;
use bytes::Bytes;
use riskmesh_core::Timestamp;
use smallvec::{SmallVec, smallvec};
use std::fmt;
use uuid::Uuid;

/// The type of a column. Every one maps to a CQL type of the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// UTF-8 text; ordered by its bytes.
    Text,
    /// Bytes; ordered unsigned.
    Blob,
    /// A signed 64-bit integer.
    BigInt,
    /// A signed 32-bit integer.
    Int,
    /// `false` before `true`.
    Boolean,
    /// Milliseconds since the Unix epoch, signed.
    Timestamp,
    /// A UUID of any version; ordered by version, then by time for version 1 or else by its bytes, as Cassandra's `uuid`.
    Uuid,
}

impl Type {
    /// The name of the type in CQL.
    pub const fn cql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Blob => "blob",
            Self::BigInt => "bigint",
            Self::Int => "int",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Uuid => "uuid",
        }
    }

    /// The length of a value's CQL serialization, where every value has the same one.
    pub const fn fixed_width(self) -> Option<usize> {
        match self {
            Self::Text | Self::Blob => None,
            Self::BigInt | Self::Timestamp => Some(8),
            Self::Int => Some(4),
            Self::Boolean => Some(1),
            Self::Uuid => Some(16),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cql())
    }
}

/// One cell. `Null` is the absence of a value: writing it deletes the cell, and no key column may be null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A [`Type::Text`].
    Text(Text),
    /// A [`Type::Blob`].
    Blob(Bytes),
    /// A [`Type::BigInt`].
    BigInt(i64),
    /// A [`Type::Int`].
    Int(i32),
    /// A [`Type::Boolean`].
    Boolean(bool),
    /// A [`Type::Timestamp`].
    Timestamp(Timestamp),
    /// A [`Type::Uuid`].
    Uuid(Uuid),
}

impl Value {
    /// The type, or `None` for `Null`.
    pub const fn kind(&self) -> Option<Type> {
        Some(match self {
            Self::Null => return None,
            Self::Text(_) => Type::Text,
            Self::Blob(_) => Type::Blob,
            Self::BigInt(_) => Type::BigInt,
            Self::Int(_) => Type::Int,
            Self::Boolean(_) => Type::Boolean,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Uuid(_) => Type::Uuid,
        })
    }

    /// Whether this is `Null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes of the value's CQL serialization; 0 for `Null`.
    pub fn size(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Text(text) => text.as_bytes().len(),
            Self::Blob(bytes) => bytes.len(),
            Self::BigInt(_) | Self::Timestamp(_) => 8,
            Self::Int(_) => 4,
            Self::Boolean(_) => 1,
            Self::Uuid(_) => 16,
        }
    }
}

macro_rules! into_value {
    ($($from:ty => |$value:ident| $to:expr;)*) => { $(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }

        impl From<$from> for Values {
            fn from(value: $from) -> Self {
                Self(smallvec![value.into()])
            }
        }
    )* };
}

into_value! {
    &str => |text| Self::Text(text.into());
    &String => |text| Self::Text(text.as_str().into());
    String => |text| Self::Text(text.into());
    Text => |text| Self::Text(text);
    Bytes => |bytes| Self::Blob(bytes);
    Vec<u8> => |bytes| Self::Blob(bytes.into());
    &[u8] => |bytes| Self::Blob(Bytes::copy_from_slice(bytes));
    i64 => |number| Self::BigInt(number);
    i32 => |number| Self::Int(number);
    bool => |flag| Self::Boolean(flag);
    Timestamp => |at| Self::Timestamp(at);
    Uuid => |id| Self::Uuid(id);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The columns of a partition key or a clustering key, in declared order. Built from a single value, from a tuple, from `()`
/// for a key without columns, or from a `Vec<Value>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Values(pub(crate) SmallVec<[Value; 3]>);

impl Values {
    /// The values in order.
    pub fn as_slice(&self) -> &[Value] {
        &self.0
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the next column.
    pub fn push(&mut self, value: impl Into<Value>) {
        self.0.push(value.into());
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<()> for Values {
    fn from((): ()) -> Self {
        Self(SmallVec::new())
    }
}

impl From<Value> for Values {
    fn from(value: Value) -> Self {
        Self(smallvec![value])
    }
}

impl From<Vec<Value>> for Values {
    fn from(values: Vec<Value>) -> Self {
        Self(values.into())
    }
}

impl From<&Values> for Values {
    fn from(values: &Values) -> Self {
        values.clone()
    }
}

macro_rules! values_from_tuple {
    ($($name:ident)+) => {
        impl<$($name: Into<Value>),+> From<($($name,)+)> for Values {
            fn from(($($name,)+): ($($name,)+)) -> Self {
                Self(smallvec![$($name.into()),+])
            }
        }
    };
}

#[allow(non_snake_case, reason = "type parameters name the tuple's fields")]
mod tuples {
    use super::{Value, Values, smallvec};
    values_from_tuple!(A);
    values_from_tuple!(A B);
    values_from_tuple!(A B C);
    values_from_tuple!(A B C D);
    values_from_tuple!(A B C D E);
}
