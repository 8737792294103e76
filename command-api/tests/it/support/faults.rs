//! The real log, with what can go wrong between it and those who write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use infra::log::{AppendError, Appended, Expected, Log, NewRecord, Position, ReadError, Record};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// What happens to one append.
pub(crate) enum Fault {
    /// It is written, but nobody says so.
    WrittenUnknown,
    /// It is not written, and nobody knows.
    LostUnknown,
    /// It is written, nobody says so, and nothing can be read or written from then on.
    WrittenThenAway,
    /// Something is done first.
    Before(BoxFuture<'static, ()>),
    /// The same, if there is more than one record: who is quick is not overtaken.
    BeforeMany(BoxFuture<'static, ()>),
}

impl Fault {
    pub(crate) fn before(other: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Before(other.boxed())
    }

    pub(crate) fn before_many(other: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::BeforeMany(other.boxed())
    }
}

pub(crate) struct FaultyLog {
    inner: Arc<dyn Log>,
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    away: AtomicBool,
    /// Appends to streams of this category fail; none if empty.
    refused: Mutex<&'static str>,
    deaf: AtomicBool,
    /// Inventories are read without the record at this revision.
    lost: Mutex<Option<u64>>,
    /// Appends to this stream wait.
    blocked: watch::Sender<Option<String>>,
    appends: AtomicUsize,
    loads: AtomicUsize,
    /// When an inventory was asked for in vain.
    in_vain: Mutex<Vec<Instant>>,
}

#[derive(Debug, thiserror::Error)]
#[error("as the test ordered")]
struct Ordered;

impl FaultyLog {
    pub(crate) fn new(inner: Arc<dyn Log>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults: Mutex::default(),
            away: AtomicBool::new(false),
            refused: Mutex::default(),
            deaf: AtomicBool::new(false),
            lost: Mutex::default(),
            blocked: watch::Sender::new(None),
            appends: AtomicUsize::new(0),
            loads: AtomicUsize::new(0),
            in_vain: Mutex::default(),
        })
    }

    /// The next appends to streams of this category meet these, one each.
    pub(crate) fn next(&self, category: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().extend(faults.into_iter().map(|fault| (category, fault)));
    }

    /// From now on, appends meet nothing.
    pub(crate) fn nothing_next(&self) {
        self.faults.lock().clear();
    }

    /// Whether all ordered faults came about.
    pub(crate) fn is_spent(&self) -> bool {
        self.faults.lock().is_empty()
    }

    /// From now on, nothing can be read or written; or all can again.
    pub(crate) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// From now on nothing can be appended to streams of this category; to all again if it is empty.
    pub(crate) fn refuse(&self, category: &'static str) {
        *self.refused.lock() = category;
    }

    /// Whoever subscribes from now on hears nothing.
    pub(crate) fn deafen(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// From now on inventories are read without the record at this revision.
    pub(crate) fn lose(&self, revision: u64) {
        *self.lost.lock() = Some(revision);
    }

    /// From now on, appends to this stream wait.
    pub(crate) fn block(&self, stream: String) {
        self.blocked.send_replace(Some(stream));
    }

    pub(crate) fn unblock(&self) {
        self.blocked.send_replace(None);
    }

    /// How many appends to inventories were asked for.
    pub(crate) fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }

    /// How often an inventory was read from its beginning.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// How much time went by between one attempt to read or write an inventory and the next, while
    /// nothing could be.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.in_vain.lock().windows(2).map(|two| two[1] - two[0]).collect()
    }

    fn fault(&self, stream: &str) -> Option<Fault> {
        let mut faults = self.faults.lock();
        let next = faults.pop_front_if(|(category, _)| stream.starts_with(*category));
        next.map(|(_, fault)| fault)
    }

    fn readable(&self) -> Result<(), ReadError> {
        if self.away.load(Ordering::SeqCst) { Err(ReadError(Box::new(Ordered))) } else { Ok(()) }
    }

    fn note(&self, stream: &str) {
        if self.away.load(Ordering::SeqCst) && stream.starts_with("inventory-") {
            self.in_vain.lock().push(Instant::now());
        }
    }

    async fn write(
        &self,
        stream: &str,
        expected: Expected,
        records: Vec<NewRecord>,
    ) -> Result<Appended, AppendError> {
        self.note(stream);
        let refused = *self.refused.lock();
        let is_refused = !refused.is_empty() && stream.starts_with(refused);
        if is_refused || self.away.load(Ordering::SeqCst) {
            return Err(AppendError::Unavailable(Box::new(Ordered)));
        }
        self.inner.append(stream, expected, records).await
    }
}

#[async_trait]
impl Log for FaultyLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        records: Vec<NewRecord>,
    ) -> Result<Appended, AppendError> {
        if stream.starts_with("inventory-") {
            self.appends.fetch_add(1, Ordering::SeqCst);
        }
        let mut blocked = self.blocked.subscribe();
        // Ends only with this log.
        let _ = blocked.wait_for(|blocked| blocked.as_deref() != Some(stream)).await;
        let fault = self.fault(stream);
        let unknown = || Err(AppendError::OutcomeUnknown(Box::new(Ordered)));
        match fault {
            None => self.write(stream, expected, records).await,
            Some(Fault::LostUnknown) => unknown(),
            Some(Fault::Before(other)) => {
                other.await;
                self.write(stream, expected, records).await
            }
            Some(Fault::BeforeMany(other)) => {
                if records.len() > 1 {
                    other.await;
                }
                self.write(stream, expected, records).await
            }
            Some(Fault::WrittenUnknown) => {
                self.write(stream, expected, records).await?;
                unknown()
            }
            Some(Fault::WrittenThenAway) => {
                // Before it is written: who sees the record may end the fault.
                self.away(true);
                self.inner.append(stream, expected, records).await?;
                unknown()
            }
        }
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.note(stream);
        self.readable()?;
        if from == 0 && stream.starts_with("inventory-") {
            self.loads.fetch_add(1, Ordering::SeqCst);
        }
        let mut records = self.inner.read_stream(stream, from, limit).await?;
        let lost = self.lost.lock().filter(|_| stream.starts_with("inventory-"));
        records.retain(|record| Some(record.revision) != lost);
        Ok(records)
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.readable()?;
        self.inner.read_all(after, limit).await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.readable()?;
        self.inner.head().await
    }

    async fn check_writable(&self) -> Result<(), AppendError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(AppendError::Unavailable(Box::new(Ordered)));
        }
        self.inner.check_writable().await
    }

    fn subscribe_all(&self, after: Position) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        if self.deaf.load(Ordering::SeqCst) {
            return futures::stream::pending().boxed();
        }
        self.inner.subscribe_all(after)
    }
}
