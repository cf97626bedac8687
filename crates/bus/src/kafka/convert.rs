//! Records as the client has them, and back.

use crate::record::Record;
use crate::traits::Stored;
use riskmesh_core::Timestamp;
use rskafka::chrono::DateTime;
use rskafka::record::{Record as Theirs, RecordAndOffset};

/// What one record costs in a batch beside its key, headers and payload, at most; and one of its headers.
const RECORD_BYTES: usize = 32;
const HEADER_BYTES: usize = 8;

/// A record as it is sent. No key is told as none, so that everybody's partitioner sees it like that.
pub(super) fn to_theirs(record: &Record, at: Timestamp) -> Theirs {
    let headers = record.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
    Theirs {
        key: (!record.key.is_empty()).then(|| record.key.to_vec()),
        value: Some(record.payload.to_vec()),
        headers: headers.collect(),
        timestamp: instant(at),
    }
}

/// A record as it was read, whoever wrote it: what is none with Kafka is empty here.
pub(super) fn to_stored(RecordAndOffset { record, offset }: RecordAndOffset) -> Stored {
    let at = Timestamp(record.timestamp.timestamp_millis());
    let mut ours = Record::new(record.key.unwrap_or_default(), record.value.unwrap_or_default());
    for (name, value) in record.headers {
        ours.headers.insert(name, value);
    }
    Stored { offset, at, record: ours }
}

/// An instant as the client has it, as near as it can be told.
pub(super) fn instant(at: Timestamp) -> DateTime<rskafka::chrono::Utc> {
    let nearest = if at.0 < 0 {
        DateTime::<rskafka::chrono::Utc>::MIN_UTC
    } else {
        DateTime::<rskafka::chrono::Utc>::MAX_UTC
    };
    DateTime::from_timestamp_millis(at.0).unwrap_or(nearest)
}

/// What a record takes of a batch, at most.
pub(super) fn size(record: &Record) -> usize {
    record.size() + RECORD_BYTES + record.headers.iter().count() * HEADER_BYTES
}
