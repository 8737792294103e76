//! Live availability: the stock of events that are asked for, kept in memory (CT-4).
//!
//! The first who asks for an event has its inventory's stream folded into a [`Stock`]; from then on
//! one subscription for the whole process keeps it up to date, by revision: what was read already
//! is skipped, and what comes while the stream is being read is read too. Events nobody asks for
//! are dropped when there are too many. An event that does not exist leaves nothing behind.

pub(crate) mod availability;
mod buyable;
mod event;
mod feed;
pub(crate) mod frames;
pub(crate) mod load;
mod queue;
pub(crate) mod seats;
pub(crate) mod stock;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use domain::{EventId, WaitlistId};
use infra::log::{Log, Position};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Changes;
use availability::Availability;
pub(crate) use event::{LiveEvent, Snapshot};
use stock::Fault;

/// What live availability may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveLimits {
    /// Events kept in memory at most; beyond it those are dropped that nobody asked for longest.
    pub events: usize,
    /// About how many bytes all events kept may take together.
    pub bytes: usize,
    /// Inventories read from the log at once, to keep them in memory, and as many as they were
    /// (`as_of`, audit); more wait their turn.
    pub folds: usize,
    /// Event streams (server-sent events) open at once; beyond it 503.
    pub streams: usize,
    /// How long the reader of an event stream may take nothing before it is cut off.
    pub stream_patience: Duration,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            events: 10_000,
            bytes: 1 << 30,
            folds: 4,
            streams: 20_000,
            stream_patience: Duration::from_secs(30),
        }
    }
}

/// Figures of live availability, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Everything up to here has been taken in; `None` until the subscription has begun.
    pub position: Option<Position>,
    /// Events in memory.
    pub events: usize,
    /// About how many bytes they take.
    pub bytes: usize,
    /// Event streams open.
    pub streams: usize,
    /// Event streams cut off because the reader was too slow, since the start.
    pub streams_cut_off: u64,
    /// Facts that broke a rule of the stock (BK-5), since the start. Anything but 0 is an alarm.
    pub violations: u64,
    /// Records that are no facts this program knows, since the start.
    pub undecodable: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LiveError {
    /// The event has no inventory: it does not exist, or was never published.
    #[error("there is no inventory of this event")]
    Unknown,
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Unavailable,
    /// A record of the inventory is not what the product wrote.
    #[error("a record of the inventory is damaged")]
    Damaged,
}

/// Live availability. Cloning shares it.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    limits: LiveLimits,
    tasks: TaskTracker,
    stop: CancellationToken,
    events: RwLock<HashMap<EventId, Arc<LiveEvent>>>,
    /// Of the events in `events` that follow the subscription.
    bytes: AtomicUsize,
    /// Events loaded since the start: the clock by which it is told who was asked for last.
    loads: AtomicU64,
    folds: Semaphore,
    looks_back: Semaphore,
    past: load::Past,
    /// Everything up to here has been taken in; `None` until the subscription has begun.
    position: watch::Sender<Option<Position>>,
    /// What of the catalog was changed.
    changes: Arc<Changes>,
    /// Events whose audience is to be told what changed.
    news: Mutex<Vec<Arc<LiveEvent>>>,
    has_news: Notify,
    streams: Arc<Semaphore>,
    streams_cut_off: AtomicU64,
    violations: AtomicU64,
    undecodable: AtomicU64,
}

impl Live {
    /// Begins to follow `log`, in tasks of `tasks` that end with `stop`.
    pub fn start(
        log: Arc<dyn Log>,
        limits: LiveLimits,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let live = Self(Arc::new(Inner {
            log,
            limits,
            tasks: tasks.clone(),
            stop,
            events: RwLock::default(),
            bytes: AtomicUsize::new(0),
            loads: AtomicU64::new(0),
            folds: Semaphore::new(limits.folds.max(1)),
            looks_back: Semaphore::new(limits.folds.max(1)),
            past: load::past(),
            position: watch::Sender::new(None),
            changes: Arc::default(),
            news: Mutex::default(),
            has_news: Notify::new(),
            streams: Arc::new(Semaphore::new(limits.streams)),
            streams_cut_off: AtomicU64::new(0),
            violations: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
        }));
        tasks.spawn(feed::follow(live.clone()));
        tasks.spawn(feed::tell(live.clone()));
        live
    }

    /// Figures for metrics.
    pub fn stats(&self) -> LiveStats {
        let inner = &self.0;
        LiveStats {
            position: self.position(),
            events: inner.events.read().len(),
            bytes: inner.bytes.load(Ordering::Relaxed),
            streams: inner.limits.streams.saturating_sub(inner.streams.available_permits()),
            streams_cut_off: inner.streams_cut_off.load(Ordering::Relaxed),
            violations: inner.violations.load(Ordering::Relaxed),
            undecodable: inner.undecodable.load(Ordering::Relaxed),
        }
    }

    /// Everything up to here is in the answers; `None` until the subscription has begun.
    pub(crate) fn position(&self) -> Option<Position> {
        *self.0.position.borrow()
    }

    /// What of the catalog was changed, as far as the log was followed.
    pub(crate) fn changes(&self) -> Arc<Changes> {
        Arc::clone(&self.0.changes)
    }

    /// Waits until everything up to `wanted` is in the answers.
    pub(crate) async fn reached(&self, wanted: Position) {
        let mut position = self.0.position.subscribe();
        // Never fails as long as `self` holds the sender.
        let _ = position.wait_for(|position| *position >= Some(wanted)).await;
    }

    /// What is left of an event now.
    pub(crate) async fn availability(
        &self,
        event: EventId,
    ) -> Result<Arc<Availability>, LiveError> {
        let live = self.find_or_load(event).await?;
        match live.ready() {
            Some(ready) => ready,
            None => live.loaded().await,
        }
    }

    /// An event that is kept in memory.
    pub(crate) async fn event(&self, event: EventId) -> Result<Arc<LiveEvent>, LiveError> {
        let live = self.find_or_load(event).await?;
        live.loaded().await?;
        Ok(live)
    }

    /// What is left of an event and every seat, of one and the same moment.
    pub(crate) async fn snapshot(&self, event: EventId) -> Result<Snapshot, LiveError> {
        self.again_if_dropped(event, |live| async move { live.snapshot().await }).await
    }

    /// What `look` finds out. The event may be dropped from memory between one step and the next,
    /// which `look` says by `None`; it is then loaded again.
    pub(crate) async fn again_if_dropped<T, F: Future<Output = Option<T>>>(
        &self,
        event: EventId,
        look: impl Fn(Arc<LiveEvent>) -> F,
    ) -> Result<T, LiveError> {
        for _ in 0..3 {
            if let Some(found) = look(self.event(event).await?).await {
                return Ok(found);
            }
        }
        Err(LiveError::Unavailable)
    }

    /// How many wait for an event up to this entry, itself included; `None` if it does not wait.
    pub(crate) async fn place_in_queue(
        &self,
        event: EventId,
        entry: WaitlistId,
    ) -> Result<Option<u32>, LiveError> {
        self.again_if_dropped(event, |live| std::future::ready(live.place_in_queue(entry))).await
    }

    async fn find_or_load(&self, event: EventId) -> Result<Arc<LiveEvent>, LiveError> {
        let found = self.0.events.read().get(&event).cloned();
        match found {
            Some(found) => {
                let now = self.0.loads.load(Ordering::Relaxed);
                // Not written when it is the same: the readers of a hot event share this line.
                if found.used.load(Ordering::Relaxed) != now {
                    found.used.store(now, Ordering::Relaxed);
                }
                Ok(found)
            }
            None => self.load(event).await,
        }
    }

    /// A place among the event streams, if there is one left.
    pub(crate) fn enter_stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.streams).try_acquire_owned().ok()
    }

    /// How long the reader of an event stream may take nothing.
    pub(crate) fn stream_patience(&self) -> Duration {
        self.0.limits.stream_patience
    }

    /// Ends when the process does.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Runs until it ends or the process does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Counts an event stream that was cut off.
    pub(crate) fn count_cut_off(&self) {
        self.0.streams_cut_off.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports what is wrong with a record: an oversold tier must not go unnoticed (BK-5).
    fn report(&self, event: EventId, position: Position, fault: &Fault) {
        let (counter, cause) = match fault {
            Fault::Violation(violation) => (&self.0.violations, violation.to_string()),
            Fault::Undecodable(error) => (&self.0.undecodable, error.to_string()),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%event, %position, cause, "{fault}");
    }
}
