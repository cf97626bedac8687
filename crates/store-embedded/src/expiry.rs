//! The expiry index: one entry for each upsert that had a TTL, ordered by the time at which it expires, so that the sweeper
//! finds what has expired without looking at what has not. An entry is a hint: the row says what is true.
//!
//! ```text
//! key = expires:8  table name  00  row key          value is empty
//! ```

use std::ops::Range;

/// An entry, taken apart.
pub(crate) struct Entry<'a> {
    pub(crate) table: &'a str,
    pub(crate) row: &'a [u8],
}

pub(crate) fn key(expires: i64, table: &str, row: &[u8]) -> Vec<u8> {
    [&ordered(expires), table.as_bytes(), &[0], row].concat()
}

/// The entries that have expired at `now`: a cell lives while `now < expires`.
pub(crate) fn due(now: i64) -> Range<[u8; 8]> {
    [0; 8]..ordered(now.saturating_add(1))
}

pub(crate) fn parse(key: &[u8]) -> Option<Entry<'_>> {
    let rest = key.get(8..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(Entry { table: std::str::from_utf8(&rest[..end]).ok()?, row: &rest[end + 1..] })
}

const fn ordered(at: i64) -> [u8; 8] {
    (at as u64 ^ (1 << 63)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn entries_are_due_when_their_time_has_come() {
        let entry = key(-5, "clients", b"\0row");
        assert!(entry.as_slice() >= due(-5).start.as_slice() && entry.as_slice() < due(-5).end.as_slice());
        assert!(entry.as_slice() > due(-6).end.as_slice());
        let parsed = parse(&entry).unwrap();
        assert_eq!((parsed.table, parsed.row), ("clients", b"\0row".as_slice()));
    }
}
