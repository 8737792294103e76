//! Records and tidings on their way to one client.

use std::sync::Arc;

use bytes::Bytes;
use domain::Time;
use prost_types::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::proposal::FOREIGN;
use super::refusal::Refusal;
use crate::log::Record;
use crate::log::envelope::Envelope;
use crate::log::protocol::{
    Entry, EventPlace, JSON, ReadContent, ReadEvent, ReadResp, RecordedEvent, StreamIdentifier,
    WireUuid, key,
};

/// Messages that wait for the connection at most.
const WAITING: usize = 512;

/// What the client gets.
pub(super) type Answers = ReceiverStream<Result<ReadResp, Status>>;

/// The client is gone: nobody needs the rest.
#[derive(Debug)]
pub(super) struct Gone;

/// The way to one client.
pub(super) struct Outgoing {
    sender: mpsc::Sender<Result<ReadResp, Status>>,
    /// Ids as text rather than as two numbers.
    text_ids: bool,
    /// The stream that the last record was of: neighbours are often of one.
    stream: Option<(Arc<str>, Bytes)>,
}

impl Outgoing {
    pub(super) fn new(text_ids: bool) -> (Self, Answers) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender, text_ids, stream: None }, ReceiverStream::new(receiver))
    }

    /// Waits until there is room.
    pub(super) async fn send(&self, content: ReadContent) -> Result<(), Gone> {
        self.sender.send(Ok(content.into())).await.map_err(|_| Gone)
    }

    /// The end, and why.
    pub(super) async fn fail(&self, refusal: Refusal) {
        // Who is gone need not know.
        let _ = self.sender.send(Err(refusal.into())).await;
    }

    /// Waits until the client is gone.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    pub(super) async fn record(&mut self, record: Record) -> Result<(), Gone> {
        let position = record.position.0;
        let event = ReadEvent {
            event: Some(self.event(record)),
            place: Some(EventPlace::Commit(position)),
        };
        self.send(ReadContent::Event(event)).await
    }

    fn event(&mut self, record: Record) -> RecordedEvent {
        let Record { position, stream, revision, id, kind, version, at, metadata, data, hash } =
            record;
        let metadata = if version == FOREIGN {
            Bytes::copy_from_slice(metadata.as_bytes())
        } else {
            Envelope { version, at, hash, metadata: (&*metadata).into() }.write()
        };
        // Clients read it as an unsigned number.
        let created = u64::try_from(at.as_ms()).unwrap_or_default() * 10_000;
        RecordedEvent {
            id: Some(if self.text_ids { WireUuid::text(id) } else { WireUuid::structured(id) }),
            stream: Some(StreamIdentifier { name: self.name(&stream) }),
            revision,
            prepare: position.0,
            commit: position.0,
            system: vec![
                Entry::new(key::TYPE, Bytes::copy_from_slice(kind.as_bytes())),
                Entry::new(key::CONTENT_TYPE, JSON),
                Entry::new(key::CREATED, created.to_string()),
            ],
            metadata,
            data,
        }
    }

    fn name(&mut self, stream: &Arc<str>) -> Bytes {
        if let Some((known, name)) = &self.stream
            && known == stream
        {
            return name.clone();
        }
        let name = Bytes::copy_from_slice(stream.as_bytes());
        self.stream = Some((Arc::clone(stream), name.clone()));
        name
    }
}

/// As the protocol writes a time.
pub(super) fn timestamp(time: Time) -> Timestamp {
    let ms = time.as_ms();
    let nanos = i32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    Timestamp { seconds: ms.div_euclid(1_000), nanos }
}
