//! `Streams.Read`: reads and subscriptions, of a stream and of `$all`.

use prost::bytes::Bytes;
use prost::{Message, Oneof};
use prost_types::Timestamp;

use super::{Entry, Place, StreamIdentifier, WireUuid};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) options: Option<ReadOptions>,
}

/// `resolve_links` (field 4) has no meaning in a log without links.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadOptions {
    #[prost(int32, tag = "3")]
    pub(crate) direction: i32,
    #[prost(message, optional, tag = "9")]
    pub(crate) uuids: Option<UuidOption>,
    #[prost(oneof = "ReadFrom", tags = "1, 2")]
    pub(crate) from: Option<ReadFrom>,
    #[prost(oneof = "Count", tags = "5, 6")]
    pub(crate) count: Option<Count>,
    #[prost(oneof = "FilterOption", tags = "7, 8")]
    pub(crate) filter: Option<FilterOption>,
}

impl ReadOptions {
    /// `ReadDirection.Backwards`
    pub(crate) const BACKWARDS: i32 = 1;
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ReadFrom {
    #[prost(message, tag = "1")]
    Stream(StreamOptions),
    #[prost(message, tag = "2")]
    All(AllOptions),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(oneof = "RevisionOption", tags = "2, 3, 4")]
    pub(crate) revision: Option<RevisionOption>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum RevisionOption {
    #[prost(uint64, tag = "2")]
    Revision(u64),
    #[prost(message, tag = "3")]
    Start(()),
    #[prost(message, tag = "4")]
    End(()),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct AllOptions {
    #[prost(oneof = "AllOption", tags = "1, 2, 3")]
    pub(crate) place: Option<AllOption>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum AllOption {
    #[prost(message, tag = "1")]
    Place(Place),
    #[prost(message, tag = "2")]
    Start(()),
    #[prost(message, tag = "3")]
    End(()),
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum Count {
    /// Read so many, and end.
    #[prost(uint64, tag = "5")]
    Limit(u64),
    /// Follow.
    #[prost(message, tag = "6")]
    Subscription(()),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct UuidOption {
    #[prost(oneof = "UuidContent", tags = "1, 2")]
    pub(crate) content: Option<UuidContent>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum UuidContent {
    #[prost(message, tag = "1")]
    Structured(()),
    #[prost(message, tag = "2")]
    Text(()),
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum FilterOption {
    #[prost(message, tag = "7")]
    Filter(FilterOptions),
    #[prost(message, tag = "8")]
    None(()),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FilterOptions {
    /// Windows after which a subscription tells how far it has looked.
    #[prost(uint32, tag = "5")]
    pub(crate) checkpoint_interval: u32,
    #[prost(oneof = "FilterOn", tags = "1, 2")]
    pub(crate) on: Option<FilterOn>,
    #[prost(oneof = "Window", tags = "3, 4")]
    pub(crate) window: Option<Window>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum FilterOn {
    #[prost(message, tag = "1")]
    Stream(Expression),
    #[prost(message, tag = "2")]
    Kind(Expression),
}

/// Either a regular expression or prefixes.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Expression {
    #[prost(string, tag = "1")]
    pub(crate) regex: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) prefixes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum Window {
    /// Records to look at before telling how far it got.
    #[prost(uint32, tag = "3")]
    Max(u32),
    #[prost(message, tag = "4")]
    Count(()),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadResp {
    #[prost(oneof = "ReadContent", tags = "1, 2, 3, 4, 8")]
    pub(crate) content: Option<ReadContent>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ReadContent {
    #[prost(message, tag = "1")]
    Event(ReadEvent),
    #[prost(message, tag = "2")]
    Confirmation(Confirmation),
    #[prost(message, tag = "3")]
    Checkpoint(Checkpoint),
    #[prost(message, tag = "4")]
    StreamNotFound(StreamNotFound),
    #[prost(message, tag = "8")]
    CaughtUp(CaughtUp),
}

impl From<ReadContent> for ReadResp {
    fn from(content: ReadContent) -> Self {
        Self { content: Some(content) }
    }
}

/// Without `link` (field 2): there are none.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadEvent {
    #[prost(message, optional, tag = "1")]
    pub(crate) event: Option<RecordedEvent>,
    #[prost(oneof = "EventPlace", tags = "3")]
    pub(crate) place: Option<EventPlace>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum EventPlace {
    #[prost(uint64, tag = "3")]
    Commit(u64),
}

/// A record as clients see it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RecordedEvent {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<WireUuid>,
    #[prost(message, optional, tag = "2")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(uint64, tag = "3")]
    pub(crate) revision: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) prepare: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) commit: u64,
    #[prost(message, repeated, tag = "6")]
    pub(crate) system: Vec<Entry>,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) metadata: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    pub(crate) data: Bytes,
}

/// The subscription has begun.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Confirmation {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

/// All records up to here were looked at, whether they passed the filter or not.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Checkpoint {
    #[prost(uint64, tag = "1")]
    pub(crate) commit: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) prepare: u64,
    #[prost(message, optional, tag = "3")]
    pub(crate) at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamNotFound {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
}

/// All that was there has been read: from here on records come as they are written.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct CaughtUp {
    #[prost(message, optional, tag = "1")]
    pub(crate) at: Option<Timestamp>,
    #[prost(int64, optional, tag = "2")]
    pub(crate) revision: Option<i64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) place: Option<Place>,
}
