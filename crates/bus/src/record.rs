//! What is on a topic: a key, headers and a payload, all opaque to the bus.

use crate::error::Error;
use crate::topic::QUARANTINE_SUFFIX;
use bytes::Bytes;
use std::borrow::Cow;

/// Bytes of one record: key, headers and payload. With what quarantine adds and its framing it fits into what Kafka's
/// `message.max.bytes` is by default.
pub const MAX_RECORD_BYTES: usize = (1 << 20) - 1024 - QUARANTINE_BYTES;
/// Headers of one record.
pub(crate) const MAX_HEADERS: usize = 64;
/// What a record may grow by in quarantine, where it is told why it is there.
pub(crate) const QUARANTINE_BYTES: usize = 2048;
/// The headers that tell it.
pub(crate) const QUARANTINE_HEADERS: usize = 8;
/// Records of one call of `publish`.
pub(crate) const MAX_PUBLISH_RECORDS: usize = 65_536;
/// Bytes of one call of `publish`.
pub(crate) const MAX_PUBLISH_BYTES: usize = 32 << 20;

/// One record, to be published or as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Records with the same key keep their order. An empty key asks for no order: such records are spread evenly.
    pub key: Bytes,
    /// Named values beside the payload.
    pub headers: Headers,
    /// The payload.
    pub payload: Bytes,
}

impl Record {
    /// A record without headers.
    pub fn new(key: impl Into<Bytes>, payload: impl Into<Bytes>) -> Self {
        Self { key: key.into(), headers: Headers::default(), payload: payload.into() }
    }

    /// With this header, replacing one of the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Bytes of key, headers and payload.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + headers + self.payload.len()
    }

    /// Refuses what no backend takes on a topic.
    pub(crate) fn check(&self, topic: &str) -> Result<(), Error> {
        let quarantine = topic.ends_with(QUARANTINE_SUFFIX);
        let (bytes, headers) = if quarantine { (QUARANTINE_BYTES, QUARANTINE_HEADERS) } else { (0, 0) };
        let refuse = |what, actual, limit| Err(Error::TooLarge { what, actual, limit });
        if self.size() > MAX_RECORD_BYTES + bytes {
            return refuse("record", self.size(), MAX_RECORD_BYTES + bytes);
        }
        if self.headers.0.len() > MAX_HEADERS + headers {
            return refuse("headers of a record", self.headers.0.len(), MAX_HEADERS + headers);
        }
        Ok(())
    }
}

/// Refuses a publication that no backend takes on a topic.
pub(crate) fn check(topic: &str, records: &[Record]) -> Result<(), Error> {
    if records.len() > MAX_PUBLISH_RECORDS {
        return Err(Error::TooLarge {
            what: "number of records",
            actual: records.len(),
            limit: MAX_PUBLISH_RECORDS,
        });
    }
    let bytes = records.iter().map(Record::size).sum();
    if bytes > MAX_PUBLISH_BYTES {
        return Err(Error::TooLarge { what: "size of all records", actual: bytes, limit: MAX_PUBLISH_BYTES });
    }
    records.iter().try_for_each(|record| record.check(topic))
}

/// The headers of a record; a name occurs once. They are in the order they were set; what is read back may be in another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Bytes)>);

impl Headers {
    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find_map(|(other, value)| (other == name).then_some(value))
    }

    /// The value of a header, if it is UTF-8 text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Sets a header, replacing one of the same name.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some(header) => header.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}
