//! `Streams.BatchAppend`: many appends over one call, each answered when it is done.

use prost::{Message, Oneof};
use prost_types::Any;

use super::{Expectation, Proposed, StreamIdentifier, Success, WireUuid};

/// An append, or a part of one: parts share the correlation id, and the last one is final.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchAppendReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) correlation: Option<WireUuid>,
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<BatchOptions>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) proposed: Vec<Proposed>,
    #[prost(bool, tag = "4")]
    pub(crate) is_final: bool,
}

/// Deadlines (fields 6 and 7) are not heeded: an append here takes as long as syncing a file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(oneof = "Expectation", tags = "2, 3, 4, 5")]
    pub(crate) expected: Option<Expectation>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchAppendResp {
    #[prost(message, optional, tag = "1")]
    pub(crate) correlation: Option<WireUuid>,
    #[prost(message, optional, tag = "4")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(oneof = "BatchResult", tags = "2, 3")]
    pub(crate) result: Option<BatchResult>,
    #[prost(oneof = "BatchExpected", tags = "5, 6, 7, 8")]
    pub(crate) expected: Option<BatchExpected>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum BatchResult {
    #[prost(message, tag = "2")]
    Error(RpcStatus),
    #[prost(message, tag = "3")]
    Success(Success),
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum BatchExpected {
    #[prost(uint64, tag = "5")]
    Revision(u64),
    #[prost(message, tag = "6")]
    NoStream(()),
    #[prost(message, tag = "7")]
    Any(()),
    #[prost(message, tag = "8")]
    StreamExists(()),
}

impl From<Expectation> for BatchExpected {
    fn from(expected: Expectation) -> Self {
        match expected {
            Expectation::Revision(revision) => Self::Revision(revision),
            Expectation::NoStream(()) => Self::NoStream(()),
            Expectation::Any(()) => Self::Any(()),
            Expectation::StreamExists(()) => Self::StreamExists(()),
        }
    }
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) details: Option<Any>,
}

/// `event_store.client.WrongExpectedVersion`, in the details of a [`RpcStatus`].
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct WrongDetails {
    #[prost(oneof = "DetailsCurrent", tags = "1, 2")]
    pub(crate) current: Option<DetailsCurrent>,
    #[prost(oneof = "DetailsExpected", tags = "3, 4, 5, 6")]
    pub(crate) expected: Option<DetailsExpected>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum DetailsCurrent {
    #[prost(uint64, tag = "1")]
    Revision(u64),
    #[prost(message, tag = "2")]
    NoStream(()),
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum DetailsExpected {
    #[prost(uint64, tag = "3")]
    Revision(u64),
    #[prost(message, tag = "4")]
    Any(()),
    #[prost(message, tag = "5")]
    StreamExists(()),
    #[prost(message, tag = "6")]
    NoStream(()),
}

impl WrongDetails {
    /// The stream ends at `actual`, not where `expected` says.
    pub(crate) fn new(expected: Expectation, actual: Option<u64>) -> Self {
        Self {
            current: Some(actual.map_or(DetailsCurrent::NoStream(()), DetailsCurrent::Revision)),
            expected: Some(match expected {
                Expectation::Revision(revision) => DetailsExpected::Revision(revision),
                Expectation::NoStream(()) => DetailsExpected::NoStream(()),
                Expectation::Any(()) => DetailsExpected::Any(()),
                Expectation::StreamExists(()) => DetailsExpected::StreamExists(()),
            }),
        }
    }
}

/// `event_store.client.BadRequest`, in the details of a [`RpcStatus`].
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BadRequest {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
}

/// A message in the details of a [`RpcStatus`]; `name` is its name in `event_store.client`.
pub(crate) fn details(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/event_store.client.{name}"),
        value: message.encode_to_vec(),
    }
}
