//! The topics there are, in one place: their partitions and how long they keep records.

use std::time::Duration;

/// The declaration of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Lower-case ASCII letters, digits, `.` and `-`.
    pub name: &'static str,
    /// How many partitions it has: more work at once, and no order between them. Never changed once there are records: keys
    /// would move.
    pub partitions: u32,
    /// Records are kept at least this long, and until every group has handled them.
    pub retention: Duration,
}

const DAY: Duration = Duration::from_hours(24);

/// Entries of accounts were recorded; key `tenant/account`.
pub const TRANSACTIONS: Topic =
    Topic { name: "transactions", partitions: 8, retention: DAY.saturating_mul(7) };
/// Clients changed, scores changed, alerts were raised; key `tenant/client`.
pub const RISK_EVENTS: Topic = Topic { name: "risk.events", partitions: 8, retention: DAY.saturating_mul(7) };

/// Every topic.
pub const ALL: &[Topic] = &[TRANSACTIONS, RISK_EVENTS];

/// What a quarantine topic's name ends with. Every topic has one: one partition, [`QUARANTINE_RETENTION`].
pub const QUARANTINE_SUFFIX: &str = ".quarantine";
/// How long poison records wait for somebody to look at them and replay them.
pub const QUARANTINE_RETENTION: Duration = DAY.saturating_mul(30);

/// The name of the topic where poison records of `topic` go.
pub fn quarantine_of(topic: &str) -> String {
    format!("{topic}{QUARANTINE_SUFFIX}")
}
