//! Appending: always behind a known end, until the outcome is known.

use std::sync::Arc;

use bytes::Bytes;
use eventstore::{AppendToStreamOptions, Client, EventData, StreamState, WriteResult};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Shared;
use super::connection::Pauses;
use super::error::{EventStoreError, Trace};
use super::tails::{Known, Tail};
use crate::log::envelope::Envelope;
use crate::log::{AppendError, Appended, Expected, NewRecord, Position, Record, Unfit};

/// One call of `append`.
struct Append<'a> {
    shared: &'a Shared,
    stream: &'a str,
    records: &'a [NewRecord],
    deadline: Instant,
    /// The last position seen before anything was sent.
    seen: Position,
    /// Whether an attempt may have left something.
    is_doubtful: bool,
}

/// What came of sending an append behind a certain revision.
enum Sent {
    Written(WriteResult),
    /// Somebody else wrote there, or an earlier attempt of this append did; where the stream ended then.
    Taken(Option<u64>),
}

pub(super) async fn append(
    shared: &Shared,
    stream: &str,
    expected: Expected,
    records: &[NewRecord],
) -> Result<Appended, AppendError> {
    let slot = shared.tails.of(stream);
    let mut known = slot.lock().await;
    let deadline = shared.appends.deadline();
    let seen = shared.reach.seen();
    let append = Append { shared, stream, records, deadline, seen, is_doubtful: false };
    append.run(expected, &mut known).await
}

/// Whether appends are decided on. Nothing is ever written to the stream this expects to be long.
pub(super) async fn check(shared: &Shared) -> Result<(), EventStoreError> {
    const LONG: StreamState = StreamState::StreamRevision(1 << 40);
    let options = AppendToStreamOptions::default().stream_state(LONG);
    let probe = EventData::binary("Probe", Bytes::new());
    let send = async move |client: Arc<Client>| {
        Ok(client.append_to_stream("evently-probe", &options, probe).await?)
    };
    match shared.appends.attempt(send).await {
        Err(error) if error.wrong_revision().is_some() => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

impl Append<'_> {
    /// While anything is under way, nothing is known of the stream's end: this may be dropped.
    async fn run(mut self, expected: Expected, known: &mut Known) -> Result<Appended, AppendError> {
        loop {
            let was_known = known.tail.is_some();
            let tail = match known.tail.take() {
                Some(tail) => tail,
                None if expected == Expected::NoStream => Tail::of_nothing(self.stream),
                None => self.tail().await?,
            };
            let first = match expected {
                Expected::NoStream => 0,
                Expected::Revision(last) => last.saturating_add(1),
                Expected::Any => {
                    if let Some(before) = self.is_at_end_of(&tail).await? {
                        known.tail = Some(tail);
                        return Ok(before);
                    }
                    tail.next
                }
            };
            if first != tail.next {
                if was_known {
                    // What was known may be out of date.
                    continue;
                }
                let before = self.is_there(first).await?;
                return before.ok_or(AppendError::WrongRevision { actual: tail.last() });
            }
            let was_in_doubt = std::mem::replace(&mut known.in_doubt, true);
            let after = self.records.iter().fold(tail, |tail, record| tail.with(record));
            match self.send(&tail).await? {
                Sent::Written(written) => {
                    let appended = self.written(&written, first).await?;
                    known.tail =
                        if was_in_doubt { self.as_sent(&after).await? } else { Some(after) };
                    known.in_doubt = known.tail.is_none();
                    return Ok(appended);
                }
                Sent::Taken(actual) => {
                    // What nobody knows of is where this one was to go, or never gets there.
                    if (was_in_doubt || self.is_doubtful)
                        && let Some(before) = self.is_there(first).await?
                    {
                        return Ok(before);
                    }
                    known.in_doubt = false;
                    if expected != Expected::Any {
                        return Err(AppendError::WrongRevision { actual });
                    }
                    // Its end has moved on.
                    self.check_deadline()?;
                }
            }
        }
    }

    /// Sends the append, the same each time, until its outcome is known.
    async fn send(&mut self, tail: &Tail) -> Result<Sent, AppendError> {
        let expected = tail.last().map_or(StreamState::NoStream, StreamState::StreamRevision);
        let options = AppendToStreamOptions::default().stream_state(expected);
        let events = events(tail, self.records).map_err(AppendError::Unfit)?;
        let mut pauses = Pauses::new();
        loop {
            let (stream, options, events) =
                (self.stream.to_owned(), options.clone(), events.clone());
            let send = async move |client: Arc<Client>| {
                Ok(client.append_to_stream(stream, &options, events).await?)
            };
            let error = match self.shared.appends.attempt(send).await {
                Ok(written) => return Ok(Sent::Written(written)),
                Err(error) => error,
            };
            if let Some(last) = error.wrong_revision() {
                return Ok(Sent::Taken(last));
            }
            let trace = error.trace();
            self.is_doubtful |= trace == Trace::Unknown;
            if trace == Trace::NoneEver || Instant::now() >= self.deadline {
                return Err(self.failure(error));
            }
            tracing::debug!(stream = self.stream, %error, "an append is sent again");
            pauses.pause().await;
        }
    }

    /// Where it went, if it went where it should.
    async fn written(
        &mut self,
        written: &WriteResult,
        first: u64,
    ) -> Result<Appended, AppendError> {
        let revision = first + self.records.len() as u64 - 1;
        if written.next_expected_version != revision {
            // Only in a stream that was cut off, which no stream of a log may be.
            self.is_doubtful = true;
            let (stream, revision) = (self.stream.to_owned(), written.next_expected_version);
            return Err(self.failure(EventStoreError::Displaced { stream, revision }));
        }
        if written.position.commit == 0 {
            // Some servers do not say it of what they found to be there already.
            self.is_doubtful = true;
            return match self.is_there(first).await? {
                Some(before) => Ok(before),
                None => Err(AppendError::WrongRevision { actual: self.tail().await?.last() }),
            };
        }
        let (commit, prepare) = (written.position.commit, written.position.prepare);
        if !self.is_doubtful && commit <= self.seen.0 {
            // Nothing new is written so early in the log that was there.
            self.is_doubtful = true;
            self.shared.look_at_end().await.map_err(|error| self.failure(error))?;
        }
        self.shared.reach.saw(Position(commit));
        // Where the first one went only the log server of this product says.
        Ok(self.appended(revision, Position(prepare), Position(commit)))
    }

    fn appended(&self, revision: u64, first: Position, last: Position) -> Appended {
        let between = self.records.len() as u64 - 1;
        // Elsewhere a record takes more than one.
        let contiguous = between == 0 || last.0.checked_sub(first.0) == Some(between);
        Appended { revision, position: last, contiguous }
    }

    /// `after` if the stream ends with what was sent.
    ///
    /// An attempt of an earlier call, given up as unknown, may have got there with the same ids in
    /// the moment before, and the server takes this one for its repetition. Then the stream has what
    /// was sent that time, and the caller has to look. Ids are made in this process only, and what it
    /// has written since it looked last, it knows.
    async fn as_sent(&self, after: &Tail) -> Result<Option<Tail>, AppendError> {
        let Some((last, sent)) = after.last().zip(self.records.last()) else { return Ok(None) };
        let Ok(stored) = self.shared.read_stream(self.stream, last, 1).await else {
            // What was written is written. The next append will look.
            return Ok(None);
        };
        match stored.first() {
            Some(stored) if !is_same(stored, sent) => {
                Err(AppendError::WrongRevision { actual: Some(last) })
            }
            Some(stored) if Tail::after(stored) == *after => Ok(Some(*after)),
            _ => Ok(None),
        }
    }

    async fn is_at_end_of(&mut self, tail: &Tail) -> Result<Option<Appended>, AppendError> {
        let last = self.records.last().map(|last| last.id);
        match tail.next.checked_sub(self.records.len() as u64) {
            Some(first) if tail.id == last => self.is_there(first).await,
            _ => Ok(None),
        }
    }

    /// Where the records are, if the stream has exactly them from revision `first`.
    async fn is_there(&mut self, first: u64) -> Result<Option<Appended>, AppendError> {
        let count = self.records.len();
        let found = self.shared.read_stream(self.stream, first, count).await;
        let found = found.map_err(|error| self.failure(error))?;
        let ids = self.records.iter().map(|record| record.id);
        if !found.iter().map(|record| record.id).eq(ids) {
            return Ok(None);
        }
        let ends = found.first().zip(found.last());
        Ok(ends.map(|(first, last)| self.appended(last.revision, first.position, last.position)))
    }

    async fn tail(&self) -> Result<Tail, AppendError> {
        let last = self.shared.last_of(self.stream).await.map_err(|error| self.failure(error))?;
        Ok(last.map_or_else(|| Tail::of_nothing(self.stream), |last| Tail::after(&last)))
    }

    fn check_deadline(&self) -> Result<(), AppendError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(self.failure(EventStoreError::TimedOut(self.shared.options.patience)))
    }

    fn failure(&self, error: EventStoreError) -> AppendError {
        if self.is_doubtful {
            AppendError::OutcomeUnknown(Box::new(error))
        } else {
            AppendError::Unavailable(Box::new(error))
        }
    }
}

/// Whether the record is what was given, but for its place.
fn is_same(stored: &Record, sent: &NewRecord) -> bool {
    stored.id == sent.id
        && *stored.kind == *sent.kind
        && (stored.version, stored.at) == (sent.version, sent.at)
        && stored.metadata == sent.metadata
        && stored.data == sent.data
}

/// The records as the client takes them, chained to what is before them.
fn events(tail: &Tail, records: &[NewRecord]) -> Result<Vec<EventData>, Unfit> {
    let mut tail = *tail;
    let mut events = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        tail = tail.with(record);
        let NewRecord { id, kind, version, at, metadata, data } = record;
        let envelope = Envelope {
            version: *version,
            at: *at,
            hash: tail.hash,
            metadata: (&**metadata).into(),
        };
        let event = if data.is_empty() {
            EventData::binary(kind, data.clone())
        } else {
            let json = serde_json::from_slice::<&RawValue>(data)
                .ok()
                .filter(|raw| raw.get().len() == data.len())
                .ok_or(Unfit::NotJson { index })?;
            EventData::json(kind, &json).map_err(|_| Unfit::NotJson { index })?
        };
        events.push(event.id(*id).metadata(envelope.write()));
    }
    Ok(events)
}
