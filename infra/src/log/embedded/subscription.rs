//! Following the log: what is there, then what comes.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::error::StorageError;
use super::readers::Readers;
use super::watch::{End, Watch};
use crate::log::{Position, ReadError, Record};

/// Records in one batch at most.
const BATCH: usize = 2048;

struct Subscription {
    readers: Arc<Readers>,
    watch: Arc<Watch>,
    end: watch::Receiver<End>,
    after: Position,
    /// Whether all was read that was there when the subscription began.
    begun: bool,
}

/// All records after `after`, for ever; the last item is an error.
pub(super) fn subscribe(
    readers: Arc<Readers>,
    watch: Arc<Watch>,
    after: Position,
) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
    let end = watch.follow();
    let subscription = Subscription { readers, watch, end, after, begun: false };
    stream::unfold(Some(subscription), |subscription| async {
        let mut subscription = subscription?;
        match subscription.next().await {
            Ok(records) => Some((Ok(records), Some(subscription))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
    .fuse()
    .boxed()
}

impl Subscription {
    async fn next(&mut self) -> Result<Vec<Record>, StorageError> {
        loop {
            // Marked as seen before reading: what is written meanwhile wakes us again.
            let end = *self.end.borrow_and_update();
            if end.closed {
                return Err(StorageError::Closed);
            }
            if end.position > self.after || !self.begun {
                // Whoever only takes from memory would never let others run.
                tokio::task::consume_budget().await;
                let mut records = self.watch.recent(self.after, BATCH);
                if records.is_empty() {
                    records = self.read().await?;
                }
                if let Some(last) = records.last() {
                    self.after = last.position;
                    return Ok(records);
                }
                self.begun = true;
            }
            let _waiting = self.watch.wait();
            self.end.changed().await.map_err(|_| StorageError::Closed)?;
        }
    }

    async fn read(&self) -> Result<Vec<Record>, StorageError> {
        let after = self.after;
        self.readers.run(move |reader| reader.all(after, BATCH)).await
    }
}
