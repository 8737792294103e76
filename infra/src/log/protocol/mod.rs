//! The messages of the EventStoreDB gRPC protocol, as far as a log needs them.
//!
//! Field numbers are facts of the protocol (`event_store.client.*`, protocol version 1) and never
//! change. Names of fields are not on the wire. Text is taken as bytes where it is checked by its
//! reader, and where copying it would cost.

mod append;
mod batch;
mod node;
mod read;

use prost::Message;
use prost::bytes::Bytes;

pub(crate) use append::*;
pub(crate) use batch::*;
pub(crate) use node::*;
pub(crate) use read::*;

/// What a record is of, and in which form: system metadata of the protocol.
pub(crate) mod key {
    /// The record's kind.
    pub(crate) const TYPE: &str = "type";
    /// The media type of the data.
    pub(crate) const CONTENT_TYPE: &str = "content-type";
    /// When it was stored, in units of 100 ns since 1970.
    pub(crate) const CREATED: &str = "created";
}

/// The only media type that the log takes.
pub(crate) const JSON: &str = "application/json";

/// `event_store.client.UUID`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireUuid {
    #[prost(oneof = "UuidForm", tags = "1, 2")]
    pub(crate) value: Option<UuidForm>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum UuidForm {
    #[prost(message, tag = "1")]
    Structured(UuidHalves),
    #[prost(string, tag = "2")]
    Text(String),
}

/// The upper and the lower 64 bits.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct UuidHalves {
    #[prost(int64, tag = "1")]
    pub(crate) most: i64,
    #[prost(int64, tag = "2")]
    pub(crate) least: i64,
}

impl WireUuid {
    /// As two numbers, which every client reads.
    pub(crate) fn structured(id: uuid::Uuid) -> Self {
        let (most, least) = id.as_u64_pair();
        let halves = UuidHalves { most: most.cast_signed(), least: least.cast_signed() };
        Self { value: Some(UuidForm::Structured(halves)) }
    }

    /// As text.
    pub(crate) fn text(id: uuid::Uuid) -> Self {
        Self { value: Some(UuidForm::Text(id.to_string())) }
    }

    /// What it stands for; nothing if it is none.
    pub(crate) fn id(&self) -> Option<uuid::Uuid> {
        match self.value.as_ref()? {
            UuidForm::Structured(UuidHalves { most, least }) => {
                Some(uuid::Uuid::from_u64_pair(most.cast_unsigned(), least.cast_unsigned()))
            }
            UuidForm::Text(text) => text.parse().ok(),
        }
    }
}

/// `event_store.client.StreamIdentifier`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamIdentifier {
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) name: Bytes,
}

/// A place in `$all`: `AllStreamPosition` and its namesakes. Both halves are the same in this log.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Place {
    #[prost(uint64, tag = "1")]
    pub(crate) commit: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) prepare: u64,
}

impl Place {
    /// In a log whose positions are single numbers.
    pub(crate) fn at(position: u64) -> Self {
        Self { commit: position, prepare: position }
    }
}

/// One entry of a `map<string, string>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

impl Entry {
    /// An entry with a key of the protocol.
    pub(crate) fn new(key: &'static str, value: impl Into<Bytes>) -> Self {
        Self { key: Bytes::from_static(key.as_bytes()), value: value.into() }
    }
}

/// The value of `key`; the last one, as in any map.
pub(crate) fn value_of<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Bytes> {
    entries.iter().rev().find(|entry| entry.key == key).map(|entry| &entry.value)
}
