//! How facts change the state.

use std::collections::HashMap;

use super::bookings::{Booking, BookingStatus, NONE, Payment, PaymentStage, narrow};
use super::holders::MadeUpFor;
use super::waitlist::{Entry, EntryStatus};
use super::{
    Cancelled, CancelledBy, Confirmed, Fact, Inventory, Line, PaymentStarted, Plan, Reinstated,
    WaitlistJoined,
};
use crate::{BookingId, EventId, PaymentId, Request, Time, UserId};

/// A hold about to be taken in.
struct Hold<'a> {
    booking: BookingId,
    user: UserId,
    lines: &'a [Line],
    expires_at: Time,
    total_minor: i64,
}

impl Inventory {
    /// Takes in what happened `at` that moment. Never fails: what is in the log is true.
    pub fn evolve(&mut self, at: Time, fact: &Fact) {
        let revision = narrow(self.facts);
        self.facts += 1;
        self.clock = self.clock.max(at);
        let index = fact.booking().and_then(|booking| self.bookings.find(booking.number));
        self.note(at, index, fact);
        let booking = self.take_in(at, index, fact);
        self.bookings.tell(booking);
        if let Some((user, request)) = self.request_of(booking, fact) {
            self.requests.remember(at, revision, user, request);
        }
    }

    /// Takes in a fact about the booking at `index`, and returns that of the booking it is about
    /// now.
    fn take_in(&mut self, at: Time, index: Option<u32>, fact: &Fact) -> Option<u32> {
        match fact {
            Fact::InventoryOpened(fact) => self.follow(fact.event, &fact.plan, fact.event_version),
            Fact::InventoryRevised(fact) => self.follow(fact.event, &fact.plan, fact.event_version),
            Fact::InventoryClosed(fact) => {
                self.closed = true;
                self.event_version = fact.event_version;
                self.waitlist.close();
            }
            // A log that has it twice is wrong, but nobody got places twice.
            Fact::Reserved(_) | Fact::Offered(_) if index.is_some() => {}
            Fact::Reserved(fact) => {
                let (booking, user, lines) = (fact.booking, fact.user, &fact.lines);
                let (expires_at, total_minor) = (fact.expires_at, fact.total_minor);
                return Some(self.hold(&Hold { booking, user, lines, expires_at, total_minor }));
            }
            Fact::Offered(fact) => {
                let (booking, user, lines) = (fact.booking, fact.user, &fact.lines);
                let (expires_at, total_minor) = (fact.expires_at, fact.total_minor);
                let index = self.hold(&Hold { booking, user, lines, expires_at, total_minor });
                let entry = self.waitlist.offer(user, index);
                if let Some(booking) = self.bookings.get_mut(index) {
                    booking.waitlist = entry.unwrap_or(NONE);
                }
                return Some(index);
            }
            Fact::PaymentStarted(fact) => self.payment_started(at, index?, fact),
            Fact::PaymentFailed(fact) => {
                self.move_payment(index?, fact.payment, PaymentStage::Failed(fact.reason));
            }
            Fact::Confirmed(fact) => self.confirmed(index?, fact),
            Fact::Reinstated(fact) => self.reinstated(index?, fact),
            Fact::Expired(_) => self.end_booking(index?, BookingStatus::Expired, true),
            Fact::Cancelled(fact) => self.given_back(index?, fact),
            Fact::RefundDue(fact) => {
                let stage = PaymentStage::RefundOwed(fact.amount_minor);
                self.move_payment(index?, fact.payment, stage);
            }
            Fact::Refunded(fact) => {
                self.move_payment(index?, fact.payment, PaymentStage::Refunded);
            }
            Fact::WaitlistJoined(fact) => self.joined(fact),
            Fact::WaitlistLeft(fact) => {
                if let Some((entry, _)) = self.waitlist.active(fact.user) {
                    self.waitlist.end(entry, EntryStatus::Left);
                }
            }
        }
        index
    }

    /// The key that the fact carries, and the person it is remembered for.
    pub(super) fn request_of<'a>(
        &self,
        booking: Option<u32>,
        fact: &'a Fact,
    ) -> Option<(UserId, &'a Request)> {
        let (user, request) = match fact {
            Fact::Reserved(fact) => (fact.user, &fact.request),
            Fact::PaymentStarted(fact) => (self.bookings.get(booking?)?.user, &fact.request),
            Fact::Confirmed(fact) => (fact.user, &fact.request),
            Fact::Cancelled(fact) => (fact.admin.unwrap_or(fact.user), &fact.request),
            Fact::WaitlistJoined(fact) => (fact.user, &fact.request),
            Fact::WaitlistLeft(fact) => (fact.user, &fact.request),
            _ => return None,
        };
        Some((user, request.as_ref()?))
    }

    fn follow(&mut self, event: EventId, plan: &Plan, event_version: u64) {
        self.event = Some(event);
        self.event_version = event_version;
        self.stock.plan(&plan.tiers);
        let limit_is_new = self.user_limit().is_none();
        self.plan = Some(plan.without_tiers());
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
        for booking in self.bookings.iter().filter(|booking| booking.is_live()) {
            let has = self.per_user.entry(booking.user).or_default();
            match booking.status {
                BookingStatus::Confirmed => has.bought += booking.places.tickets(),
                _ => has.held += booking.places.tickets(),
            }
        }
    }

    fn count_held(&mut self, user: UserId, tickets: u32) {
        if self.user_limit().is_some() {
            self.per_user.entry(user).or_default().held += tickets;
        }
    }

    fn hold(&mut self, hold: &Hold<'_>) -> u32 {
        let places = self.stock.places(hold.lines);
        self.stock.hold(&places);
        self.count_held(hold.user, places.tickets());
        self.holds_more(hold.user);
        let index = self.bookings.add(Booking {
            user: hold.user,
            number: hold.booking.number,
            expires_at: hold.expires_at,
            total_minor: hold.total_minor,
            places,
            waitlist: NONE,
            payment: NONE,
            told: NONE,
            made_up: MadeUpFor::default(),
            status: BookingStatus::Held,
        });
        self.deadlines.insert((hold.expires_at, index));
        index
    }

    fn payment_started(&mut self, at: Time, booking: u32, fact: &PaymentStarted) {
        self.bookings.start_payment(Payment {
            id: fact.payment,
            booking,
            amount_minor: fact.amount_minor,
            started_at: at,
            stage: PaymentStage::Started,
            previous: NONE,
            request: fact.request.clone().map(Box::new),
        });
    }

    fn move_payment(&mut self, booking: u32, payment: PaymentId, stage: PaymentStage) {
        self.bookings.move_payment(booking, payment, stage);
    }

    fn confirmed(&mut self, index: u32, fact: &Confirmed) {
        if let Some(payment) = fact.payment {
            self.move_payment(index, payment, PaymentStage::Captured);
        }
        let Some(booking) = self.bookings.get_mut(index) else { return };
        let user = booking.user;
        booking.status = BookingStatus::Confirmed;
        self.deadlines.remove(&(booking.expires_at, index));
        self.stock.sell(&booking.places);
        if let Some(has) = self.per_user.get_mut(&booking.user) {
            let tickets = booking.places.tickets();
            has.held = has.held.saturating_sub(tickets);
            has.bought += tickets;
        }
        if booking.waitlist != NONE {
            self.waitlist.end(booking.waitlist, EntryStatus::Served);
        }
        let made_up = self.bought_hold(user);
        if let Some(booking) = self.bookings.get_mut(index) {
            booking.made_up = made_up;
        }
    }

    /// Its deadline is over: only the confirmation in the same append keeps it.
    fn reinstated(&mut self, index: u32, fact: &Reinstated) {
        let places = self.stock.places(&fact.lines);
        self.stock.hold(&places);
        self.count_held(fact.user, places.tickets());
        self.holds_more(fact.user);
        if let Some(booking) = self.bookings.get_mut(index) {
            booking.places = places;
            booking.status = BookingStatus::Held;
        }
    }

    fn given_back(&mut self, index: u32, fact: &Cancelled) {
        let is_their_doing = fact.by == CancelledBy::Buyer && fact.admin.is_none();
        self.end_booking(index, BookingStatus::Cancelled, is_their_doing);
        if let Some(payment) = fact.payment.filter(|_| fact.refund_minor > 0) {
            self.move_payment(index, payment, PaymentStage::RefundOwed(fact.refund_minor));
        }
    }

    fn end_booking(&mut self, index: u32, status: BookingStatus, is_their_doing: bool) {
        let Some(booking) = self.bookings.get_mut(index) else { return };
        let (user, given_back) = (booking.user, booking.places.tickets());
        let mut has = self.per_user.get(&user).copied().unwrap_or_default();
        match booking.status {
            BookingStatus::Held => {
                self.stock.release_held(&booking.places);
                self.deadlines.remove(&(booking.expires_at, index));
                has.held = has.held.saturating_sub(given_back);
            }
            BookingStatus::Confirmed => {
                self.stock.release_sold(&booking.places);
                has.bought = has.bought.saturating_sub(given_back);
            }
            BookingStatus::Cancelled | BookingStatus::Expired => return,
        }
        let was_held = booking.status == BookingStatus::Held;
        booking.status = status;
        let (entry, made_up) = (booking.waitlist, std::mem::take(&mut booking.made_up));
        if has.held == 0 && has.bought == 0 {
            self.per_user.remove(&user);
        } else if let Some(had) = self.per_user.get_mut(&user) {
            *had = has;
        }
        // The booking keeps its entry: money that comes late may serve it yet.
        if self.waitlist.entry(entry).is_some_and(|entry| entry.status == EntryStatus::Offered) {
            self.waitlist.end(entry, EntryStatus::Left);
        }
        if was_held {
            self.lost_hold(user, is_their_doing);
        } else if is_their_doing {
            self.gave_back_purchase(user, made_up);
        }
    }

    fn joined(&mut self, fact: &WaitlistJoined) {
        let tier = fact.tier.and_then(|tier| self.stock.tier(tier)).map(|(index, _)| index);
        self.waitlist.join(Entry {
            id: fact.waitlist,
            user: fact.user,
            tier,
            quantity: u16::try_from(fact.quantity).unwrap_or(u16::MAX),
            status: EntryStatus::Waiting,
            booking: None,
        });
    }
}
