//! An append as a client asks for it, and what comes of it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use domain::Time;
use serde::de::IgnoredAny;

use super::refusal::Refusal;
use crate::log::embedded::EmbeddedLog;
use crate::log::envelope::Envelope;
use crate::log::measured;
use crate::log::protocol::{Expectation, JSON, Proposed, StreamIdentifier, key, value_of};
use crate::log::{AppendError, Appended, Expected, Log, NewRecord};

/// The version in the file of records that are not of the product.
pub(super) const FOREIGN: u16 = 0;

/// Bytes of data and metadata in one append at most.
const MAX_APPEND: usize = 64 << 20;

const NO_METADATA: &str =
    "not supported: this log is immutable, its streams have no metadata that could end them";

/// Records on their way to a stream.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) stream: String,
    pub(super) expected: Expectation,
    records: Vec<NewRecord>,
    bytes: usize,
}

/// What became of an append that could be decided.
#[derive(Debug)]
pub(super) enum Outcome {
    /// And the position of the first record, if those between are one after the other.
    Appended(Appended, Option<u64>),
    /// Where the stream ends instead.
    Wrong(Option<u64>),
}

impl Proposal {
    /// An append without records.
    pub(super) fn new(
        stream: Option<StreamIdentifier>,
        expected: Option<Expectation>,
    ) -> Result<Self, Refusal> {
        let stream = name(stream)?;
        if stream.starts_with("$$") {
            return Err(Refusal::unsupported(NO_METADATA));
        }
        let expected = expected
            .ok_or_else(|| Refusal::invalid("the append expects no state of its stream"))?;
        Ok(Self { stream, expected, records: vec![], bytes: 0 })
    }

    /// Takes one more record, which came at `now`.
    pub(super) fn push(&mut self, proposed: &Proposed, now: Time) -> Result<(), Refusal> {
        self.bytes += proposed.data.len() + proposed.metadata.len();
        if self.bytes > MAX_APPEND {
            let text = format!("an append has {MAX_APPEND} bytes of data and metadata at most");
            return Err(Refusal::invalid(text));
        }
        let refuse = |what| {
            let index = self.records.len();
            Refusal::invalid(format!("record {index} of the append {what}"))
        };
        self.records.push(record(proposed, now).map_err(refuse)?);
        Ok(())
    }

    /// Appends it. Polled once, it has its place before all that are polled later, unless the
    /// stream has to exist.
    pub(super) async fn carry_out(self, log: &EmbeddedLog) -> Result<Outcome, Refusal> {
        let expected = match self.expected {
            Expectation::Revision(revision) => Expected::Revision(revision),
            Expectation::NoStream(()) => Expected::NoStream,
            Expectation::Any(()) => Expected::Any,
            // Streams do not cease to exist.
            Expectation::StreamExists(()) => {
                let read = log.read_stream_back(&self.stream, u64::MAX, 1).await;
                if read.map_err(|error| Refusal::unreadable(&error))?.is_empty() {
                    return Ok(Outcome::Wrong(None));
                }
                Expected::Any
            }
        };
        let count = self.records.len() as u64;
        match measured::append(log, &self.stream, expected, self.records).await {
            Ok(appended) => {
                let first = appended.contiguous.then(|| appended.position.0 + 1 - count);
                Ok(Outcome::Appended(appended, first))
            }
            // It is refused by a log that could not be written too: who only asks whether it can,
            // as the product's health does, has to be told.
            Err(AppendError::WrongRevision { actual }) => match log.check_writable().await {
                Ok(()) => Ok(Outcome::Wrong(actual)),
                Err(error) => Err(unwritable(&error)),
            },
            Err(error @ AppendError::Unavailable(_)) => Err(unwritable(&error)),
            Err(AppendError::OutcomeUnknown(_)) => {
                Err(Refusal::unknown("whether it was written is unknown: look for the records"))
            }
            Err(AppendError::Unfit(unfit)) => Err(Refusal::invalid(unfit.to_string())),
        }
    }
}

/// With what is safe to be told. The rest is in the server's own log.
fn unwritable(error: &AppendError) -> Refusal {
    let reason = error.reason().unwrap_or_default();
    Refusal::unavailable(format!("nothing was written: the log cannot be written: {reason}"))
}

/// A stream's name.
pub(super) fn name(stream: Option<StreamIdentifier>) -> Result<String, Refusal> {
    let name = stream.unwrap_or_default().name;
    String::from_utf8(name.into()).map_err(|_| Refusal::invalid("the stream's name is not UTF-8"))
}

/// What makes it unfit, as the end of a sentence.
fn record(proposed: &Proposed, now: Time) -> Result<NewRecord, Cow<'static, str>> {
    let Proposed { id, system, metadata, data } = proposed;
    let id = id.as_ref().and_then(crate::log::protocol::WireUuid::id).ok_or("has no id")?;
    let kind = value_of(system, key::TYPE).ok_or("has no type")?;
    let kind = std::str::from_utf8(kind).map_err(|_| "has a type that is not UTF-8")?;
    let content = value_of(system, key::CONTENT_TYPE).map(Bytes::as_ref).unwrap_or_default();
    // Nothing is of no type.
    if content != JSON.as_bytes() && !data.is_empty() {
        let content = String::from_utf8_lossy(content);
        return Err(format!("has content type {content:?}: this log takes {JSON} only").into());
    }
    if text(data).is_none() {
        return Err("has data that is not a JSON text: this log takes JSON only".into());
    }
    let custom =
        text(metadata).ok_or("has metadata that is not a JSON text: this log takes JSON only")?;
    let (version, at, metadata) = match Envelope::read(metadata) {
        Some(envelope) if envelope.version != FOREIGN => {
            (envelope.version, envelope.at, Arc::from(envelope.metadata))
        }
        _ => (FOREIGN, now, Arc::from(custom)),
    };
    let kind = Cow::Owned(kind.to_owned());
    Ok(NewRecord { id, kind, version, at, metadata, data: data.clone() })
}

/// The bytes as text, if they are a JSON text or nothing.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = text.is_empty() || serde_json::from_str::<IgnoredAny>(text).is_ok();
    fits.then_some(text)
}
