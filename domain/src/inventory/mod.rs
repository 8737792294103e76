//! The inventory: one per event, owner of its stock, holds, bookings and waitlist.
//!
//! [`Inventory::execute`] is the only way to decide: it settles what time alone brings about, then
//! decides, then takes the new facts in. Loading is [`Inventory::evolve`] over the stored facts.

mod bookings;
mod chunks;
mod commands;
mod decide;
mod evolve;
mod facts;
mod follow;
mod forget;
mod holders;
mod ledger;
mod payments;
mod places;
mod requests;
mod rollback;
mod settle;
mod stock;
#[cfg(test)]
mod tests;
mod uniform;
mod waitlist;

pub use bookings::{BookingStatus, PaymentStage};
pub use commands::{Command, Patience, PaymentResult, Refusal, Wanted};
pub use facts::*;
pub use ledger::{Ledger, SeatState, TierCount, Violation};
pub use payments::{CHARGE_PATIENCE_S, PaymentStep};
pub use settle::SETTLED_AT_ONCE;

use std::collections::{BTreeSet, HashMap};

use crate::{BookingId, EventId, PaymentId, Request, TicketId, TierId, Time, UserId};
use bookings::{Booking, Bookings};
use holders::Holder;
use requests::{Requests, Seek};
use rollback::Undo;
use stock::Stock;
use waitlist::Waitlist;

/// The stream's name is this, a dash, and the event's id.
pub const CATEGORY: &str = "inventory";

/// The stream that holds the facts of an event's inventory.
pub fn stream(event: EventId) -> String {
    format!("{CATEGORY}-{event}")
}

/// What an event has to sell and what became of it.
#[derive(Debug, Default)]
pub struct Inventory {
    /// How many facts were taken in; the revision of the next one.
    facts: u64,
    /// The latest moment it has heard of.
    clock: Time,
    event: Option<EventId>,
    event_version: u64,
    /// The rules of the sale; the tiers are in `stock`.
    plan: Option<Plan>,
    closed: bool,
    /// Bookings before this index are cancelled or expired; only grows once closed.
    closing: usize,
    stock: Stock,
    bookings: Bookings,
    requests: Requests,
    /// Of live holds, with the booking's index.
    deadlines: BTreeSet<(Time, u32)>,
    waitlist: Waitlist,
    /// What each person has; kept only while there is a limit.
    per_user: HashMap<UserId, Tickets>,
    /// Who holds something, or let something go.
    holders: HashMap<UserId, Holder>,
    undo: Undo,
}

/// How many tickets somebody has.
#[derive(Debug, Default, Clone, Copy)]
struct Tickets {
    held: u32,
    bought: u32,
}

/// What came of a command: facts in the order they happened.
#[derive(Debug, PartialEq)]
pub struct Executed {
    /// What time alone had brought about before the command was looked at.
    pub settled: Vec<Fact>,
    /// What the command brought about; none if it was carried out before.
    pub decided: Result<Vec<Fact>, Refusal>,
}

/// A booking as its inventory knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct BookingSnapshot {
    /// Which one.
    pub booking: BookingId,
    /// Whose it is.
    pub user: UserId,
    /// Where it stands.
    pub status: BookingStatus,
    /// When the hold dies or died.
    pub expires_at: Time,
    /// What it holds or held.
    pub lines: Vec<Line>,
    /// What is to be paid or was, in minor units.
    pub total_minor: i64,
    /// Its last payment.
    pub payment: Option<(PaymentId, PaymentStage)>,
    /// Revisions of the facts that tell its story, in order.
    pub story: Vec<u64>,
}

impl Inventory {
    /// Settles, decides, and takes the new facts in. The facts are not durable yet: if they cannot
    /// be appended, they have to be taken back; see [`Inventory::begin`].
    pub fn execute(&mut self, command: &Command, now: Time) -> Executed {
        let settled = match command {
            Command::Settle => self.settle(now),
            _ => self.settle_all_stock(now),
        };
        let decided = self.decide(command, now);
        for fact in decided.iter().flatten() {
            self.evolve(now, fact);
        }
        Executed { settled, decided }
    }

    /// How many facts were taken in; the revision of the next one.
    pub fn facts(&self) -> u64 {
        self.facts
    }

    /// How many bookings there are, of any status.
    pub fn booking_count(&self) -> usize {
        self.bookings.len()
    }

    /// How many people wait.
    pub fn waiting(&self) -> u32 {
        self.waitlist.waiting()
    }

    /// The plan without its tiers, once opened.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Revision of the fact that carried this request out, if it was carried out before.
    pub fn done_at(&self, user: UserId, request: &Request) -> Option<u64> {
        match self.requests.seek(user, Some(request)) {
            Seek::Done(revision) => Some(revision),
            Seek::New | Seek::Reused => None,
        }
    }

    /// A booking as it stands.
    pub fn booking(&self, id: BookingId) -> Option<BookingSnapshot> {
        let index = self.bookings.find(id.number).filter(|_| self.event == Some(id.event));
        let booking = self.bookings.get(index?)?;
        let payment = self.bookings.payment_of(booking);
        Some(BookingSnapshot {
            booking: id,
            user: booking.user,
            status: booking.status,
            expires_at: booking.expires_at,
            lines: self.stock.lines(&booking.places),
            total_minor: booking.total_minor,
            payment: payment.map(|payment| (payment.id, payment.stage)),
            story: self.bookings.story(booking),
        })
    }

    fn user_limit(&self) -> Option<u32> {
        self.plan.as_ref()?.max_per_user
    }

    /// Tickets that a person holds or owns; 0 while there is no limit.
    fn owned(&self, user: UserId) -> u32 {
        self.per_user.get(&user).map_or(0, |has| has.held.saturating_add(has.bought))
    }

    /// Whether the person bought so much that so many tickets more are out of the question, however
    /// their holds end.
    fn bought_too_many(&self, user: UserId, more: u32) -> bool {
        let bought = self.per_user.get(&user).map_or(0, |has| has.bought);
        self.user_limit().is_some_and(|limit| bought.saturating_add(more) > limit)
    }

    /// Whether so many tickets more would be more than the person may have (BK-7).
    fn over_limit(&self, user: UserId, more: u32) -> bool {
        self.user_limit().is_some_and(|limit| self.owned(user).saturating_add(more) > limit)
    }

    fn booking_id(&self, booking: &Booking) -> BookingId {
        let event = self.event.unwrap_or(EventId::from_u128(0));
        BookingId { event, number: booking.number }
    }

    fn currency(&self) -> crate::Currency {
        self.plan.as_ref().map_or(crate::Currency::EUR, |plan| plan.currency)
    }
}

/// The tickets of a booking: one for each person, in the order of its lines.
pub fn tickets_of(booking: BookingId, lines: &[Line]) -> Vec<Ticket> {
    let each = lines.iter().flat_map(|line| {
        let one = (line.tier, line.seat.clone());
        std::iter::repeat_n(one, line.quantity as usize)
    });
    let ticket = |(index, (tier, seat)): (usize, (TierId, Option<String>))| {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        Ticket { ticket: TicketId { booking, index }, tier, seat }
    };
    each.enumerate().map(ticket).collect()
}
