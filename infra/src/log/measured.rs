//! A log whose appends are counted and timed (OP-2).

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::{AppendError, Appended, Expected, Log, NewRecord, Position, ReadError, Record};
use crate::metrics::{Append, Facts, METRICS};

/// Another log, and figures of what it is asked.
pub struct MeasuredLog(Arc<dyn Log>);

impl MeasuredLog {
    /// Measures `log`.
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self(log)
    }
}

/// Appends to `log`, counted and timed.
pub(super) async fn append(
    log: &(impl Log + ?Sized),
    stream: &str,
    expected: Expected,
    records: Vec<NewRecord>,
) -> Result<Appended, AppendError> {
    let facts = Facts::of(&records);
    let begun = Instant::now();
    let outcome = log.append(stream, expected, records).await;
    let word = match &outcome {
        Ok(_) => Append::Written,
        Err(AppendError::WrongRevision { .. }) => Append::Late,
        Err(AppendError::Unavailable(_)) => Append::Unavailable,
        Err(AppendError::OutcomeUnknown(_)) => Append::Unknown,
        Err(AppendError::Unfit(_)) => Append::Unfit,
    };
    METRICS.append(word, begun.elapsed());
    if outcome.is_ok() {
        METRICS.facts(&facts);
    }
    outcome
}

#[async_trait]
impl Log for MeasuredLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        records: Vec<NewRecord>,
    ) -> Result<Appended, AppendError> {
        append(&*self.0, stream, expected, records).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.0.read_stream(stream, from, limit).await
    }

    async fn read_stream_as_is(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.0.read_stream_as_is(stream, from, limit).await
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.0.read_all(after, limit).await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.0.head().await
    }

    async fn check_writable(&self) -> Result<(), AppendError> {
        self.0.check_writable().await
    }

    fn subscribe_all(&self, after: Position) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        self.0.subscribe_all(after)
    }
}
