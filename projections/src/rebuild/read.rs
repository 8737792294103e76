//! Reads ahead: while one batch is written, the next is read and turned into changes.

use std::sync::Arc;

use infra::log::{Log, Position, ReadError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Projection;
use crate::tables::Batch;

/// Records in one transaction. With one connection for all, others wait for as long as one takes.
const BATCH: usize = 5_000;
/// Batches that wait to be written.
const AHEAD: usize = 2;

/// Batches from a position to the end of the log.
pub(super) struct Batches {
    batches: mpsc::Receiver<Result<Batch, ReadError>>,
    /// Ends the reading when dropped.
    _reader: JoinSet<()>,
}

impl Batches {
    pub(super) async fn next(&mut self) -> Option<Result<Batch, ReadError>> {
        self.batches.recv().await
    }
}

/// All records after `after` that are in the log.
pub(super) fn ahead(log: Arc<dyn Log>, view: &'static dyn Projection, after: Position) -> Batches {
    let (send, batches) = mpsc::channel(AHEAD);
    let mut reader = JoinSet::new();
    reader.spawn(async move {
        let mut after = after;
        loop {
            let records = match log.read_all(after, BATCH).await {
                Ok(records) => records,
                Err(error) => return drop(send.send(Err(error)).await),
            };
            let Some(last) = records.last() else { return };
            after = last.position;
            let batch = Batch::new(view, records, after).await;
            if send.send(Ok(batch)).await.is_err() {
                return;
            }
        }
    });
    Batches { batches, _reader: reader }
}
