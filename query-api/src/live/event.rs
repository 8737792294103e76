//! One event kept in memory: loading, taking in what the subscription brings, and what is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use domain::{EventId, WaitlistId};
use infra::log::{Position, Record};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::LiveError;
use super::availability::Availability;
use super::frames::{Audience, Frame, Pending};
use super::seats::Picture;
use super::stock::{Fault, Stock};

/// Above so many seats the map is written on a thread that may take its time.
const MANY_SEATS: usize = 5_000;

/// What is known of an event that is kept in memory or about to be.
#[derive(Debug)]
pub(crate) struct LiveEvent {
    pub(super) id: EventId,
    /// When it was last asked for, in loads of events since the start.
    pub(super) used: AtomicU64,
    phase: Mutex<Phase>,
    shown: watch::Sender<Shown>,
    /// The seat map as last written. Whoever finds it outdated writes it, and the others wait for
    /// that one rather than write the same megabytes.
    map: tokio::sync::Mutex<WrittenMap>,
}

#[derive(Debug)]
enum Phase {
    /// Its stream is being read. The subscription has brought all before revision `next`.
    Loading { next: u64 },
    /// Follows the subscription.
    Following(Following),
    /// Dropped from memory: it does not follow any more.
    Dropped,
}

#[derive(Debug)]
struct Following {
    stock: Box<Stock>,
    /// Records were taken in that are not shown yet.
    outdated: bool,
    /// Those who follow its event stream.
    audience: Option<Audience>,
    /// As last added to the sum over all events.
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Shown {
    Nothing,
    Failed(LiveError),
    Availability(Arc<Availability>),
}

#[derive(Debug, Default)]
struct WrittenMap {
    version: Position,
    json: Bytes,
}

/// What became of a record that the subscription brought.
#[derive(Debug)]
pub(super) enum Taken {
    /// It was taken in. `first` since the event was last shown.
    New { first: bool, fault: Option<Fault> },
    /// It was in the stream when that was read, or will be.
    Known,
    /// Records before it are missing.
    Gap,
}

/// An event's stock and seats at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) availability: Arc<Availability>,
    /// [`super::seats::SeatMap`] as JSON.
    pub(crate) map: Bytes,
}

impl LiveEvent {
    pub(super) fn new(id: EventId) -> Self {
        Self {
            id,
            used: AtomicU64::new(0),
            phase: Mutex::new(Phase::Loading { next: 0 }),
            shown: watch::Sender::new(Shown::Nothing),
            map: tokio::sync::Mutex::default(),
        }
    }

    /// What is left, if that is known already.
    pub(crate) fn ready(&self) -> Option<Result<Arc<Availability>, LiveError>> {
        match &*self.shown.borrow() {
            Shown::Nothing => None,
            Shown::Failed(error) => Some(Err(*error)),
            Shown::Availability(availability) => Some(Ok(Arc::clone(availability))),
        }
    }

    /// What is left, once that is known.
    pub(crate) async fn loaded(&self) -> Result<Arc<Availability>, LiveError> {
        loop {
            let mut shown = self.shown.subscribe();
            if let Some(ready) = self.ready() {
                return ready;
            }
            // Never fails as long as `self` holds the sender.
            let _ = shown.changed().await;
        }
    }

    /// The stream cannot be loaded. Those who wait are told.
    pub(super) fn fail(&self, error: LiveError) {
        *self.phase.lock() = Phase::Dropped;
        self.shown.send_if_modified(|shown| {
            let waiting = matches!(shown, Shown::Nothing);
            if waiting {
                *shown = Shown::Failed(error);
            }
            waiting
        });
    }

    /// While it is being read: the revision before which the subscription brought all.
    pub(super) fn promised(&self) -> u64 {
        match *self.phase.lock() {
            Phase::Loading { next } => next,
            Phase::Following(_) | Phase::Dropped => 0,
        }
    }

    /// Follows the subscription from here on, if `stock` has all that it brought; gives it back
    /// to read on if not.
    pub(super) fn follow(
        &self,
        stock: Box<Stock>,
        total_bytes: &AtomicUsize,
    ) -> Result<(), Box<Stock>> {
        let mut phase = self.phase.lock();
        if matches!(*phase, Phase::Loading { next } if next > stock.next()) {
            return Err(stock);
        }
        let mut following = Following { stock, outdated: true, audience: None, bytes: 0 };
        self.show_now(&mut following, total_bytes);
        *phase = Phase::Following(following);
        Ok(())
    }

    /// Takes in a record that the subscription brought.
    pub(super) fn take(&self, record: &Record) -> Taken {
        let mut phase = self.phase.lock();
        let following = match &mut *phase {
            Phase::Loading { next } => {
                *next = record.revision + 1;
                return Taken::Known;
            }
            Phase::Dropped => return Taken::Known,
            Phase::Following(following) => following,
        };
        match record.revision.cmp(&following.stock.next()) {
            std::cmp::Ordering::Less => Taken::Known,
            std::cmp::Ordering::Greater => Taken::Gap,
            std::cmp::Ordering::Equal => {
                let fault = following.stock.apply(record).err();
                Taken::New { first: !std::mem::replace(&mut following.outdated, true), fault }
            }
        }
    }

    /// Shows what was taken in. Whether there is an audience that has not been promised news yet.
    pub(super) fn show(&self, total_bytes: &AtomicUsize) -> bool {
        let mut phase = self.phase.lock();
        let Phase::Following(following) = &mut *phase else { return false };
        self.show_now(following, total_bytes);
        following.audience.as_mut().is_some_and(Audience::promise_news)
    }

    fn show_now(&self, following: &mut Following, total_bytes: &AtomicUsize) {
        following.outdated = false;
        if let Some(availability) = following.stock.availability() {
            self.shown.send_replace(Shown::Availability(Arc::new(availability)));
        }
        let (before, now) = (following.bytes, following.stock.bytes());
        total_bytes.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        following.bytes = now;
    }

    /// Follows no longer; its event streams end. Gives its bytes back.
    pub(super) fn drop_from_memory(&self, total_bytes: &AtomicUsize) {
        let before = std::mem::replace(&mut *self.phase.lock(), Phase::Dropped);
        if let Phase::Following(following) = before {
            total_bytes.fetch_sub(following.bytes, Ordering::Relaxed);
        }
    }

    /// Whether it is followed by nobody; `None` while it cannot be dropped from memory.
    pub(super) fn idle(&self) -> Option<bool> {
        match &*self.phase.lock() {
            Phase::Following(following) => {
                Some(following.audience.as_ref().is_none_or(Audience::is_gone))
            }
            Phase::Loading { .. } | Phase::Dropped => None,
        }
    }

    /// What is left and every seat, of one and the same moment; `None` when it was dropped.
    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        let mut map = self.map.lock().await;
        let (availability, picture) = {
            let phase = self.phase.lock();
            let Phase::Following(following) = &*phase else { return None };
            let seats = following.stock.seats();
            let outdated = map.json.is_empty() || seats.version() != map.version;
            let picture = outdated.then(|| seats.picture(self.id));
            (Arc::new(following.stock.availability()?), picture)
        };
        if let Some(picture) = picture {
            *map = WrittenMap { version: picture.version, json: write(picture).await };
        }
        Some(Snapshot { availability, map: map.json.clone() })
    }

    /// How many wait up to this entry, itself included, `Some(None)` if it does not wait; `None`
    /// when the event was dropped from memory.
    pub(crate) fn place_in_queue(&self, entry: WaitlistId) -> Option<Option<u32>> {
        match &*self.phase.lock() {
            Phase::Following(following) => Some(following.stock.queue().place(entry)),
            Phase::Loading { .. } | Phase::Dropped => None,
        }
    }

    /// News of this event from now on; `None` when it was dropped from memory.
    pub(crate) fn frames(&self) -> Option<broadcast::Receiver<Frame>> {
        let mut phase = self.phase.lock();
        let Phase::Following(following) = &mut *phase else { return None };
        let now = following.stock.position();
        Some(following.audience.get_or_insert_with(|| Audience::new(now)).join())
    }

    /// What changed after `since`; `None` when it was dropped from memory, or when `since` is
    /// ahead of what is known.
    pub(crate) fn news_since(&self, since: Position) -> Option<Frame> {
        let phase = self.phase.lock();
        let Phase::Following(following) = &*phase else { return None };
        let stock = &following.stock;
        let news = (since <= stock.position()).then(|| Pending::gather(self.id, stock, since))?;
        drop(phase);
        Some(news?.write())
    }

    /// Tells the audience what changed since it was last told.
    pub(super) fn tell(&self) {
        let pending = {
            let mut phase = self.phase.lock();
            let Phase::Following(following) = &mut *phase else { return };
            let Some(audience) = &mut following.audience else { return };
            let Some(since) = audience.tell_now(following.stock.position()) else {
                following.audience = None;
                return;
            };
            let frames = audience.sender();
            Pending::gather(self.id, &following.stock, since).map(|pending| (pending, frames))
        };
        if let Some((pending, frames)) = pending {
            // Fails when the last reader has gone in this moment.
            let _ = frames.send(pending.write());
        }
    }
}

async fn write(picture: Picture) -> Bytes {
    if picture.len() <= MANY_SEATS {
        return picture.render().into();
    }
    let written = tokio::task::spawn_blocking(move || picture.render());
    written.await.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use domain::event::Tier;
    use domain::inventory::{Fact, InventoryOpened, Plan, WaitlistJoined, stream};
    use domain::{Currency, StoredFact, TierId, Time, UserId};
    use infra::log::ChainHash;
    use uuid::Uuid;

    use super::*;

    fn event() -> EventId {
        EventId::from_u128(1)
    }

    /// The stream's record of this revision: the opening, then one person after the other who
    /// starts to wait.
    fn record(revision: u64) -> Record {
        let user = UserId::from_u128(u128::from(revision));
        let waitlist = WaitlistId::from_u128(u128::from(revision));
        let (tier, quantity, position) = (None, 1, 1);
        let joined = WaitlistJoined {
            waitlist,
            event: event(),
            user,
            tier,
            quantity,
            position,
            request: None,
        };
        let fact = if revision == 0 { opened() } else { joined.into() };
        Record {
            position: Position(100 + revision),
            stream: stream(event()).into(),
            revision,
            id: Uuid::from_u128(1),
            kind: fact.kind().into(),
            version: fact.version(),
            at: Time::from_ms(0),
            metadata: "".into(),
            data: fact.encode().into(),
            hash: ChainHash::default(),
        }
    }

    fn opened() -> Fact {
        let stock = domain::event::Stock::Counted { capacity: 10, section: None };
        let tier = Tier {
            tier: TierId::from_u128(1),
            name: "Standing".into(),
            price_minor: 1,
            stock,
            sale_starts_at: None,
            sale_ends_at: None,
            max_per_booking: None,
        };
        let plan = Plan {
            starts_at: Time::from_ms(1),
            ends_at: Time::from_ms(2),
            currency: Currency::EUR,
            tiers: vec![tier],
            hold_ttl_s: 1,
            offer_ttl_s: 1,
            max_per_booking: 1,
            max_per_user: None,
            refund_policy: vec![],
        };
        InventoryOpened { event: event(), plan, event_version: 1 }.into()
    }

    /// A stock that was read up to here, without this revision.
    fn read_to(revision: u64) -> Box<Stock> {
        let mut stock = Box::new(Stock::new(event()));
        (0..revision).for_each(|revision| stock.apply(&record(revision)).unwrap());
        stock
    }

    fn waiting(live: &LiveEvent) -> u32 {
        live.ready().unwrap().unwrap().waiting
    }

    #[test]
    fn what_the_subscription_brings_while_the_stream_is_read_has_to_be_read_too() {
        let (live, bytes) = (LiveEvent::new(event()), AtomicUsize::new(0));
        assert!(matches!(live.take(&record(4)), Taken::Known));
        assert_eq!(live.promised(), 5);
        let behind = live.follow(read_to(4), &bytes).unwrap_err();
        assert!(live.ready().is_none());
        assert_eq!(behind.next(), 4);
        live.follow(read_to(5), &bytes).unwrap();
        assert_eq!(waiting(&live), 4);
    }

    #[test]
    fn what_was_read_is_not_taken_in_again_and_what_is_missing_is_noticed() {
        let (live, bytes) = (LiveEvent::new(event()), AtomicUsize::new(0));
        live.follow(read_to(4), &bytes).unwrap();
        assert!(matches!(live.take(&record(3)), Taken::Known));
        assert!(matches!(live.take(&record(4)), Taken::New { first: true, fault: None }));
        assert!(matches!(live.take(&record(5)), Taken::New { first: false, fault: None }));
        assert_eq!(waiting(&live), 3, "not shown before the whole batch is taken in");
        live.show(&bytes);
        assert_eq!(waiting(&live), 5);
        assert!(matches!(live.take(&record(7)), Taken::Gap));
        live.drop_from_memory(&bytes);
        assert_eq!(bytes.load(Ordering::Relaxed), 0);
        assert!(matches!(live.take(&record(6)), Taken::Known));
    }
}
