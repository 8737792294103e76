//! `Streams.Append`: one append, its records one message each.

use prost::bytes::Bytes;
use prost::{Message, Oneof};

use super::{Entry, Place, StreamIdentifier, WireUuid};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppendReq {
    #[prost(oneof = "AppendPart", tags = "1, 2")]
    pub(crate) content: Option<AppendPart>,
}

/// First where the records go, then each of them.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum AppendPart {
    #[prost(message, tag = "1")]
    Options(AppendOptions),
    #[prost(message, tag = "2")]
    Proposed(Proposed),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppendOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(oneof = "Expectation", tags = "2, 3, 4, 5")]
    pub(crate) expected: Option<Expectation>,
}

/// What the client believes of the stream.
#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum Expectation {
    #[prost(uint64, tag = "2")]
    Revision(u64),
    #[prost(message, tag = "3")]
    NoStream(()),
    #[prost(message, tag = "4")]
    Any(()),
    #[prost(message, tag = "5")]
    StreamExists(()),
}

/// A record as a client gives it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Proposed {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<WireUuid>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) system: Vec<Entry>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) metadata: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) data: Bytes,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct AppendResp {
    #[prost(oneof = "AppendResult", tags = "1, 2")]
    pub(crate) result: Option<AppendResult>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum AppendResult {
    #[prost(message, tag = "1")]
    Success(Success),
    #[prost(message, tag = "2")]
    Wrong(WrongExpectedVersion),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Success {
    #[prost(oneof = "CurrentRevision", tags = "1, 2")]
    pub(crate) current: Option<CurrentRevision>,
    #[prost(oneof = "SuccessPlace", tags = "3, 4")]
    pub(crate) place: Option<SuccessPlace>,
}

/// Where a stream ends.
#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum CurrentRevision {
    #[prost(uint64, tag = "1")]
    Revision(u64),
    #[prost(message, tag = "2")]
    NoStream(()),
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum SuccessPlace {
    #[prost(message, tag = "3")]
    Place(Place),
    #[prost(message, tag = "4")]
    None(()),
}

impl Success {
    /// The last record's revision and position, and the first one's position if those between
    /// are one after the other: it goes where the original has the position once more.
    pub(crate) fn at(revision: u64, position: u64, first: Option<u64>) -> Self {
        let place = Place { commit: position, prepare: first.unwrap_or(position) };
        Self {
            current: Some(CurrentRevision::Revision(revision)),
            place: Some(SuccessPlace::Place(place)),
        }
    }
}

/// Fields 1 to 5 were for servers of 2020 and are not written any more.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct WrongExpectedVersion {
    #[prost(oneof = "WrongCurrent", tags = "6, 7")]
    pub(crate) current: Option<WrongCurrent>,
    #[prost(oneof = "WrongExpected", tags = "8, 9, 10, 11")]
    pub(crate) expected: Option<WrongExpected>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum WrongCurrent {
    #[prost(uint64, tag = "6")]
    Revision(u64),
    #[prost(message, tag = "7")]
    NoStream(()),
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum WrongExpected {
    #[prost(uint64, tag = "8")]
    Revision(u64),
    #[prost(message, tag = "9")]
    Any(()),
    #[prost(message, tag = "10")]
    StreamExists(()),
    #[prost(message, tag = "11")]
    NoStream(()),
}

impl WrongExpectedVersion {
    /// The stream ends at `actual`, not where `expected` says.
    pub(crate) fn new(expected: Expectation, actual: Option<u64>) -> Self {
        Self {
            current: Some(actual.map_or(WrongCurrent::NoStream(()), WrongCurrent::Revision)),
            expected: Some(match expected {
                Expectation::Revision(revision) => WrongExpected::Revision(revision),
                Expectation::NoStream(()) => WrongExpected::NoStream(()),
                Expectation::Any(()) => WrongExpected::Any(()),
                Expectation::StreamExists(()) => WrongExpected::StreamExists(()),
            }),
        }
    }
}

/// `Streams.Delete` and `Streams.Tombstone` are told apart by their paths only, and never done.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeleteReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) options: Option<AppendOptions>,
}
