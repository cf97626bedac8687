//! The bus: topics of ordered, durable records, and what services need around them so that nothing is lost or done by halves.
//!
//! A [`Topic`] has partitions; a partition is a log of [`Record`]s with rising offsets. Records of one key stay in one partition
//! and so in order. [`Bus`] is the trait; [`Embedded`] keeps the logs in the process's own store, [`Kafka`] in a
//! Kafka cluster. Both put a key into the same [`partition`], and pass the same [`suite`].
//!
//! - [`kinds`] lists the events there are. A [`Kind`] turns an [`Event`] into a record (CloudEvents, binary mode) and back.
//! - [`Consumer`] reads topics as a member of a group: leases on partitions that fence, offsets committed after the
//!   [`Handler`] is done, poison records set aside.
//! - [`Replay`] gives records to consumers again, poison to those it came from.
//! - [`Outbox`] and [`Relay`] make a change of state and its event one step.
//!
//! ```
//! # use bus::*;
//! # use std::sync::Arc;
//! # use riskmesh_core::Timestamp;
//! # struct Invalidate;
//! // What a consumer does: at least once for every record, in order within a partition.
//! #[async_trait::async_trait]
//! impl Handler for Invalidate {
//!     async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
//!         for delivered in batch {
//!             if kinds::TRANSACTIONS_RECORDED.is(&delivered.record) {
//!                 let event = kinds::TRANSACTIONS_RECORDED.decode(&delivered.record)?;
//!                 drop(event.data.account_id);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # async fn example(bus: Arc<dyn Bus>, store: Arc<dyn store::Store>, clock: Arc<dyn riskmesh_core::Clock>,
//! #     stop: tokio_util::sync::CancellationToken) -> Result<(), Error> {
//! let data = api::events::v1::TransactionsRecorded { account_id: "0000000001".into(), ..Default::default() };
//! let event = Event::new(event::id(&[b"acme", b"0000000001", b"7"]), "/riskmesh/clients", Timestamp(0), data);
//! let record = kinds::TRANSACTIONS_RECORDED.encode("acme/0000000001", &event);
//! bus.publish(topic::TRANSACTIONS.name, vec![record]).await?;
//!
//! let config = consumer::Config::new("analytics", "host-1.1700000000000", [topic::TRANSACTIONS.name]);
//! let consumer = Consumer::new(bus, store, clock, config)?;
//! let lag = consumer.lag(); // for metrics
//! consumer.run(Invalidate, stop).await?;
//! # drop(lag); Ok(()) }
//! ```

pub mod consumer;
pub mod embedded;
pub mod event;
pub mod kafka;
pub mod kinds;
pub mod outbox;
pub mod partition;
pub mod replay;
pub mod suite;
pub mod topic;

mod error;
mod group;
mod record;
#[cfg(test)]
mod testing;
mod traits;

pub use consumer::{Consumer, Delivered, Handler, HandlerError, Takeover};
pub use embedded::Embedded;
pub use error::{Error, Source};
pub use event::{Event, Kind};
pub use kafka::Kafka;
pub use outbox::{Outbox, Outgoing, PendingSource, Pointer, Relay};
pub use record::{Headers, MAX_RECORD_BYTES, Record};
pub use replay::Replay;
pub use topic::Topic;
pub use traits::{Batch, Bounds, Bus, Fetch, Position, Stored};

/// The tables of this crate, for the schema of the store.
pub const TABLES: &[&store::Table] = &[
    &embedded::BUS_LOG,
    &embedded::BUS_SEGMENTS,
    &group::LEASES,
    &group::GROUP_MEMBERS,
    &group::TOPIC_GROUPS,
    &outbox::OUTBOX,
];
