//! Reading inventories from the log: to keep them in memory, or as they were.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::inventory::stream;
use domain::{EventId, Time};
use infra::log::{Position, ReadError, Record};

use super::availability::Availability;
use super::stock::Stock;
use super::{Live, LiveError, LiveEvent};

/// Records read at a time.
const PAGE: usize = 1_000;

/// How many bytes the moments in the past may take that are kept.
const PAST_BYTES: u64 = 16 << 20;

/// How long a first reader waits for the subscription to begin.
const BEGIN: Duration = Duration::from_secs(2);

/// A moment in the past of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AsOf {
    /// When the log had got to this position.
    Position(Position),
    /// At this time.
    Time(Time),
}

impl AsOf {
    fn is_before(self, record: &Record) -> bool {
        match self {
            Self::Position(position) => record.position > position,
            Self::Time(time) => record.at > time,
        }
    }
}

/// What was left at moments in the past. Those that nobody asks for go when there is no room.
pub(super) type Past = moka::sync::Cache<(EventId, AsOf), Arc<Availability>>;

pub(super) fn past() -> Past {
    let weigh = |_: &_, then: &Arc<Availability>| u32::try_from(then.bytes()).unwrap_or(u32::MAX);
    moka::sync::Cache::builder().max_capacity(PAST_BYTES).weigher(weigh).build()
}

impl Live {
    /// The event, which is being loaded from now on if it was not before.
    pub(super) async fn load(&self, event: EventId) -> Result<Arc<LiveEvent>, LiveError> {
        let mut position = self.0.position.subscribe();
        let begun = position.wait_for(Option::is_some);
        if tokio::time::timeout(BEGIN, begun).await.is_err() {
            return Err(LiveError::Unavailable);
        }
        let mut events = self.0.events.write();
        if let Some(live) = events.get(&event) {
            return Ok(Arc::clone(live));
        }
        let live = Arc::new(LiveEvent::new(event));
        events.insert(event, Arc::clone(&live));
        drop(events);
        let loading = Loading { live: self.clone(), event: Some(Arc::clone(&live)) };
        // Not part of the request: it goes on for the others when the first one gives up.
        self.spawn(loading.run());
        Ok(live)
    }

    /// What was left of an event at an earlier moment. Kept for whoever asks for the same one.
    pub(crate) async fn as_of(
        &self,
        event: EventId,
        moment: AsOf,
    ) -> Result<Arc<Availability>, LiveError> {
        if let Some(past) = self.0.past.get(&(event, moment)) {
            return Ok(past);
        }
        let (mut stock, mut is_over) = (Stock::new(event), false);
        let counted = self.look_back(event, |record| {
            is_over = moment.is_before(record);
            if !is_over {
                // Reported where the event is kept up to date, and by the audit.
                let _ = stock.apply(record);
            }
            !is_over
        });
        counted.await.map_err(|error| unavailable(event, &error))?;
        let then = Arc::new(stock.availability().ok_or(LiveError::Unknown)?);
        // What comes after the moment was seen: nothing can come before it any more.
        if is_over {
            self.0.past.insert((event, moment), then.clone());
        }
        Ok(then)
    }

    /// Hands every record of an event's inventory to `count`, from the first, as long as it wants
    /// more. Waits while too many others look back.
    pub(crate) async fn look_back(
        &self,
        event: EventId,
        count: impl FnMut(&Record) -> bool,
    ) -> Result<(), ReadError> {
        // Never closed. Kept apart from loading, so that nobody waits for an auditor.
        let _turn = self.0.looks_back.acquire().await;
        self.read_inventory(event, 0, count).await
    }

    async fn read_inventory(
        &self,
        event: EventId,
        mut from: u64,
        mut count: impl FnMut(&Record) -> bool,
    ) -> Result<(), ReadError> {
        let stream = stream(event);
        loop {
            let records = self.0.log.read_stream_as_is(&stream, from, PAGE).await?;
            for record in &records {
                from = record.revision + 1;
                if !count(record) {
                    return Ok(());
                }
            }
            if records.len() < PAGE {
                return Ok(());
            }
            // Others want the thread too, also when the log answers without a pause.
            tokio::task::yield_now().await;
        }
    }

    /// Drops an event from memory.
    pub(super) fn forget(&self, live: &Arc<LiveEvent>) {
        let mut events = self.0.events.write();
        if events.get(&live.id).is_some_and(|kept| Arc::ptr_eq(kept, live)) {
            events.remove(&live.id);
        }
        drop(events);
        live.drop_from_memory(&self.0.bytes);
    }

    /// Drops those events that nobody asked for longest, until there is room for some more.
    /// Event streams of those dropped end, and their readers come again.
    fn make_room(&self, newest: EventId) {
        let (most, most_bytes) = (self.0.limits.events, self.0.limits.bytes);
        let full = |events: usize, bytes| events > most || bytes > most_bytes;
        let bytes = || self.0.bytes.load(Ordering::Relaxed);
        let candidates: Vec<_> = {
            let events = self.0.events.read();
            if !full(events.len(), bytes()) {
                return;
            }
            events.values().filter(|live| live.id != newest).cloned().collect()
        };
        let age = |live: &Arc<LiveEvent>| Some((!live.idle()?, live.used.load(Ordering::Relaxed)));
        let mut by_age: Vec<_> =
            candidates.iter().filter_map(|live| Some((age(live)?, live))).collect();
        by_age.sort_by_key(|(age, _)| *age);
        // Some more at once, because looking through all of them has its price.
        let slack = |limit: usize| limit / 16;
        for (_, live) in by_age {
            let events = self.0.events.read().len();
            if !full(events + slack(most), bytes().saturating_add(slack(most_bytes))) {
                return;
            }
            self.forget(live);
        }
    }
}

fn unavailable(event: EventId, error: &ReadError) -> LiveError {
    let cause = &error.0;
    tracing::error!(%event, %cause, "an inventory cannot be read: {error}");
    if error.is_of_damage() { LiveError::Damaged } else { LiveError::Unavailable }
}

/// What became of a stock that was read to its end.
enum Kept {
    Following,
    /// There is nothing to follow.
    Nothing,
    /// The subscription brought more than was read.
    Behind(Box<Stock>),
}

/// An event that is being read. However that ends, those who wait for it are told.
struct Loading {
    live: Live,
    event: Option<Arc<LiveEvent>>,
}

impl Loading {
    async fn run(mut self) {
        let Some(event) = self.event.clone() else { return };
        match self.read(event.id).await {
            Ok(()) => {
                self.event = None;
                self.live.make_room(event.id);
            }
            Err(error) => self.fail(error),
        }
    }

    async fn read(&self, id: EventId) -> Result<(), LiveError> {
        let (live, Some(event)) = (&self.live, &self.event) else { return Ok(()) };
        let mut stock = Box::new(Stock::new(id));
        // Never closed.
        let _turn = live.0.folds.acquire().await;
        loop {
            let promised = event.promised();
            let read = live.read_inventory(id, stock.next(), |record| {
                if let Err(fault) = stock.apply(record) {
                    live.report(id, record.position, &fault);
                }
                true
            });
            read.await.map_err(|error| unavailable(id, &error))?;
            if stock.next() < promised {
                tracing::error!(event = %id, promised, "the log lacks what it told of");
                return Err(LiveError::Unavailable);
            }
            match self.keep(event, stock) {
                Kept::Following => return Ok(()),
                Kept::Nothing => return Err(LiveError::Unknown),
                // The subscription was quicker: what it brought is there to be read.
                Kept::Behind(behind) => stock = behind,
            }
        }
    }

    /// Has the event follow the subscription from here on, or leaves nothing of it.
    fn keep(&self, event: &Arc<LiveEvent>, stock: Box<Stock>) -> Kept {
        let inner = &self.live.0;
        if stock.availability().is_some() {
            event.used.store(inner.loads.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            return event
                .follow(stock, &inner.bytes)
                .map_or_else(Kept::Behind, |()| Kept::Following);
        }
        // Under this lock nobody finds the event who was promised more than was read.
        let mut events = inner.events.write();
        if stock.next() < event.promised() {
            return Kept::Behind(stock);
        }
        events.remove(&event.id);
        Kept::Nothing
    }

    fn fail(&mut self, error: LiveError) {
        if let Some(event) = self.event.take() {
            self.live.forget(&event);
            event.fail(error);
        }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.fail(LiveError::Unavailable);
    }
}
