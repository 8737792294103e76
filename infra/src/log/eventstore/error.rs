//! What can go wrong with a log at the other end of a network.

use std::sync::Arc;
use std::time::Duration;

use eventstore::CurrentRevision;

use crate::log::ReadError;

/// The text is no address of a log server. It may hold a password, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address like esdb://user:password@host:2113?tls=false, kurrentdb://one,two,three \
     or esdb+discover://cluster.example"
)]
pub struct OpenError;

/// Why the log server could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EventStoreError {
    /// No connection came about. Nothing was asked.
    #[error("the log server cannot be reached")]
    Unreachable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// What answers there is no log server, or not for this user.
    #[error("the log's address is wrong")]
    Address(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The server refused, or the connection broke off.
    #[error("the log server refused or broke off")]
    Failed(#[source] Box<eventstore::Error>),
    /// No answer came in time.
    #[error("the log server did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It is known to be away. Nothing was asked.
    #[error("the log server is away")]
    Away(#[source] Arc<EventStoreError>),
    /// The client library failed over the call.
    #[error("the client of the log server crashed")]
    Crashed(#[source] Arc<tokio::task::JoinError>),
    /// A record in a stream of the product is not one of the product.
    #[error("revision {revision} of {stream} was not written by this product")]
    Foreign {
        /// The stream.
        stream: Arc<str>,
        /// Of the record.
        revision: u64,
    },
    /// The server says that it wrote a record elsewhere than was expected.
    #[error("the end of {stream} moved to revision {revision} by an append that expected another")]
    Displaced {
        /// The stream.
        stream: String,
        /// Of the last record that was written.
        revision: u64,
    },
    /// The server's log ends before what was seen of it.
    #[error(
        "the log ends at position {ends} and had position {seen}: the server has another log, or one that \
         lost its end; start it with the one it had"
    )]
    Another {
        /// Where it ends now.
        ends: u64,
        /// The last position that this process saw.
        seen: u64,
    },
    /// The log was closed here.
    #[error("the log is closed")]
    Closed,
}

/// Whether a connection that the client had is gone and cannot be made again: of a call that failed so it hands
/// on nothing but a text.
fn is_not_connected(error: &eventstore::Error) -> bool {
    matches!(error, eventstore::Error::ServerError(text) if text.contains("client error (Connect)"))
}

/// What a failure says about an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// It left none. It may be tried again.
    None,
    /// It left none, and trying again is of no use.
    NoneEver,
    /// It may have been carried out, or be carried out yet.
    Unknown,
}

impl EventStoreError {
    /// What an append that failed so may have left.
    pub(super) fn trace(&self) -> Trace {
        use eventstore::Error;
        match self {
            Self::Unreachable(_) => Trace::None,
            Self::TimedOut(_) | Self::Crashed(_) => Trace::Unknown,
            Self::Away(_)
            | Self::Address(_)
            | Self::Foreign { .. }
            | Self::Displaced { .. }
            | Self::Another { .. }
            | Self::Closed => Trace::NoneEver,
            Self::Failed(error) => match &**error {
                Error::NotLeaderException(_)
                | Error::ConnectionClosed
                | Error::GrpcConnectionError(_) => Trace::None,
                error if is_not_connected(error) => Trace::None,
                Error::ServerError(_) | Error::DeadlineExceeded => Trace::Unknown,
                Error::Grpc { code, .. } => of_code(*code),
                _ => Trace::NoneEver,
            },
        }
    }

    /// Whether nobody listened.
    pub(super) fn is_of_no_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Failed(error) => is_not_connected(error) || self.is_of_dead_client(),
            _ => false,
        }
    }

    /// Whether the server has not the log that it had.
    pub(super) fn is_of_another(&self) -> bool {
        matches!(self, Self::Another { .. })
    }

    /// Whether the client is of no more use.
    pub(super) fn is_of_dead_client(&self) -> bool {
        use eventstore::Error;
        matches!(self, Self::Failed(error)
            if matches!(**error, Error::ConnectionClosed | Error::GrpcConnectionError(_)))
    }

    /// Where the stream ends, if that is elsewhere than expected and nothing was written.
    pub(super) fn wrong_revision(&self) -> Option<Option<u64>> {
        let Self::Failed(error) = self else { return None };
        let eventstore::Error::WrongExpectedVersion { current, .. } = &**error else { return None };
        Some(match current {
            CurrentRevision::Current(last) => Some(*last),
            CurrentRevision::NoStream => None,
        })
    }

    /// Whether there is no such stream, which is no failure.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed(error)
            if matches!(**error, eventstore::Error::ResourceNotFound))
    }
}

fn of_code(code: tonic::Code) -> Trace {
    use tonic::Code;
    match code {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::OutOfRange => Trace::NoneEver,
        _ => Trace::Unknown,
    }
}

impl From<eventstore::Error> for EventStoreError {
    fn from(error: eventstore::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<EventStoreError> for ReadError {
    fn from(error: EventStoreError) -> Self {
        Self(Box::new(error))
    }
}
