//! Poison records as they are set aside: themselves, with headers that say why and where they were.

use super::{Delivered, HandlerError};
use crate::record::Record;
use riskmesh_core::Timestamp;
use std::error::Error as _;

/// The header of a quarantined record that says why.
pub const QUARANTINE_REASON: &str = "quarantine_reason";
/// The header of a quarantined record that names the group that could not handle it.
pub const QUARANTINE_GROUP: &str = "quarantine_group";
/// The header of a quarantined record that says where it was: `topic/partition/offset`.
pub const QUARANTINE_ORIGIN: &str = "quarantine_origin";
/// The header of a quarantined record that says when it was set aside, RFC 3339.
pub const QUARANTINE_TIME: &str = "quarantine_time";
/// The header of a quarantined record that was too large to be kept as a whole: how many bytes it had. As long as it is kept there,
/// the whole record is where it was.
pub const QUARANTINE_CUT: &str = "quarantine_cut";

const HEADERS: [&str; 5] =
    [QUARANTINE_REASON, QUARANTINE_GROUP, QUARANTINE_ORIGIN, QUARANTINE_TIME, QUARANTINE_CUT];
/// Bytes of a reason.
const REASON_BYTES: usize = 500;

/// What is set aside of a record that nobody can handle.
pub(super) fn set_aside(poison: &Delivered, error: &HandlerError, group: &str, at: Timestamp) -> Record {
    let Delivered { topic, partition, offset, record, .. } = poison;
    record
        .clone()
        .header(QUARANTINE_REASON, reason(error))
        .header(QUARANTINE_GROUP, group.to_owned())
        .header(QUARANTINE_ORIGIN, format!("{topic}/{partition}/{offset}"))
        .header(QUARANTINE_TIME, at.to_string())
}

/// A record as it was before it was set aside; none if it was cut.
pub(crate) fn restore(record: &Record) -> Option<Record> {
    if record.headers.get(QUARANTINE_CUT).is_some() {
        return None;
    }
    let bare = Record::new(record.key.clone(), record.payload.clone());
    let own = record.headers.iter().filter(|(name, _)| !HEADERS.contains(name));
    Some(own.fold(bare, |bare, (name, value)| bare.header(name.to_owned(), value.clone())))
}

/// Less of a record that was set aside and is too large, or has too many headers, for the quarantine: somebody else wrote it, since ours
/// fit. First its payload goes, then its key and its own headers; nothing more is left to go where this gives none.
pub(super) fn less(record: &Record) -> Option<Record> {
    let whole = record.size().to_string();
    if !record.payload.is_empty() {
        let shown = Record { payload: bytes::Bytes::new(), ..record.clone() };
        return Some(shown.header(QUARANTINE_CUT, whole));
    }
    let whole = record.headers.text(QUARANTINE_CUT).map_or(whole, ToOwned::to_owned);
    let told = HEADERS.iter().filter_map(|name| Some((*name, record.headers.get(name)?.clone())));
    let told = told.fold(Record::default(), |told, (name, value)| told.header(name, value));
    let told = told.header(QUARANTINE_CUT, whole);
    (told != *record).then_some(told)
}

/// The error with its causes, cut to a bounded length.
pub(super) fn reason(error: &HandlerError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    let end = (0..=REASON_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}
