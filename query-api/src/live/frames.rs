//! News of an event as server-sent events, written once for all who follow it.

use bytes::Bytes;
use domain::EventId;
use infra::log::Position;
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use super::availability::Availability;
use super::event::Snapshot;
use super::seats::{Changes, SeatChange, named};
use super::stock::Stock;

/// News kept for a reader that does not take them; one that is further behind is cut off.
const BACKLOG: usize = 64;

/// Seats that changed: the data of a `seats` message after the first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeatChanges<'a> {
    /// Which event.
    #[schema(value_type = String)]
    event_id: EventId,
    /// Where in the log the event's stock changed last.
    #[schema(value_type = u64)]
    position: Position,
    /// Those that changed, each with its state now.
    seats: Vec<SeatChange<'a>>,
}

/// One or two messages of an event stream. The last carries as its id the position up to which all
/// is told, so that a reader who is cut off between them is told both again.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Up to here all is told.
    pub(crate) upto: Position,
    /// As sent.
    pub(crate) bytes: Bytes,
}

/// The first messages: all of it. The seat map only if there are seats.
pub(crate) fn whole(snapshot: &Snapshot) -> Frame {
    let availability = &snapshot.availability;
    let seated = availability.seats_version() > Position(0);
    write(&availability.json(), seated.then_some(&*snapshot.map), availability.position())
}

fn write(availability: &[u8], seats: Option<&[u8]>, upto: Position) -> Frame {
    let mut bytes = Vec::with_capacity(availability.len() + seats.map_or(0, <[u8]>::len) + 128);
    let mut message = |name: &str, data: &[u8], last: bool| {
        bytes.extend_from_slice(b"event: ");
        bytes.extend_from_slice(name.as_bytes());
        if last {
            bytes.extend_from_slice(format!("\nid: {upto}").as_bytes());
        }
        // JSON as written here has no line breaks.
        bytes.extend_from_slice(b"\ndata: ");
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(b"\n\n");
    };
    message("availability", availability, seats.is_none());
    if let Some(seats) = seats {
        message("seats", seats, true);
    }
    Frame { upto, bytes: bytes.into() }
}

/// News that are not written yet.
#[derive(Debug)]
pub(super) struct Pending {
    event: EventId,
    availability: Availability,
    seats: Changes,
    since: Position,
}

impl Pending {
    /// What changed after `since`; `None` for an inventory that was not opened.
    pub(super) fn gather(event: EventId, stock: &Stock, since: Position) -> Option<Self> {
        let seats = stock.seats().since(event, since);
        Some(Self { event, availability: stock.availability()?, seats, since })
    }

    pub(super) fn write(&self) -> Frame {
        let position = self.availability.position();
        let availability = self.availability.render(self.since);
        let seats = match &self.seats {
            Changes::None => None,
            Changes::Whole(picture) => Some(picture.render()),
            Changes::Some(layout, changed) => {
                let seats = named(layout, changed);
                let changes = SeatChanges { event_id: self.event, position, seats };
                // Texts and numbers always become JSON.
                Some(serde_json::to_vec(&changes).unwrap_or_default())
            }
        };
        write(&availability, seats.as_deref(), position)
    }
}

/// Those who follow one event.
#[derive(Debug)]
pub(super) struct Audience {
    frames: broadcast::Sender<Frame>,
    /// Up to here all was told.
    told: Position,
    /// It is on the list of those to be told next.
    promised: bool,
}

impl Audience {
    pub(super) fn new(now: Position) -> Self {
        Self { frames: broadcast::Sender::new(BACKLOG), told: now, promised: false }
    }

    pub(super) fn join(&self) -> broadcast::Receiver<Frame> {
        self.frames.subscribe()
    }

    pub(super) fn sender(&self) -> broadcast::Sender<Frame> {
        self.frames.clone()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.frames.receiver_count() == 0
    }

    /// Whether it is to be put on the list of those to be told next: it is not there yet.
    pub(super) fn promise_news(&mut self) -> bool {
        !std::mem::replace(&mut self.promised, true)
    }

    /// All up to `now` is being told. From where on; `None` if nobody is there any more.
    pub(super) fn tell_now(&mut self, now: Position) -> Option<Position> {
        self.promised = false;
        (!self.is_gone()).then(|| std::mem::replace(&mut self.told, now))
    }
}
