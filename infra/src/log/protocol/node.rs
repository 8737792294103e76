//! What a client asks of a node before anything else: what it can do, and which others there are.

use prost::Message;

use super::WireUuid;

/// Answer of `ServerFeatures.GetSupportedMethods`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SupportedMethods {
    #[prost(message, repeated, tag = "1")]
    pub(crate) methods: Vec<SupportedMethod>,
    /// Three numbers with dots between, and whatever follows a `-`.
    #[prost(string, tag = "2")]
    pub(crate) version: String,
}

/// Names in lower case.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SupportedMethod {
    #[prost(string, tag = "1")]
    pub(crate) method: String,
    #[prost(string, tag = "2")]
    pub(crate) service: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) features: Vec<String>,
}

/// Answer of `Gossip.Read`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClusterInfo {
    #[prost(message, repeated, tag = "1")]
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Member {
    #[prost(message, optional, tag = "1")]
    pub(crate) instance: Option<WireUuid>,
    /// In units of 100 ns since 1970.
    #[prost(int64, tag = "2")]
    pub(crate) at: i64,
    #[prost(int32, tag = "3")]
    pub(crate) state: i32,
    #[prost(bool, tag = "4")]
    pub(crate) is_alive: bool,
    #[prost(message, optional, tag = "5")]
    pub(crate) endpoint: Option<EndPoint>,
}

impl Member {
    /// `VNodeState.Leader`
    pub(crate) const LEADER: i32 = 8;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EndPoint {
    #[prost(string, tag = "1")]
    pub(crate) host: String,
    #[prost(uint32, tag = "2")]
    pub(crate) port: u32,
}
