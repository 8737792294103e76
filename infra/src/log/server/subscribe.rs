//! Subscriptions: what is there, the news that this was all, then what comes.

use std::sync::Arc;

use futures::StreamExt;
use uuid::Uuid;

use super::Node;
use super::cursor::{Cursor, PAGE};
use super::filter::Filter;
use super::outgoing::{Outgoing, timestamp};
use super::read::{Ended, beginning};
use super::refusal::Refusal;
use crate::ids;
use crate::log::protocol::{CaughtUp, Checkpoint, Confirmation, Place, ReadContent, ReadFrom};
use crate::log::{Log, Position, Record};

/// One subscription, and how far it is.
pub(super) struct Following {
    wanted: Wanted,
    /// All before and at it was looked at.
    after: Position,
    /// Records looked at since the client was told how far it is.
    since_checkpoint: u64,
    is_live: bool,
}

enum Wanted {
    /// The stream's records from this revision on.
    Stream {
        name: String,
        next: u64,
    },
    All(Option<Filter>),
}

impl Following {
    pub(super) async fn new(
        node: &Node,
        from: ReadFrom,
        filter: Option<Filter>,
    ) -> Result<Self, Refusal> {
        let (wanted, after) = match beginning(node, from).await? {
            (Some(name), next) => {
                // What is written from here on the subscription to the whole log brings.
                let head = node.log.head().await.map_err(|error| Refusal::unreadable(&error))?;
                (Wanted::Stream { name, next }, head)
            }
            (None, after) => (Wanted::All(filter), Position(after)),
        };
        Ok(Self { wanted, after, since_checkpoint: 0, is_live: false })
    }

    async fn run(&mut self, node: &Node, out: &mut Outgoing) -> Result<(), Ended> {
        let id = Uuid::from_u128(ids::random_u128()).to_string();
        out.send(ReadContent::Confirmation(Confirmation { id })).await?;
        self.catch_up_with_stream(node, out).await?;
        let mut batches = node.log.subscribe_all(self.after);
        loop {
            if !self.is_live && self.after >= node.log.head().await? {
                self.is_live = true;
                self.tell_live(node, out).await?;
            }
            let batch = tokio::select! {
                batch = batches.next() => batch,
                () = out.closed() => return Err(Ended::Gone),
                // An orderly end would make the official client ask the dead stream for ever.
                () = node.stop.cancelled() => {
                    return Err(Refusal::unavailable("the log server stops").into());
                }
            };
            let ended = || Refusal::unavailable("the log is closed");
            for record in batch.ok_or_else(ended)?? {
                self.take(record, node, out).await?;
            }
        }
    }

    /// Without looking at what other streams had before.
    async fn catch_up_with_stream(&mut self, node: &Node, out: &mut Outgoing) -> Result<(), Ended> {
        let Wanted::Stream { name, next } = &mut self.wanted else { return Ok(()) };
        let mut cursor = Cursor::Stream { name: name.clone(), from: *next };
        loop {
            let page = cursor.page(&node.log, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            for record in page {
                *next = record.revision + 1;
                out.record(record).await?;
            }
        }
    }

    async fn take(&mut self, record: Record, node: &Node, out: &mut Outgoing) -> Result<(), Ended> {
        self.after = record.position;
        match &mut self.wanted {
            Wanted::Stream { name, next } => {
                if *record.stream == **name && record.revision >= *next {
                    *next = record.revision + 1;
                    out.record(record).await?;
                }
            }
            Wanted::All(None) => out.record(record).await?,
            Wanted::All(Some(filter)) => {
                if filter.passes(&record)? {
                    out.record(record).await?;
                }
                self.since_checkpoint += 1;
                if self.since_checkpoint >= filter.checkpoint_interval {
                    self.tell_checkpoint(node, out).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_live(&mut self, node: &Node, out: &mut Outgoing) -> Result<(), Ended> {
        if matches!(self.wanted, Wanted::All(Some(_))) && self.after > Position(0) {
            self.tell_checkpoint(node, out).await?;
        }
        let at = Some(timestamp(node.clock.now()));
        let caught_up = match &self.wanted {
            Wanted::Stream { next, .. } => {
                let revision = next.checked_sub(1).and_then(|last| i64::try_from(last).ok());
                CaughtUp { at, revision, place: None }
            }
            Wanted::All(_) => CaughtUp { at, revision: None, place: Some(Place::at(self.after.0)) },
        };
        Ok(out.send(ReadContent::CaughtUp(caught_up)).await?)
    }

    async fn tell_checkpoint(&mut self, node: &Node, out: &mut Outgoing) -> Result<(), Ended> {
        self.since_checkpoint = 0;
        let Place { commit, prepare } = Place::at(self.after.0);
        let at = Some(timestamp(node.clock.now()));
        Ok(out.send(ReadContent::Checkpoint(Checkpoint { commit, prepare, at })).await?)
    }
}

/// Runs until the client is gone or the server stops.
pub(super) async fn follow(node: Arc<Node>, mut following: Following, mut out: Outgoing) {
    let _counted = node.load.subscribed();
    if let Err(Ended::Failed(refusal)) = following.run(&node, &mut out).await {
        out.fail(refusal).await;
    }
}
