//! Partition keys as bytes: CQL's serialization, from which the [`Token`] is computed, and back.
//!
//! A key of one column is the value's own bytes. A key of several is a composite: for each column a 16-bit length, the bytes,
//! and a zero.

use crate::error::Error;
use crate::table::{Column, Table};
use crate::token::Token;
use crate::value::{Type, Value, Values};
use bytes::Bytes;
use riskmesh_core::Timestamp;
use uuid::Uuid;

/// Serializes a partition key; the values must be checked already.
pub fn serialize(table: &Table, partition: &Values, out: &mut Vec<u8>) {
    if let ([value], 1) = (partition.as_slice(), table.partition.len()) {
        put(value, out);
        return;
    }
    for value in partition.as_slice() {
        out.extend_from_slice(&(value.size() as u16).to_be_bytes());
        put(value, out);
        out.push(0);
    }
}

/// The token of a partition key; the values must be checked already.
pub fn token(table: &Table, partition: &Values) -> Token {
    let mut key = Vec::with_capacity(64);
    serialize(table, partition, &mut key);
    Token::of(&key)
}

/// Reads a serialized partition key of several columns, or of one column of fixed width, from the front of `bytes`.
pub fn parse(table: &'static Table, bytes: &mut &[u8]) -> Result<Values, Error> {
    let corrupt = || Error::Corrupt { table: table.name, what: "partition key" };
    if let [column] = table.partition {
        let width = column.kind.fixed_width().ok_or_else(corrupt)?;
        let raw = bytes.split_off(..width).ok_or_else(corrupt)?;
        return Ok(Values::from(value(*column, raw).ok_or_else(corrupt)?));
    }
    let mut values = Values::default();
    for column in table.partition {
        let len = bytes.split_off(..2).and_then(|len| len.try_into().ok()).ok_or_else(corrupt)?;
        let raw = bytes.split_off(..usize::from(u16::from_be_bytes(len))).ok_or_else(corrupt)?;
        values.push(value(*column, raw).ok_or_else(corrupt)?);
        if bytes.split_off_first() != Some(&0) {
            return Err(corrupt());
        }
    }
    Ok(values)
}

/// A value from its CQL serialization.
pub fn value(column: Column, raw: &[u8]) -> Option<Value> {
    Some(match column.kind {
        Type::Text => Value::Text(std::str::from_utf8(raw).ok()?.into()),
        Type::Blob => Value::Blob(Bytes::copy_from_slice(raw)),
        Type::BigInt => Value::BigInt(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::Int => Value::Int(i32::from_be_bytes(raw.try_into().ok()?)),
        Type::Boolean => Value::Boolean(match raw {
            [0] => false,
            [1] => true,
            _ => return None,
        }),
        Type::Timestamp => Value::Timestamp(Timestamp(i64::from_be_bytes(raw.try_into().ok()?))),
        Type::Uuid => Value::Uuid(Uuid::from_bytes(raw.try_into().ok()?)),
    })
}

/// Appends a value's CQL serialization; nothing for a null.
pub fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Blob(bytes) => out.extend_from_slice(bytes),
        Value::BigInt(number) => out.extend_from_slice(&number.to_be_bytes()),
        Value::Int(number) => out.extend_from_slice(&number.to_be_bytes()),
        Value::Boolean(flag) => out.push(u8::from(*flag)),
        Value::Timestamp(at) => out.extend_from_slice(&at.millis().to_be_bytes()),
        Value::Uuid(id) => out.extend_from_slice(id.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{int, text};

    static COMPOSITE: Table = Table::new("t", &[text("tenant"), int("bucket")]);

    #[test]
    fn composite_keys_have_lengths_and_terminators() {
        let mut key = Vec::new();
        serialize(&COMPOSITE, &("ab", 258).into(), &mut key);
        assert_eq!(key, [0, 2, b'a', b'b', 0, 0, 4, 0, 0, 1, 2, 0]);
        key.push(9);
        let mut rest = key.as_slice();
        assert_eq!(parse(&COMPOSITE, &mut rest).unwrap(), ("ab", 258).into());
        assert_eq!(rest, [9]);
    }

    #[test]
    fn truncated_keys_are_corrupt_not_a_panic() {
        let mut key = Vec::new();
        serialize(&COMPOSITE, &("ab", 258).into(), &mut key);
        for len in 0..key.len() {
            assert!(matches!(parse(&COMPOSITE, &mut &key[..len]), Err(Error::Corrupt { .. })), "{len}");
        }
    }
}
