//! The append-only log: the only source of truth.
//!
//! A record is a fact as stored. Streams are appended to with an expected revision; positions
//! order all records of the log.

pub mod chain;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedded;
mod envelope;
pub mod eventstore;
pub mod measured;
mod outage;
mod protocol;
pub mod server;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{Time, UserId};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use embedded::StorageError;
use eventstore::EventStoreError;
pub use outage::Outage;

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
#[derive(Clone, Copy, PartialEq, Eq, Default)]
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
    pub kind: Cow<'static, str>,
    /// Version of the data's form.
    pub version: u16,
    /// When it was decided.
    pub at: Time,
    /// [`Metadata`] as JSON.
    pub metadata: Arc<str>,
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
    pub metadata: Arc<str>,
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
    /// Revision of the last record appended. After a repetition the stream may be longer: what
    /// others wrote since is not covered, so that nobody takes it for seen.
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
    /// No log takes such an append, however often it is tried. Nothing was written.
    #[error("the append is not fit to be stored")]
    Unfit(#[source] Unfit),
    /// Nothing was written, and nothing will be until the cause is removed. What the source says
    /// of itself is told to clients; what it has below it is not.
    #[error("the log cannot be written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may or may not have been written: look for the records' ids. The source as above.
    #[error("whether the log was written is unknown")]
    OutcomeUnknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AppendError {
    /// What is wrong with the log, in words that are safe to tell anyone: for instance that the
    /// disk is full. Nothing if the log is not at fault.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::WrongRevision { .. } | Self::Unfit(_) => None,
            Self::Unavailable(source) | Self::OutcomeUnknown(source) => Some(source.to_string()),
        }
    }
}

/// What makes an append unfit to be stored, whatever is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is nothing to append.
    #[error("it has no records")]
    Empty,
    /// The stream's name is empty, longer than [`Unfit::MAX_NAME`] bytes, or begins with `$`, as
    /// names that log servers have for themselves do.
    #[error("the stream's name has to have 1 to {} bytes, the first not $", Self::MAX_NAME)]
    StreamName,
    /// A kind is empty, longer than [`Unfit::MAX_NAME`] bytes, or begins with `$`.
    #[error(
        "the kind of record {index} has to have 1 to {} bytes, the first not $",
        Self::MAX_NAME
    )]
    Kind {
        /// Which record of the append, from 0.
        index: usize,
    },
    /// Data has to be JSON, and JSON is UTF-8.
    #[error("the data of record {index} is not UTF-8 text")]
    NotText {
        /// Which record of the append, from 0.
        index: usize,
    },
    /// Data is not one JSON text and nothing else, which logs at the other end of a network insist
    /// on.
    #[error("the data of record {index} is not a JSON text, or has white space around it")]
    NotJson {
        /// Which record of the append, from 0.
        index: usize,
    },
    /// A record's data or metadata is larger than [`Unfit::MAX_RECORD`] bytes.
    #[error("record {index} has more than {} bytes", Self::MAX_RECORD)]
    TooLarge {
        /// Which record of the append, from 0.
        index: usize,
    },
}

impl Unfit {
    /// Bytes in the name of a stream or a kind at most.
    pub const MAX_NAME: usize = 512;
    /// Bytes in a record's data, and in its metadata, at most.
    pub const MAX_RECORD: usize = 16 << 20;

    /// Checks what can be known of an append without the log.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn check(stream: &str, records: &[NewRecord]) -> Result<(), Self> {
        if records.is_empty() {
            return Err(Self::Empty);
        }
        let is_name = |name: &str| (1..=Self::MAX_NAME).contains(&name.len());
        let is_name = |name: &str| is_name(name) && !name.starts_with('$');
        if !is_name(stream) {
            return Err(Self::StreamName);
        }
        for (index, record) in records.iter().enumerate() {
            if !is_name(&record.kind) {
                return Err(Self::Kind { index });
            }
            if record.data.len().max(record.metadata.len()) > Self::MAX_RECORD {
                return Err(Self::TooLarge { index });
            }
            if std::str::from_utf8(&record.data).is_err() {
                return Err(Self::NotText { index });
            }
        }
        Ok(())
    }
}

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read")]
pub struct ReadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl ReadError {
    /// Whether a record is not what the product wrote, so that reading it again is of no use.
    pub fn is_of_damage(&self) -> bool {
        let is_foreign = |error: &EventStoreError| matches!(error, EventStoreError::Foreign { .. });
        self.0.downcast_ref().is_some_and(is_foreign)
            || self.0.downcast_ref().is_some_and(StorageError::is_damage)
    }
}

/// An append-only log. Every implementation passes the same conformance suite.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends all of `records` to `stream`, durably, or none.
    ///
    /// When the stream is not where `expected` says, but the records after that place are exactly
    /// these (by id), the append was carried out before and succeeds again. With
    /// [`Expected::Any`] it was if the stream ends with exactly these.
    ///
    /// An append whose future is dropped may or may not be carried out.
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
    /// The log cannot be read, or what is read is not as it was written, as far as the log can tell.
    async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError>;

    /// The same, with records that are not as they were written: for who shows them, or says so.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn read_stream_as_is(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.read_stream(stream, from, limit).await
    }

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

    /// Whether appends succeed. After one that failed a log tries to write something that is no
    /// record, so that whoever asks learns when it can be written again.
    ///
    /// # Errors
    /// [`AppendError::Unavailable`]; its [`AppendError::reason`] says what is wrong.
    async fn check_writable(&self) -> Result<(), AppendError>;

    /// All records after `after`, in order, in batches, for ever: what is there at once, what
    /// comes as soon as it is durable. An error ends the stream; the reader subscribes again from
    /// the last position it saw.
    fn subscribe_all(&self, after: Position) -> BoxStream<'static, Result<Vec<Record>, ReadError>>;
}

/// Two of the libraries that speak TLS bring a provider of their own for its cryptography, and then
/// each wants to be told which one to take. Whoever is first decides for the process.
pub(crate) fn use_one_tls_provider() {
    // Refused only when another was chosen before, which does as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
