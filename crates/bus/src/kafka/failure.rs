//! What an error of the client means: was nothing done, or does nobody know?

use crate::error::{Error, Source};
use rskafka::client::error::{Error as Client, ProtocolError, RequestError};
use std::sync::Arc;
use std::time::Duration;

/// Why a request failed; to be shared.
pub(super) type Failure = Arc<Cause>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The client says so.
    #[error("the Kafka client failed")]
    Client(#[source] Client),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not done, and may be done later: the leader has changed, or cannot be reached.
    NotNow,
    /// It was sent, and may have been done.
    Unknown,
    /// The offset is not there.
    OutOfRange,
    /// It was refused.
    Refused,
}

impl Cause {
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::Timeout(_) => Fate::Unknown,
            Self::Client(client) => fate(client),
        }
    }
}

fn fate(error: &Client) -> Fate {
    match error {
        // No connection, or no metadata: the request itself was not sent.
        Client::Connection(_) => Fate::NotNow,
        Client::Request(RequestError::NoVersionMatch { .. } | RequestError::WriteError(_)) => Fate::Refused,
        Client::ServerError { protocol_error, .. } => fate_of_answer(*protocol_error),
        // The client repeats nothing by itself (see `cluster`), but tells the error as that of its one attempt.
        Client::RetryFailed(rskafka::BackoffError::DeadlineExceded { source, .. }) => {
            source.downcast_ref::<Client>().map_or(Fate::Unknown, fate)
        }
        // A connection broke, or an answer could not be read: it was sent.
        _ => Fate::Unknown,
    }
}

/// What a broker says (<https://kafka.apache.org/protocol#protocol_error_codes>).
fn fate_of_answer(error: ProtocolError) -> Fate {
    match error {
        ProtocolError::OffsetOutOfRange => Fate::OutOfRange,
        // A topic that was just made is not known everywhere at once.
        ProtocolError::UnknownTopicOrPartition
        | ProtocolError::LeaderNotAvailable
        | ProtocolError::NotLeaderOrFollower
        | ProtocolError::BrokerNotAvailable
        | ProtocolError::ReplicaNotAvailable
        | ProtocolError::NotController
        | ProtocolError::NotEnoughReplicas
        | ProtocolError::FencedLeaderEpoch
        | ProtocolError::UnknownLeaderEpoch
        | ProtocolError::OffsetNotAvailable
        | ProtocolError::ThrottlingQuotaExceeded => Fate::NotNow,
        ProtocolError::UnknownServerError
        | ProtocolError::RequestTimedOut
        | ProtocolError::NetworkException
        | ProtocolError::NotEnoughReplicasAfterAppend
        | ProtocolError::KafkaStorageError
        | ProtocolError::Unknown(_) => Fate::Unknown,
        _ => Fate::Refused,
    }
}

/// The error of a read, or of a write that was certainly not done.
pub(super) fn told(doing: &'static str, failure: &Failure) -> Error {
    let retryable = matches!(failure.fate(), Fate::NotNow | Fate::Unknown);
    Error::Backend { doing, source: source(failure), retryable }
}

pub(super) fn source(failure: &Failure) -> Source {
    Box::new(failure.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rskafka::client::error::RequestContext;

    fn server(protocol_error: ProtocolError) -> Client {
        let request = RequestContext::Topic("things".into());
        Client::ServerError {
            protocol_error,
            error_message: None,
            request,
            response: None,
            is_virtual: false,
        }
    }

    fn retried(source: Client) -> Client {
        let source = Box::new(source);
        Client::RetryFailed(rskafka::BackoffError::DeadlineExceded { deadline: Duration::ZERO, source })
    }

    #[test]
    fn what_was_sent_and_not_answered_is_unknown() {
        let broken = || Client::Request(RequestError::IO(std::io::ErrorKind::ConnectionReset.into()));
        for unknown in [broken(), retried(broken()), server(ProtocolError::NotEnoughReplicasAfterAppend)] {
            assert_eq!(fate(&unknown), Fate::Unknown, "{unknown}");
        }
        assert_eq!(Cause::Timeout(Duration::ZERO).fate(), Fate::Unknown);
    }

    #[test]
    fn what_a_broker_refuses_was_not_done() {
        for not_now in [ProtocolError::NotLeaderOrFollower, ProtocolError::NotEnoughReplicas] {
            assert_eq!(fate(&server(not_now)), Fate::NotNow);
            assert_eq!(fate(&retried(server(not_now))), Fate::NotNow);
        }
        for refused in [ProtocolError::MessageTooLarge, ProtocolError::TopicAuthorizationFailed] {
            assert_eq!(fate(&server(refused)), Fate::Refused);
        }
        assert_eq!(fate(&server(ProtocolError::OffsetOutOfRange)), Fate::OutOfRange);
    }
}
