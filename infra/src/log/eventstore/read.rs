//! Reading, a page at a time, and what is in a page.

use std::sync::Arc;
use std::time::Duration;

use eventstore::{
    Client, Position as Place, ReadAllOptions, ReadStream, ReadStreamOptions, RecordedEvent,
    StreamPosition, SubscriptionFilter,
};

use tokio::time::Instant;

use super::Shared;
use super::connection::Pauses;
use super::error::EventStoreError;
use super::reach::Reach;
use crate::log::envelope::Envelope;
use crate::log::{Position, Record};

/// Records read in one call: few enough for the time that one may take.
const PAGE: usize = 2_048;

/// How long one node of a cluster may be behind another one.
const BEHIND: Duration = Duration::from_secs(2);

/// What the server keeps for itself is passed over there.
pub(super) fn without_system_records() -> SubscriptionFilter {
    SubscriptionFilter::on_event_type().exclude_system_events()
}

pub(super) fn place(position: Position) -> StreamPosition<Place> {
    match position.0 {
        0 => StreamPosition::Start,
        position => StreamPosition::Position(Place { commit: position, prepare: position }),
    }
}

/// Numbers beyond that are not known to the server: no record has one.
fn is_beyond(number: u64) -> bool {
    number >= i64::MAX as u64
}

/// Reads recorded events as records. Remembers the stream's name: neighbours are often of one.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    stream: Option<Arc<str>>,
}

impl Decoder {
    /// Nothing if the event is not a record of the product.
    pub(super) fn record(&mut self, event: RecordedEvent) -> Option<Record> {
        let Envelope { version, at, hash, metadata } = Envelope::read(&event.custom_metadata)?;
        Some(Record {
            position: Position(event.position.commit),
            stream: self.name(event.stream_id()),
            revision: event.revision,
            id: event.id,
            kind: Arc::from(event.event_type.as_str()),
            version,
            at,
            metadata: metadata.into(),
            data: event.data,
            hash,
        })
    }

    fn name(&mut self, stream: &str) -> Arc<str> {
        match &self.stream {
            Some(known) if **known == *stream => Arc::clone(known),
            _ => Arc::clone(self.stream.insert(Arc::from(stream))),
        }
    }
}

/// Sees that the server, which may have been started anew since, has the log that it had: another one would
/// be followed and written to without a word.
pub(super) async fn see_end(client: &Client, reach: &Reach) -> Result<(), EventStoreError> {
    let (begun, mut pauses) = (Instant::now(), Pauses::new());
    loop {
        let last = ReadAllOptions::default().position(StreamPosition::End).backwards().max_count(1);
        let events = all_of(client.read_all(&last).await?).await?;
        let end = events.last().map(|last| Position(last.position.commit)).unwrap_or_default();
        // A follower of a cluster may be a little behind.
        if end >= reach.seen() || begun.elapsed() >= BEHIND {
            return reach.ends_at(end);
        }
        pauses.pause().await;
    }
}

/// All events of an answer. What the server says besides is passed over.
async fn all_of(mut answer: ReadStream) -> Result<Vec<RecordedEvent>, EventStoreError> {
    let mut events = vec![];
    while let Some(resolved) = answer.next().await? {
        events.extend(resolved.link.or(resolved.event));
    }
    Ok(events)
}

impl Shared {
    pub(super) async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, EventStoreError> {
        let mut records: Vec<Record> = vec![];
        if is_nobodys(stream) {
            return Ok(records);
        }
        loop {
            let from = records.last().map_or(from, |last| last.revision + 1);
            let count = PAGE.min(limit - records.len());
            if count == 0 || is_beyond(from) {
                return Ok(records);
            }
            let options = ReadStreamOptions::default()
                .position(StreamPosition::Position(from))
                .max_count(count);
            let page = self.page_of(stream, &options).await?;
            let is_last = page.len() < count;
            records.extend(page);
            if is_last {
                if let Some(last) = records.last() {
                    self.tails.saw_end(stream, last);
                }
                return Ok(records);
            }
        }
    }

    /// The stream's last record.
    pub(super) async fn last_of(&self, stream: &str) -> Result<Option<Record>, EventStoreError> {
        let options = ReadStreamOptions::default().position(StreamPosition::End).max_count(1);
        Ok(self.page_of(stream, &options).await?.pop())
    }

    async fn page_of(
        &self,
        stream: &str,
        options: &ReadStreamOptions,
    ) -> Result<Vec<Record>, EventStoreError> {
        let (name, options) = (stream.to_owned(), options.clone());
        let read = move |client: Arc<Client>| {
            let (name, options) = (name.clone(), options.clone());
            async move { all_of(client.read_stream(name, &options).await?).await }
        };
        let page = match self.reads.read(read).await {
            Err(error) if error.is_not_found() => vec![],
            page => page?,
        };
        let mut decoder = Decoder::default();
        let decode = |event: RecordedEvent| {
            let revision = event.revision;
            let foreign = || EventStoreError::Foreign { stream: Arc::from(stream), revision };
            decoder.record(event).ok_or_else(foreign)
        };
        page.into_iter().map(decode).collect()
    }

    pub(super) async fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Record>, EventStoreError> {
        let mut records = vec![];
        let mut seen = after;
        let mut decoder = Decoder::default();
        while records.len() < limit && !is_beyond(seen.0) {
            // The server begins with the place that is named.
            let count = PAGE.min(limit - records.len()) + 1;
            let options = ReadAllOptions::default()
                .position(place(seen))
                .filter(without_system_records())
                .max_count(count);
            let page = self.page_of_all(&options).await?;
            let is_last = page.len() < count;
            for event in page {
                let position = Position(event.position.commit);
                self.reach.saw(position);
                if position > seen && records.len() < limit {
                    seen = position;
                    records.extend(decoder.record(event));
                }
            }
            if is_last {
                break;
            }
        }
        Ok(records)
    }

    /// Position of the last record, which others may have written after.
    pub(super) async fn head(&self) -> Result<Position, EventStoreError> {
        let mut options = ReadAllOptions::default().position(StreamPosition::End).max_count(1);
        loop {
            let page = self.page_of_all(&options.filter(without_system_records())).await?;
            let Some(earliest) = page.last() else { return Ok(Position::default()) };
            let before = StreamPosition::Position(earliest.position);
            if let Some(record) = page.into_iter().find_map(|e| Decoder::default().record(e)) {
                self.reach.saw(record.position);
                return Ok(record.position);
            }
            options = ReadAllOptions::default().backwards().position(before).max_count(PAGE);
        }
    }

    /// Sees that the log does not end before what was seen of it.
    pub(super) async fn look_at_end(&self) -> Result<(), EventStoreError> {
        let reach = Arc::clone(&self.reach);
        let look = move |client: Arc<Client>| {
            let reach = Arc::clone(&reach);
            async move { see_end(&client, &reach).await }
        };
        self.reads.read(look).await
    }

    async fn page_of_all(
        &self,
        options: &ReadAllOptions,
    ) -> Result<Vec<RecordedEvent>, EventStoreError> {
        let options = options.clone();
        let read = move |client: Arc<Client>| {
            let options = options.clone();
            async move { all_of(client.read_all(&options).await?).await }
        };
        self.reads.read(read).await
    }
}

/// Names that no stream of a log has; to the server they mean something else.
fn is_nobodys(stream: &str) -> bool {
    stream.is_empty() || stream.starts_with('$')
}
