//! The kinds of events there are: what services tell each other.

use crate::event::Kind;
use crate::topic;
use api::events::v1::{ClientChanged, RiskScoreChanged, TransactionsRecorded};

/// Entries of an account were recorded; key `tenant/account`.
pub const TRANSACTIONS_RECORDED: Kind<TransactionsRecorded> =
    Kind::new("riskmesh.transactions.recorded.v1", topic::TRANSACTIONS);
/// A client's master data were created, changed or deleted; key `tenant/client`.
pub const CLIENT_CHANGED: Kind<ClientChanged> = Kind::new("riskmesh.client.changed.v1", topic::RISK_EVENTS);
/// A client's score changed; key `tenant/client`.
pub const RISK_SCORE_CHANGED: Kind<RiskScoreChanged> =
    Kind::new("riskmesh.risk-score.changed.v1", topic::RISK_EVENTS);
/// A client's score reached the category High; key `tenant/client`.
pub const HIGH_RISK_ALERT: Kind<RiskScoreChanged> =
    Kind::new("riskmesh.risk-score.high.v1", topic::RISK_EVENTS);
