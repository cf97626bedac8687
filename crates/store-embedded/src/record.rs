//! One stored row, or one partition's statics, as bytes.
//!
//! ```text
//! record = marker cell*            cells in rising order of their ids, none for a null
//! marker = 0                       the row exists through its cells only (statics)
//!        | 1                       an upsert made it exist for ever
//!        | 2 expires:i64           an upsert made it exist until then
//! cell   = id:u8 tag:u8 [expires:i64] value
//! tag    = type | 0x80 if the cell expires
//! value  = the CQL serialization; before text and blobs its length, as u32
//! ```
//! Integers are big-endian; times are milliseconds since the Unix epoch. As in CQL, every cell expires by itself, and the row
//! with its marker and its last cell.

use store::{Error, Table, Type, Value};

/// The tag of a null in a patch: the cell shall go.
const GONE: u8 = 0x7f;
const EXPIRES: u8 = 0x80;

/// A cell inside a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) id: u8,
    tag: u8,
    expires: Option<i64>,
    /// The CQL serialization of the value.
    pub(crate) value: &'a [u8],
    /// The whole cell, as stored.
    bytes: &'a [u8],
}

impl Cell<'_> {
    pub(crate) fn is_live(&self, now: i64) -> bool {
        self.expires.is_none_or(|at| now < at)
    }
}

/// Whether a row exists through an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    None,
    Forever,
    Until(i64),
}

impl Marker {
    const fn is_live(self, now: i64) -> bool {
        match self {
            Self::None => false,
            Self::Forever => true,
            Self::Until(at) => now < at,
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(0),
            Self::Forever => out.push(1),
            Self::Until(at) => {
                out.push(2);
                out.extend_from_slice(&at.to_be_bytes());
            }
        }
    }
}

/// A record that can be read without copying.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    table: &'static Table,
    pub(crate) marker: Marker,
    cells: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn parse(table: &'static Table, mut bytes: &'a [u8]) -> Result<Self, Error> {
        let marker = match bytes.split_off_first() {
            Some(0) => Marker::None,
            Some(1) => Marker::Forever,
            Some(2) => Marker::Until(take_i64(&mut bytes).ok_or_else(|| corrupt(table))?),
            _ => return Err(corrupt(table)),
        };
        Ok(Self { table, marker, cells: bytes })
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = Result<Cell<'a>, Error>> + use<'a> {
        let (table, mut rest) = (self.table, self.cells);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let cell = take_cell(&mut rest).ok_or_else(|| corrupt(table));
            if cell.is_err() {
                rest = &[];
            }
            Some(cell)
        })
    }

    /// The live cell of a column.
    pub(crate) fn live(&self, id: u8, now: i64) -> Result<Option<Cell<'a>>, Error> {
        for cell in self.cells() {
            let cell = cell?;
            if cell.id == id {
                return Ok(cell.is_live(now).then_some(cell));
            }
        }
        Ok(None)
    }

    /// Whether the row exists; of statics, whether one has a value.
    pub(crate) fn exists(&self, now: i64) -> Result<bool, Error> {
        if self.marker.is_live(now) {
            return Ok(true);
        }
        for cell in self.cells() {
            if cell?.is_live(now) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn corrupt(table: &'static Table) -> Error {
    Error::Corrupt { table: table.name, what: "row" }
}

fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.split_off(..8)?.try_into().ok()?))
}

fn take_cell<'a>(rest: &mut &'a [u8]) -> Option<Cell<'a>> {
    let whole = *rest;
    let id = *rest.split_off_first()?;
    let tag = *rest.split_off_first()?;
    let expires = if tag != GONE && tag & EXPIRES != 0 { Some(take_i64(rest)?) } else { None };
    let width = match tag {
        GONE => 0,
        tag => match kind_of(tag)?.fixed_width() {
            Some(width) => width,
            None => u32::from_be_bytes(rest.split_off(..4)?.try_into().ok()?) as usize,
        },
    };
    let value = rest.split_off(..width)?;
    Some(Cell { id, tag, expires, value, bytes: &whole[..whole.len() - rest.len()] })
}

const fn tag_of(kind: Type) -> u8 {
    match kind {
        Type::Text => 0,
        Type::Blob => 1,
        Type::BigInt => 2,
        Type::Int => 3,
        Type::Boolean => 4,
        Type::Timestamp => 5,
        Type::Uuid => 6,
    }
}

const fn kind_of(tag: u8) -> Option<Type> {
    Some(match tag & !EXPIRES {
        0 => Type::Text,
        1 => Type::Blob,
        2 => Type::BigInt,
        3 => Type::Int,
        4 => Type::Boolean,
        5 => Type::Timestamp,
        6 => Type::Uuid,
        _ => return None,
    })
}

/// Appends a cell; a null becomes the mark that deletes it, which stands in patches only.
fn put_cell(id: u8, value: &Value, expires: Option<i64>, out: &mut Vec<u8>) {
    let Some(kind) = value.kind() else {
        out.extend_from_slice(&[id, GONE]);
        return;
    };
    out.push(id);
    out.push(tag_of(kind) | if expires.is_some() { EXPIRES } else { 0 });
    if let Some(at) = expires {
        out.extend_from_slice(&at.to_be_bytes());
    }
    if kind.fixed_width().is_none() {
        out.extend_from_slice(&(value.size() as u32).to_be_bytes());
    }
    store::key::put(value, out);
}

/// Appends an upsert. `cells` are the columns that it sets, in rising order of their ids; it `replaces` the row if it sets
/// every column.
///
/// It is a record whose cells may include deletion marks; one that replaces has none, and *is* the record that results.
pub(crate) fn put_patch(
    marker: Marker,
    cells: &[(u8, &Value)],
    expires: Option<i64>,
    replaces: bool,
    out: &mut Vec<u8>,
) {
    marker.put(out);
    for (id, value) in cells {
        if !(replaces && value.is_null()) {
            put_cell(*id, value, expires, out);
        }
    }
}

/// Whether a patch that replaces leaves nothing: statics that are all null.
pub(crate) fn is_empty(patch: &[u8]) -> bool {
    patch == [0]
}

/// Writes to `out` what a patch makes of a row; false if nothing is left (statics that are all null).
pub(crate) fn merge(
    table: &'static Table,
    old: Option<&[u8]>,
    patch: &[u8],
    now: i64,
    out: &mut Vec<u8>,
) -> Result<bool, Error> {
    out.clear();
    let new = Record::parse(table, patch)?;
    let old = old.map(|bytes| Record::parse(table, bytes)).transpose()?;
    // An upsert of a row always brings a marker; one of statics never does, and statics have none.
    new.marker.put(out);
    let empty = out.len();

    let mut kept = old.iter().flat_map(Record::cells).peekable();
    for cell in new.cells() {
        let cell = cell?;
        while let Some(before) = kept.next_if(|kept| kept.as_ref().map_or(true, |kept| kept.id < cell.id)) {
            put_live(before?, now, out);
        }
        kept.next_if(|kept| kept.as_ref().is_ok_and(|kept| kept.id == cell.id));
        if cell.tag != GONE {
            out.extend_from_slice(cell.bytes);
        }
    }
    for cell in kept {
        put_live(cell?, now, out);
    }
    Ok(new.marker != Marker::None || out.len() > empty)
}

/// Writes to `out` the record without what has expired; false if nothing is left.
pub(crate) fn purge(table: &'static Table, old: &[u8], now: i64, out: &mut Vec<u8>) -> Result<bool, Error> {
    out.clear();
    let record = Record::parse(table, old)?;
    let marker = if record.marker.is_live(now) { record.marker } else { Marker::None };
    marker.put(out);
    let empty = out.len();
    for cell in record.cells() {
        put_live(cell?, now, out);
    }
    Ok(marker != Marker::None || out.len() > empty)
}

fn put_live(cell: Cell<'_>, now: i64, out: &mut Vec<u8>) {
    if cell.is_live(now) {
        out.extend_from_slice(cell.bytes);
    }
}

/// The value of a cell, checked against its column's type.
pub(crate) fn value(table: &'static Table, column: store::Column, cell: Cell<'_>) -> Result<Value, Error> {
    if kind_of(cell.tag) == Some(column.kind) {
        store::key::value(column, cell.value).ok_or_else(|| corrupt(table))
    } else {
        Err(corrupt(table))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use store::{int, text};

    static TABLE: Table = Table::new("t", &[text("p")]).values(&[int("a"), text("b"), text("c"), int("d")]);
    const COLUMNS: usize = 4;

    /// Column id to value and expiry.
    type Model = BTreeMap<u8, (Value, Option<i64>)>;

    fn write() -> impl Strategy<Value = (BTreeMap<u8, Option<i32>>, Option<i64>)> {
        let cells =
            prop::collection::btree_map(0..COLUMNS as u8, prop::option::of(any::<i32>()), 0..=COLUMNS);
        (cells, prop::option::of(0..20_i64))
    }

    proptest! {
        #[test]
        fn merging_patches_is_writing_columns(writes in prop::collection::vec(write(), 1..8), now in 0..20_i64) {
            let mut model = Model::new();
            let mut stored: Option<Vec<u8>> = None;
            for (cells, expires) in writes {
                let cells: Vec<(u8, Value)> = cells.into_iter().map(|(id, value)| (id, value.into())).collect();
                for (id, value) in &cells {
                    model.insert(*id, (value.clone(), expires));
                }
                let cells: Vec<_> = cells.iter().map(|(id, value)| (*id, value)).collect();
                let (mut patch, mut merged) = (Vec::new(), Vec::new());
                let replaces = cells.len() == COLUMNS;
                put_patch(Marker::Forever, &cells, expires, replaces, &mut patch);
                let old = if replaces { None } else { stored.as_deref() };
                prop_assert!(merge(&TABLE, old, &patch, now, &mut merged).unwrap());
                if replaces {
                    prop_assert_eq!(&patch, &merged);
                }
                stored = Some(merged);
            }
            let stored = stored.unwrap();
            let mut purged = Vec::new();
            prop_assert!(purge(&TABLE, &stored, now, &mut purged).unwrap());
            for bytes in [&stored, &purged] {
                let record = Record::parse(&TABLE, bytes).unwrap();
                for id in 0..COLUMNS as u8 {
                    let expected = model.get(&id).filter(|(value, expires)| {
                        !value.is_null() && expires.is_none_or(|at| now < at)
                    });
                    let found = record.live(id, now).unwrap().map(|cell| value(&TABLE, int("a"), cell).unwrap());
                    prop_assert_eq!(found.as_ref(), expected.map(|(value, _)| value));
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(record) = Record::parse(&TABLE, &bytes) {
                for cell in record.cells() {
                    let _ = cell.map(|cell| value(&TABLE, text("b"), cell));
                }
            }
        }
    }
}
