//! Clustering keys as bytes that sort like their values ("memcomparable"): comparing two encodings bytewise gives the table's
//! clustering order. No encoding of a column is a prefix of another, so encodings of columns can be put one after the other.
//!
//! Integers are big-endian with the sign bit flipped; text and blobs end with `00 00`, and a zero inside them is `00 FF`; UUIDs
//! have their version digit moved to the front; a descending column has all its bytes inverted.

use crate::error::Error;
use crate::read::{Direction, Range};
use crate::table::{Clustering, Order, Table};
use crate::value::{Type, Value, Values};
use bytes::Bytes;
use riskmesh_core::Timestamp;
use smallvec::SmallVec;
use std::ops::Bound;
use uuid::Uuid;

/// Appends the encoding of a clustering key, or of its first columns; the values must be checked already.
pub fn encode(table: &Table, values: &Values, out: &mut Vec<u8>) {
    for (key, value) in table.clustering.iter().zip(values.as_slice()) {
        encode_column(key.order, value, out);
    }
}

/// Appends the encoding of one value in that order.
pub fn encode_column(order: Order, value: &Value, out: &mut Vec<u8>) {
    let start = out.len();
    match value {
        Value::Null => {}
        Value::Text(text) => put_terminated(text.as_bytes(), out),
        Value::Blob(bytes) => put_terminated(bytes, out),
        Value::BigInt(number) => out.extend_from_slice(&flip_i64(*number)),
        Value::Timestamp(at) => out.extend_from_slice(&flip_i64(at.millis())),
        Value::Int(number) => out.extend_from_slice(&(*number as u32 ^ (1 << 31)).to_be_bytes()),
        Value::Boolean(flag) => out.push(u8::from(*flag)),
        Value::Uuid(id) => out.extend_from_slice(&order_uuid(id.as_u128()).to_be_bytes()),
    }
    if order == Order::Desc {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}

/// Reads a whole clustering key; `bytes` must hold nothing else.
pub fn decode(table: &'static Table, mut bytes: &[u8]) -> Result<Values, Error> {
    let corrupt = || Error::Corrupt { table: table.name, what: "clustering key" };
    let mut values = Values::default();
    for key in table.clustering {
        values.push(decode_column(*key, &mut bytes).ok_or_else(corrupt)?);
    }
    if bytes.is_empty() { Ok(values) } else { Err(corrupt()) }
}

/// Reads one column from the front of `bytes`.
pub fn decode_column(key: Clustering, bytes: &mut &[u8]) -> Option<Value> {
    let invert = if key.order == Order::Desc { 0xff } else { 0 };
    let mut raw = [0_u8; 16];
    if let Some(width) = key.column.kind.fixed_width() {
        for (to, from) in raw.iter_mut().zip(bytes.split_off(..width)?) {
            *to = from ^ invert;
        }
    }
    let i64_of =
        |raw: [u8; 16]| (u64::from_be_bytes(*raw.first_chunk().unwrap_or(&[0; 8])) ^ (1 << 63)) as i64;
    Some(match key.column.kind {
        Type::Text => Value::Text(std::str::from_utf8(&take_terminated(invert, bytes)?).ok()?.into()),
        Type::Blob => Value::Blob(Bytes::copy_from_slice(&take_terminated(invert, bytes)?)),
        Type::BigInt => Value::BigInt(i64_of(raw)),
        Type::Timestamp => Value::Timestamp(Timestamp(i64_of(raw))),
        Type::Int => Value::Int((u32::from_be_bytes(*raw.first_chunk()?) ^ (1 << 31)) as i32),
        Type::Boolean => match raw[0] {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            _ => return None,
        },
        Type::Uuid => Value::Uuid(Uuid::from_u128(unorder_uuid(u128::from_be_bytes(raw)))),
    })
}

/// The encodings in a [`Range`]: from the first, included, up to the second, excluded; `None` is the partition's end.
pub fn bounds(table: &Table, range: &Range) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut prefix = Vec::with_capacity(32);
    encode(table, &range.prefix, &mut prefix);
    let Some(key) = table.clustering.get(range.prefix.len()) else {
        let end = successor(&prefix);
        return (prefix, end);
    };
    let with = |value: &Value| {
        let mut bytes = prefix.clone();
        encode_column(key.order, value, &mut bytes);
        bytes
    };
    let (first, last) = match key.order {
        Order::Asc => (&range.low, &range.high),
        Order::Desc => (&range.high, &range.low),
    };
    let start = match first {
        Bound::Unbounded => prefix.clone(),
        Bound::Included(value) => with(value),
        Bound::Excluded(value) => match successor(&with(value)) {
            Some(next) => next,
            // Nothing sorts after the largest value: an empty range.
            None => return (prefix.clone(), Some(prefix)),
        },
    };
    let end = match last {
        Bound::Unbounded => successor(&prefix),
        Bound::Included(value) => successor(&with(value)),
        Bound::Excluded(value) => Some(with(value)),
    };
    (start, end)
}

/// The [`bounds`] of what is left of a range after one of its keys, in a direction.
pub fn bounds_after(
    table: &Table,
    range: &Range,
    after: Option<&Values>,
    direction: Direction,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let (start, end) = bounds(table, range);
    let Some(after) = after else { return (start, end) };
    let mut key = Vec::with_capacity(32);
    encode(table, after, &mut key);
    match direction {
        // The next possible key: no key is a prefix of another, so nothing stands between.
        Direction::Forward => {
            key.push(0);
            (start.max(key), end)
        }
        Direction::Reverse => (start, Some(end.map_or(key.clone(), |end| end.min(key)))),
    }
}

/// The smallest bytes above everything that starts with `prefix`; `None` if there is no such thing.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}

/// Appends bytes so that they sort and can be told from what follows: see the module.
pub fn put_terminated(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// Reads what [`put_terminated`] wrote, every byte of it inverted if `invert` is FF.
pub fn take_terminated(invert: u8, bytes: &mut &[u8]) -> Option<SmallVec<[u8; 32]>> {
    let mut value = SmallVec::new();
    loop {
        let byte = *bytes.split_off_first()? ^ invert;
        if byte == 0 {
            match *bytes.split_off_first()? ^ invert {
                0 => return Some(value),
                0xff => {}
                _ => return None,
            }
        }
        value.push(byte);
    }
}

const fn flip_i64(number: i64) -> [u8; 8] {
    (number as u64 ^ (1 << 63)).to_be_bytes()
}

/// The version digit is the 13th of 32.
const VERSION_SHIFT: u32 = 76;
const BELOW_VERSION: u128 = (1 << VERSION_SHIFT) - 1;

/// Moves the version digit to the front, and for version 1 orders the three parts of the time by weight: Cassandra's order of
/// `uuid` (`UUIDType`): by version; version 1 by time; then unsigned.
const fn order_uuid(id: u128) -> u128 {
    let version = (id >> VERSION_SHIFT) & 0xf;
    if version == 1 {
        let high = (id >> 64) as u64;
        let by_time = high << 48 | ((high << 16) & 0xffff_0000_0000) | high >> 32;
        return (by_time as u128) << 64 | (id & 0xffff_ffff_ffff_ffff);
    }
    version << 124 | (id >> (VERSION_SHIFT + 4)) << VERSION_SHIFT | (id & BELOW_VERSION)
}

const fn unorder_uuid(ordered: u128) -> u128 {
    let version = ordered >> 124;
    if version == 1 {
        let by_time = (ordered >> 64) as u64;
        let high = by_time << 32 | ((by_time >> 16) & 0xffff_0000) | by_time >> 48;
        return (high as u128) << 64 | (ordered & 0xffff_ffff_ffff_ffff);
    }
    let above = (ordered >> VERSION_SHIFT) & ((1 << 48) - 1);
    above << (VERSION_SHIFT + 4) | version << VERSION_SHIFT | (ordered & BELOW_VERSION)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{asc, blob, boolean, desc, int, text, uuid};
    use crate::table::{bigint, timestamp};
    use proptest::prelude::*;
    use std::cmp::Ordering;

    static WIDE: Table = Table::new("wide", &[text("p")]).clustering(&[
        asc(text("a")),
        desc(blob("b")),
        asc(bigint("c")),
        desc(timestamp("d")),
        asc(int("e")),
        desc(boolean("f")),
        asc(uuid("g")),
        desc(text("h")),
    ]);

    /// Short and over a small alphabet of awkward bytes, so that equal prefixes and embedded zeros are common.
    fn awkward_text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!['\0', '\u{1}', 'a', 'b', 'ÿ', '\u{10ffff}']), 0..4)
            .prop_map(|chars| chars.into_iter().collect())
    }

    fn awkward_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0x7f, 0x80, 0xfe, 0xff]), 0..4)
    }

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -2..3_i64, Just(i64::MIN), Just(i64::MAX)]
    }

    fn key() -> impl Strategy<Value = Values> {
        let small = prop_oneof![any::<i32>(), -1..2_i32];
        let ids = prop_oneof![
            any::<u128>(),
            any::<u128>().prop_map(|id| (id & !(0xf << VERSION_SHIFT)) | 1 << VERSION_SHIFT),
            any::<u128>().prop_map(|id| (id & !(0xf << VERSION_SHIFT)) | 7 << VERSION_SHIFT),
        ];
        (awkward_text(), awkward_bytes(), number(), number(), small, any::<bool>(), ids, awkward_text())
            .prop_map(|(a, b, c, d, e, f, g, h)| {
                Values(smallvec::smallvec![
                    a.into(),
                    b.into(),
                    c.into(),
                    Timestamp(d).into(),
                    e.into(),
                    f.into(),
                    Uuid::from_u128(g).into(),
                    h.into(),
                ])
            })
    }

    /// Cassandra's order, written from the values.
    fn compare(left: &Value, right: &Value) -> Ordering {
        match (left, right) {
            (Value::Text(l), Value::Text(r)) => l.as_bytes().cmp(r.as_bytes()),
            (Value::Blob(l), Value::Blob(r)) => l.cmp(r),
            (Value::BigInt(l), Value::BigInt(r)) => l.cmp(r),
            (Value::Timestamp(l), Value::Timestamp(r)) => l.cmp(r),
            (Value::Int(l), Value::Int(r)) => l.cmp(r),
            (Value::Boolean(l), Value::Boolean(r)) => l.cmp(r),
            (Value::Uuid(l), Value::Uuid(r)) => {
                let time = |id: &Uuid| {
                    let (low, mid, high, _) = id.as_fields();
                    u64::from(high) << 48 | u64::from(mid) << 32 | u64::from(low)
                };
                let version = l.get_version_num().cmp(&r.get_version_num());
                let by_time = if l.get_version_num() == 1 { time(l).cmp(&time(r)) } else { Ordering::Equal };
                version.then(by_time).then(l.as_bytes().cmp(r.as_bytes()))
            }
            _ => panic!("values of two types"),
        }
    }

    fn clustering_order(left: &Values, right: &Values) -> Ordering {
        WIDE.clustering
            .iter()
            .zip(left.as_slice().iter().zip(right.as_slice()))
            .map(|(key, (l, r))| match key.order {
                Order::Asc => compare(l, r),
                Order::Desc => compare(r, l),
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn encoded(values: &Values) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&WIDE, values, &mut out);
        out
    }

    /// Makes two keys share their first columns, so that the later ones decide.
    fn share(left: &Values, right: &Values, columns: usize) -> Values {
        Values::from([&left.0[..columns], &right.0[columns..]].concat())
    }

    #[test]
    fn nothing_is_above_the_largest_number() {
        static NUMBERS: Table = Table::new("n", &[text("p")]).clustering(&[asc(bigint("n"))]);
        let (start, end) = bounds(&NUMBERS, &Range::all().above(i64::MAX));
        assert_eq!(end, Some(start));
        let (start, end) = bounds(&NUMBERS, &Range::all().above(i64::MAX - 1));
        assert_eq!((start, end), (vec![0xff; 8], None));
    }

    proptest! {
        #[test]
        fn bytes_sort_as_values(left in key(), right in key(), columns in 0..=8_usize) {
            let right = share(&left, &right, columns);
            prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), clustering_order(&left, &right));
        }

        #[test]
        fn what_is_encoded_decodes(key in key()) {
            prop_assert_eq!(decode(&WIDE, &encoded(&key)).unwrap(), key);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&WIDE, &bytes);
        }

        #[test]
        fn bounds_hold_exactly_the_range(
            keys in prop::collection::vec(key(), 1..12),
            base in key(),
            columns in 0..8_usize,
            low in 0..3_u8,
            high in 0..3_u8,
            other in key(),
        ) {
            let bound = |kind, value: &Value| match kind {
                0 => Bound::Unbounded,
                1 => Bound::Included(value.clone()),
                _ => Bound::Excluded(value.clone()),
            };
            let range = Range {
                prefix: Values(base.0[..columns].into()),
                low: bound(low, &base.0[columns]),
                high: bound(high, &other.0[columns]),
            };
            let (start, end) = bounds(&WIDE, &range);
            for key in keys.iter().map(|key| share(&base, key, columns)).chain(keys.iter().cloned()).chain([base.clone()]) {
                let value = &key.0[columns];
                let above = match &range.low {
                    Bound::Unbounded => true,
                    Bound::Included(low) => compare(value, low).is_ge(),
                    Bound::Excluded(low) => compare(value, low).is_gt(),
                };
                let below = match &range.high {
                    Bound::Unbounded => true,
                    Bound::Included(high) => compare(value, high).is_le(),
                    Bound::Excluded(high) => compare(value, high).is_lt(),
                };
                let inside = key.0[..columns] == base.0[..columns] && above && below;
                let bytes = encoded(&key);
                let found = bytes >= start && end.as_ref().is_none_or(|end| bytes < *end);
                prop_assert_eq!(found, inside);
            }
        }
    }
}
