//! The inventory: one per event, owner of its stock, holds, bookings and waitlist.
//!
//! [`Inventory::execute`] is the only way to decide: it settles what time alone brings about, then
//! decides, then takes the new facts in. Loading is [`Inventory::evolve`] over the stored facts.

mod bookings;
mod commands;
mod decide;
mod facts;
mod ledger;
mod settle;
mod stock;
mod waitlist;

pub use bookings::{BookingStatus, PaymentStage};
pub use commands::{Command, PaymentResult, Refusal};
pub use facts::*;
pub use ledger::{Ledger, SeatState, TierCount, Violation};
pub use settle::{CHARGE_PATIENCE_S, PaymentStep};
pub use stock::Wanted;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::{BookingId, EventId, PaymentId, Request, TicketId, TierId, Time, UserId};
use bookings::{Booking, Bookings, NONE, Payment, Requests, Seek, narrow};
use stock::{Place, Stock};
use waitlist::{Entry, EntryStatus, Waitlist};

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
    event: Option<EventId>,
    event_version: u64,
    plan: Option<Plan>,
    closed: bool,
    /// Bookings before this index are cancelled or expired; only grows once closed.
    closing: usize,
    stock: Stock,
    bookings: Bookings,
    requests: Requests,
    deadlines: BinaryHeap<Reverse<(Time, u32)>>,
    waitlist: Waitlist,
    /// Tickets held or owned, by person; kept only while there is a limit.
    per_user: HashMap<UserId, u32>,
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

/// A hold about to be taken in.
struct Hold {
    user: UserId,
    expires_at: Time,
    total_minor: i64,
    revision: u64,
}

impl Inventory {
    /// Settles, decides, and takes the new facts in. The facts are not durable yet: if they cannot
    /// be appended, this state has to be thrown away.
    pub fn execute(&mut self, command: &Command, now: Time) -> Executed {
        let settled = self.settle(now);
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

    /// The plan, once opened.
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
        let booking = self.bookings.get(self.bookings.find(id.number)?)?;
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

    /// Takes in what happened `at` that moment.
    pub fn evolve(&mut self, at: Time, fact: &Fact) {
        let revision = self.facts;
        self.facts += 1;
        match fact {
            Fact::InventoryOpened(fact) => self.follow(fact.event, &fact.plan, fact.event_version),
            Fact::InventoryRevised(fact) => self.follow(fact.event, &fact.plan, fact.event_version),
            Fact::InventoryClosed(fact) => {
                self.closed = true;
                self.event_version = fact.event_version;
                self.waitlist.close();
            }
            Fact::Reserved(fact) => {
                let (user, total_minor) = (fact.user, fact.total_minor);
                let hold = Hold { user, expires_at: fact.expires_at, total_minor, revision };
                self.add_hold(fact.booking, &fact.lines, &hold);
                self.remember(at, revision, fact.user, fact.request.as_ref());
            }
            Fact::Offered(fact) => {
                let (user, total_minor) = (fact.user, fact.total_minor);
                let hold = Hold { user, expires_at: fact.expires_at, total_minor, revision };
                let index = self.add_hold(fact.booking, &fact.lines, &hold);
                let entry = self.waitlist.offer(fact.user, index);
                if let Some(booking) = self.bookings.get_mut(index) {
                    booking.waitlist = entry.unwrap_or(NONE);
                }
            }
            Fact::PaymentStarted(fact) => self.payment_started(at, revision, fact),
            Fact::PaymentFailed(fact) => {
                let stage = PaymentStage::Failed(fact.reason);
                self.move_payment(fact.booking, fact.payment, stage, revision);
            }
            Fact::Confirmed(fact) => self.confirmed(at, revision, fact),
            Fact::Reinstated(fact) => self.reinstated(fact),
            Fact::Expired(fact) => {
                self.end_booking(fact.booking, BookingStatus::Expired, revision);
            }
            Fact::Cancelled(fact) => {
                self.end_booking(fact.booking, BookingStatus::Cancelled, revision);
                if let Some(payment) = fact.payment.filter(|_| fact.refund_minor > 0) {
                    let stage = PaymentStage::RefundOwed(fact.refund_minor);
                    self.move_payment(fact.booking, payment, stage, revision);
                }
                self.remember(at, revision, fact.user, fact.request.as_ref());
            }
            Fact::RefundDue(fact) => {
                let stage = PaymentStage::RefundOwed(fact.amount_minor);
                self.move_payment(fact.booking, fact.payment, stage, revision);
            }
            Fact::Refunded(fact) => {
                let stage = PaymentStage::Refunded;
                self.move_payment(fact.booking, fact.payment, stage, revision);
            }
            Fact::WaitlistJoined(fact) => self.joined(at, revision, fact),
            Fact::WaitlistLeft(fact) => {
                if let Some((index, _)) = self.waitlist.active(fact.user) {
                    self.waitlist.end(index, EntryStatus::Left);
                }
                self.remember(at, revision, fact.user, fact.request.as_ref());
            }
        }
    }

    fn follow(&mut self, event: EventId, plan: &Plan, event_version: u64) {
        self.event = Some(event);
        self.event_version = event_version;
        self.stock.plan(&plan.tiers);
        let limit_is_new = self.plan.as_ref().is_none_or(|old| old.max_per_user.is_none());
        let mut plan = plan.clone();
        // The stock keeps the tiers; the plan here only the rules.
        plan.tiers = Vec::new();
        self.plan = Some(plan);
        if limit_is_new {
            self.count_users();
        }
    }

    /// Counts everybody's tickets anew, when a limit was introduced.
    fn count_users(&mut self) {
        self.per_user = HashMap::new();
        if self.user_limit().is_none() {
            return;
        }
        let live = |booking: &&Booking| {
            matches!(booking.status, BookingStatus::Held | BookingStatus::Confirmed)
        };
        for booking in self.bookings.iter().filter(live) {
            *self.per_user.entry(booking.user).or_default() += tickets(&booking.places);
        }
    }

    fn user_limit(&self) -> Option<u32> {
        self.plan.as_ref()?.max_per_user
    }

    fn add_hold(&mut self, id: BookingId, lines: &[Line], hold: &Hold) -> u32 {
        let places = self.stock.places(lines);
        self.stock.hold(&places);
        self.count_for(hold.user, &places);
        let index = self.bookings.add(Booking {
            user: hold.user,
            number: id.number,
            expires_at: hold.expires_at,
            total_minor: hold.total_minor,
            places,
            waitlist: NONE,
            payment: NONE,
            made: narrow(hold.revision),
            ended: NONE,
            status: BookingStatus::Held,
        });
        self.deadlines.push(Reverse((hold.expires_at, index)));
        index
    }

    fn count_for(&mut self, user: UserId, places: &[Place]) {
        if self.user_limit().is_some() {
            *self.per_user.entry(user).or_default() += tickets(places);
        }
    }

    fn remember(&mut self, at: Time, revision: u64, user: UserId, request: Option<&Request>) {
        if let Some(request) = request {
            self.requests.remember(at, revision, user, request);
        }
    }

    fn payment_started(&mut self, at: Time, revision: u64, fact: &PaymentStarted) {
        let Some(index) = self.bookings.find(fact.booking.number) else { return };
        self.bookings.start_payment(Payment {
            id: fact.payment,
            booking: index,
            amount_minor: fact.amount_minor,
            started_at: at,
            stage: PaymentStage::Started,
            previous: NONE,
            started: narrow(revision),
            settled: NONE,
            request: fact.request.clone().map(Box::new),
        });
        if let Some(user) = self.bookings.get(index).map(|booking| booking.user) {
            self.remember(at, revision, user, fact.request.as_ref());
        }
    }

    fn move_payment(
        &mut self,
        booking: BookingId,
        payment: PaymentId,
        stage: PaymentStage,
        revision: u64,
    ) {
        if let Some(index) = self.bookings.find(booking.number) {
            self.bookings.move_payment(index, payment, stage, revision);
        }
    }

    fn confirmed(&mut self, at: Time, revision: u64, fact: &Confirmed) {
        let Some(index) = self.bookings.find(fact.booking.number) else { return };
        if let Some(payment) = fact.payment {
            self.bookings.move_payment(index, payment, PaymentStage::Captured, revision);
        }
        if let Some(booking) = self.bookings.get_mut(index) {
            booking.status = BookingStatus::Confirmed;
            self.stock.sell(&booking.places);
            if booking.waitlist != NONE {
                self.waitlist.end(booking.waitlist, EntryStatus::Served);
            }
        }
        self.remember(at, revision, fact.user, fact.request.as_ref());
    }

    fn reinstated(&mut self, fact: &Reinstated) {
        let places = self.stock.places(&fact.lines);
        self.stock.hold(&places);
        self.count_for(fact.user, &places);
        let index = self.bookings.find(fact.booking.number);
        if let Some(booking) = index.and_then(|index| self.bookings.get_mut(index)) {
            booking.places = places;
            booking.status = BookingStatus::Held;
            // Its deadline is over: only the confirmation in the same append keeps it.
        }
    }

    fn end_booking(&mut self, id: BookingId, status: BookingStatus, revision: u64) {
        let index = self.bookings.find(id.number);
        let Some(booking) = index.and_then(|index| self.bookings.get_mut(index)) else { return };
        match booking.status {
            BookingStatus::Held => self.stock.release_held(&booking.places),
            BookingStatus::Confirmed => self.stock.release_sold(&booking.places),
            BookingStatus::Cancelled | BookingStatus::Expired => return,
        }
        booking.status = status;
        booking.ended = narrow(revision);
        let (user, given_back) = (booking.user, tickets(&booking.places));
        if let Some(count) = self.per_user.get_mut(&user) {
            *count = count.saturating_sub(given_back);
            if *count == 0 {
                self.per_user.remove(&user);
            }
        }
        let entry = std::mem::replace(&mut booking.waitlist, NONE);
        if entry != NONE {
            self.waitlist.end(entry, EntryStatus::Left);
        }
    }

    /// Whether so many tickets more would be more than the person may have (BK-7).
    fn over_limit(&self, user: UserId, more: u32) -> bool {
        let owned = self.per_user.get(&user).copied().unwrap_or(0);
        self.user_limit().is_some_and(|limit| owned.saturating_add(more) > limit)
    }

    fn joined(&mut self, at: Time, revision: u64, fact: &WaitlistJoined) {
        let tier = fact.tier.and_then(|tier| self.stock.tier(tier)).map(|(index, _)| index);
        self.waitlist.join(Entry {
            id: fact.waitlist,
            user: fact.user,
            tier,
            quantity: u16::try_from(fact.quantity).unwrap_or(u16::MAX),
            status: EntryStatus::Waiting,
            booking: None,
        });
        self.remember(at, revision, fact.user, fact.request.as_ref());
    }

    fn booking_id(&self, booking: &Booking) -> BookingId {
        let event = self.event.unwrap_or(EventId::from_u128(0));
        BookingId { event, number: booking.number }
    }
}

fn tickets(places: &[Place]) -> u32 {
    places.iter().map(|place| u32::from(place.quantity)).sum()
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
