//! The append-only log: the only source of truth.
//!
//! A record is a fact as stored. Streams are appended to with an expected revision; positions
//! order all records of the log.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{Time, UserId};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place in the whole log. Only ever grows; not a count. Zero is before the first record.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What links a record to the hash of the record before it in its stream: BLAKE3, 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChainHash(pub [u8; 32]);

/// Why and by whom a record was written. Stored as JSON beside the data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// The command that caused it.
    pub command: Uuid,
    /// The request id that the client saw, shared by everything that followed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The record that caused it, if it was not a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The person who asked; absent for what the clock or the system did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserId>,
}

/// A record about to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Deterministic (command id plus index), so that a retry is recognised.
    pub id: Uuid,
    /// The fact's kind, e.g. `Reserved`.
    pub kind: &'static str,
    /// Version of the data's form.
    pub version: u16,
    /// When it was decided.
    pub at: Time,
    /// [`Metadata`] as JSON.
    pub metadata: String,
    /// The fact as JSON.
    pub data: Bytes,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Place in the log.
    pub position: Position,
    /// Name of its stream.
    pub stream: Arc<str>,
    /// Place in its stream, from 0.
    pub revision: u64,
    /// Unique; given by the writer.
    pub id: Uuid,
    /// The fact's kind.
    pub kind: Arc<str>,
    /// Version of the data's form.
    pub version: u16,
    /// When it was decided.
    pub at: Time,
    /// [`Metadata`] as JSON.
    pub metadata: String,
    /// The fact as JSON.
    pub data: Bytes,
    /// Binds it to all that went before in its stream.
    pub hash: ChainHash,
}

/// What the writer believes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It has no record.
    NoStream,
    /// Its last record has this revision.
    Revision(u64),
    /// Nothing; whatever is there is extended.
    Any,
}

/// Where appended records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Revision of the last record of the stream now.
    pub revision: u64,
    /// Position of the last record appended. Those before it in the same append are right before
    /// it when `contiguous`.
    pub position: Position,
    /// Whether the records of one append have positions one after the other.
    pub contiguous: bool,
}

/// Why an append did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer was there first. Nothing was written.
    #[error("the stream is at revision {actual:?}, not where the writer believed")]
    WrongRevision {
        /// Revision of the last record; `None` if there is no stream.
        actual: Option<u64>,
    },
    /// Nothing was written, and nothing will be until the cause is removed.
    #[error("the log cannot be written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may or may not have been written: look for the records' ids.
    #[error("whether the log was written is unknown")]
    OutcomeUnknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read")]
pub struct ReadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// An append-only log. Every implementation passes the same conformance suite.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends all of `records` to `stream`, durably, or none.
    ///
    /// When the stream is not where `expected` says, but the records after that place are exactly
    /// these (by id), the append was carried out before and succeeds again.
    ///
    /// # Errors
    /// See [`AppendError`].
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        records: Vec<NewRecord>,
    ) -> Result<Appended, AppendError>;

    /// Up to `limit` records of `stream` from revision `from`, in order; none if there is no such
    /// stream.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError>;

    /// Up to `limit` records after `after`, in order of position.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError>;

    /// Position of the last record; zero for an empty log.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn head(&self) -> Result<Position, ReadError>;

    /// All records after `after`, in order, in batches, for ever: what is there at once, what
    /// comes as soon as it is durable. An error ends the stream; the reader subscribes again from
    /// the last position it saw.
    fn subscribe_all(&self, after: Position) -> BoxStream<'static, Result<Vec<Record>, ReadError>>;
}
