//! Events as records: CloudEvents 1.0 in the binary mode of its Kafka binding, with a Protobuf payload. A [`Kind`] ties a
//! `ce_type` to its message and its topic, once; whoever publishes and whoever consumes use the same constant of
//! [`kinds`](crate::kinds).

use crate::record::Record;
use crate::topic::Topic;
use bytes::Bytes;
use prost::Message;
use riskmesh_core::Timestamp;
use std::borrow::Cow;
use std::marker::PhantomData;
use uuid::Uuid;

/// The header that identifies the event. Consumers drop repeats by it, where a repeat would matter.
pub const CE_ID: &str = "ce_id";
/// The header with the kind's name.
pub const CE_TYPE: &str = "ce_type";
/// The header that names who published it.
pub const CE_SOURCE: &str = "ce_source";
/// The header with the instant at which it happened, RFC 3339.
pub const CE_TIME: &str = "ce_time";
/// The header with the version of CloudEvents.
pub const CE_SPECVERSION: &str = "ce_specversion";
/// The header with the payload's media type.
pub const CONTENT_TYPE: &str = "content-type";
/// The header with the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

const SPECVERSION: &str = "1.0";
const PROTOBUF: &str = "application/protobuf";

/// A record that is not the event wanted. A repeat cannot help: the record is poison.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A header is missing or not readable.
    #[error("header {header} is missing or malformed")]
    Header {
        /// The header.
        header: &'static str,
    },
    /// It is another kind of event.
    #[error("the event is not a {expected}")]
    Type {
        /// The kind wanted.
        expected: &'static str,
    },
    /// The payload does not decode.
    #[error("payload of {kind}")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// Why.
        #[source]
        source: prost::DecodeError,
    },
}

/// A kind of event: its name, its topic, and by its type the message it carries.
pub struct Kind<M> {
    /// The `ce_type`, with a version: `riskmesh.transactions.recorded.v1`.
    pub name: &'static str,
    /// Where such events go.
    pub topic: Topic,
    message: PhantomData<fn() -> M>,
}

/// An event: what happened, and the attributes that every event has.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<M> {
    /// Unique, and the same for every repeat of the event; see [`id`].
    pub id: Cow<'static, str>,
    /// Who published it, as a URI reference: `/riskmesh/clients`.
    pub source: Cow<'static, str>,
    /// When it happened.
    pub time: Timestamp,
    /// The W3C trace context of the request that made it happen.
    pub traceparent: Option<Cow<'static, str>>,
    /// The message.
    pub data: M,
}

impl<M> Event<M> {
    /// An event without a trace.
    pub fn new(id: Uuid, source: &'static str, time: Timestamp, data: M) -> Self {
        Self { id: id.to_string().into(), source: source.into(), time, traceparent: None, data }
    }

    /// As part of this trace, if there is one.
    #[must_use]
    pub fn traced(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent.map(Into::into);
        self
    }
}

impl<M: Message + Default> Kind<M> {
    /// A kind of this name on this topic.
    pub const fn new(name: &'static str, topic: Topic) -> Self {
        Self { name, topic, message: PhantomData }
    }

    /// The event as a record under `key`.
    pub fn encode(&self, key: impl Into<Bytes>, event: &Event<M>) -> Record {
        let record = Record::new(key, event.data.encode_to_vec())
            .header(CE_SPECVERSION, SPECVERSION)
            .header(CE_ID, event.id.to_string())
            .header(CE_TYPE, self.name)
            .header(CE_SOURCE, event.source.to_string())
            .header(CE_TIME, event.time.to_string())
            .header(CONTENT_TYPE, PROTOBUF);
        match &event.traceparent {
            Some(traceparent) => record.header(TRACEPARENT, traceparent.to_string()),
            None => record,
        }
    }

    /// Whether a record holds an event of this kind.
    pub fn is(&self, record: &Record) -> bool {
        record.headers.get(CE_TYPE).is_some_and(|name| name == self.name)
    }

    /// The event in a record.
    pub fn decode(&self, record: &Record) -> Result<Event<M>, Error> {
        let text = |header| record.headers.text(header).ok_or(Error::Header { header });
        if text(CE_TYPE)? != self.name {
            return Err(Error::Type { expected: self.name });
        }
        if text(CE_SPECVERSION)? != SPECVERSION {
            return Err(Error::Header { header: CE_SPECVERSION });
        }
        let data =
            M::decode(record.payload.clone()).map_err(|source| Error::Payload { kind: self.name, source })?;
        Ok(Event {
            id: text(CE_ID)?.to_owned().into(),
            source: text(CE_SOURCE)?.to_owned().into(),
            time: Timestamp::parse(text(CE_TIME)?).ok_or(Error::Header { header: CE_TIME })?,
            traceparent: record.headers.text(TRACEPARENT).map(|traceparent| traceparent.to_owned().into()),
            data,
        })
    }
}

/// A deterministic event id: a UUID version 5 (RFC 9562) of the parts, which together must name the change and nothing else, such
/// as kind, tenant, key and version. Whoever publishes the same change again arrives at the same id.
pub fn id(parts: &[&[u8]]) -> Uuid {
    // Drawn once, at random.
    const NAMESPACE: Uuid = Uuid::from_u128(0x3f2b_6f0e_5d0c_4c57_9d43_1be8_a0c6_7712);
    let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{CLIENT_CHANGED, TRANSACTIONS_RECORDED};
    use api::events::v1::TransactionsRecorded;

    fn event() -> Event<TransactionsRecorded> {
        let data = TransactionsRecorded {
            tenant: "acme".to_owned(),
            client_id: "42".to_owned(),
            account_id: "0000000001".to_owned(),
            hours: vec![-1, 0, 490_000],
        };
        Event::new(id(&[b"a"]), "/riskmesh/clients", Timestamp(1_753_884_900_007), data)
            .traced(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()))
    }

    #[test]
    fn an_event_survives_its_record() {
        let record = TRANSACTIONS_RECORDED.encode("acme/0000000001", &event());
        assert_eq!(TRANSACTIONS_RECORDED.decode(&record).unwrap(), event());
        assert_eq!(record.headers.text("ce_specversion"), Some("1.0"));
        assert_eq!(record.headers.text("ce_time"), Some("2025-07-30T14:15:00.007Z"));
        assert_eq!(record.headers.text("ce_type"), Some("riskmesh.transactions.recorded.v1"));
        assert_eq!(record.headers.text("content-type"), Some("application/protobuf"));
    }

    #[test]
    fn another_kind_is_told_by_its_type() {
        let record = TRANSACTIONS_RECORDED.encode("k", &event());
        assert!(TRANSACTIONS_RECORDED.is(&record) && !CLIENT_CHANGED.is(&record));
        assert!(matches!(CLIENT_CHANGED.decode(&record), Err(Error::Type { .. })));
    }

    #[test]
    fn broken_records_are_errors() {
        let record = TRANSACTIONS_RECORDED.encode("k", &event());
        for header in [CE_ID, CE_TYPE, CE_SOURCE, CE_TIME, CE_SPECVERSION] {
            let broken = record.clone().header(header, &b"\xff"[..]);
            assert!(
                matches!(TRANSACTIONS_RECORDED.decode(&broken), Err(Error::Header { header: h }) if h == header)
            );
        }
        let truncated = Record { payload: record.payload.slice(..record.payload.len() - 1), ..record };
        assert!(matches!(TRANSACTIONS_RECORDED.decode(&truncated), Err(Error::Payload { .. })));
    }

    #[test]
    fn ids_depend_on_where_parts_end() {
        assert_eq!(id(&[b"ab", b"c"]), id(&[b"ab", b"c"]));
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
        assert_eq!(id(&[]).get_version_num(), 5);
    }
}
