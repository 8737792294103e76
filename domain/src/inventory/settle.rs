//! What time alone brings about: deadlines, offers, the end of a cancelled event.

use super::bookings::{Booking, BookingStatus, PaymentStage};
use super::stock::TierState;
use super::waitlist::{Entry, EntryStatus};
use super::{Cancelled, CancelledBy, Expired, Fact, Inventory, Line, Offered, Plan, WaitlistLeft};
use crate::request::Fingerprint;
use crate::{BookingId, EventId, Request, Time, WaitlistId};

/// How many facts time alone brings about at a time, so that one append stays small.
pub const SETTLED_AT_ONCE: usize = 500;

impl Inventory {
    /// What is due at `now`, at most [`SETTLED_AT_ONCE`] of it: dead holds expire (BK-4), returned
    /// places go to the waitlist (WL-2), a cancelled event's bookings are cancelled. The facts are
    /// taken in.
    pub fn settle(&mut self, now: Time) -> Vec<Fact> {
        let mut facts = self.settle_stock(now);
        if self.closed {
            self.cancel_some(now, &mut facts);
        }
        facts
    }

    /// What has to be settled before anything is decided; as much of it as [`Inventory::settle`].
    pub fn settle_stock(&mut self, now: Time) -> Vec<Fact> {
        self.clock = self.clock.max(now);
        let mut facts = Vec::new();
        self.expire(now, &mut facts);
        if !self.closed && self.waitlist.waiting() > 0 {
            self.offer(now, &mut facts);
        }
        facts
    }

    /// All of it.
    pub(super) fn settle_all_stock(&mut self, now: Time) -> Vec<Fact> {
        let mut facts = self.settle_stock(now);
        let mut last = facts.len();
        while last == SETTLED_AT_ONCE {
            let more = self.settle_stock(now);
            last = more.len();
            facts.extend(more);
        }
        facts
    }

    /// When something is due next: a deadline, an offer to the waitlist, or the rest of a cancelled
    /// event. A moment in the past means now. May be early, never late.
    pub fn next_due(&self) -> Option<Time> {
        if self.closed && self.closing < self.bookings.len() {
            return Some(Time::default());
        }
        self.next_deadline().into_iter().chain(self.offer_due()).min()
    }

    /// The first deadline of a hold or an offer.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// When somebody who waits can be served with what is free: as soon as its sale is open.
    fn offer_due(&self) -> Option<Time> {
        let plan = self.plan.as_ref().filter(|_| self.waitlist.waiting() > 0)?;
        let due = |(tier, ..): (&TierState, u16, u32)| {
            let opens = tier.terms.sale_starts_at.unwrap_or_default().max(self.clock);
            (opens < plan.starts_at && tier.on_sale(opens).is_ok()).then_some(opens)
        };
        self.servable(plan).filter_map(due).min()
    }

    fn expire(&mut self, now: Time, facts: &mut Vec<Fact>) {
        while let Some(&(deadline, index)) = self.deadlines.first() {
            if now < deadline || facts.len() >= SETTLED_AT_ONCE {
                return;
            }
            let Some(booking) = self.bookings.get(index) else { return };
            let fact = Fact::from(Expired {
                booking: self.booking_id(booking),
                user: booking.user,
                lines: self.stock.lines(&booking.places),
                waitlist: self.waitlist.entry(booking.waitlist).map(|entry| entry.id),
            });
            self.evolve(now, &fact);
            facts.push(fact);
            // Whatever became of it, it was due once: what comes back for ever would fill the log.
            self.deadlines.remove(&(deadline, index));
        }
    }

    fn cancel_some(&mut self, now: Time, facts: &mut Vec<Fact>) {
        while self.closing < self.bookings.len() && facts.len() < SETTLED_AT_ONCE {
            let index = u32::try_from(self.closing).unwrap_or(u32::MAX);
            self.closing += 1;
            if self.bookings.get(index).is_some_and(Booking::is_live) {
                let fact = Fact::from(self.cancelled(index, 100, None));
                self.evolve(now, &fact);
                facts.push(fact);
            }
        }
    }

    /// The fact that booking `index` is given back, with so many percent of what was paid; with all
    /// of it once the event is cancelled, also if the booking's turn has not come yet.
    pub(super) fn cancelled(&self, index: u32, percent: u8, request: Option<Request>) -> Cancelled {
        let (by, percent) =
            if self.closed { (CancelledBy::Event, 100) } else { (CancelledBy::Buyer, percent) };
        let booking = self.bookings.get(index).expect("the index was looked up before");
        let was_confirmed = booking.status == BookingStatus::Confirmed;
        let payment = self
            .bookings
            .payment_of(booking)
            .filter(|payment| was_confirmed && payment.stage == PaymentStage::Captured);
        let paid = payment.map_or(0, |payment| payment.amount_minor);
        let refund_minor = crate::money::percent_of(paid, percent);
        Cancelled {
            booking: self.booking_id(booking),
            user: booking.user,
            by,
            lines: self.stock.lines(&booking.places),
            was_confirmed,
            payment: payment.filter(|_| refund_minor > 0).map(|payment| payment.id),
            refund_minor,
            currency: self.currency(),
            waitlist: self
                .waitlist
                .entry(booking.waitlist)
                .filter(|entry| entry.status == EntryStatus::Offered)
                .map(|entry| entry.id),
            admin: None,
            request,
        }
    }

    /// Gives free places to those who wait, in their order, until nobody can be served (WL-2).
    fn offer(&mut self, now: Time, facts: &mut Vec<Fact>) {
        let Some(plan) = &self.plan else { return };
        if plan.starts_at <= now {
            return;
        }
        let expires_at = now.plus_s(u64::from(plan.offer_ttl_s));
        while facts.len() < SETTLED_AT_ONCE {
            let Some((tier, entry)) = self.next_offer(now) else { return };
            let Some(entry) = self.waitlist.entry(entry) else { return };
            let event = self.event.unwrap_or(EventId::from_u128(0));
            if self.bought_too_many(entry.user, u32::from(entry.quantity)) {
                // Bought elsewhere in the meantime: an offer would break BK-7 for good.
                let (waitlist, user) = (entry.id, entry.user);
                let fact = Fact::from(WaitlistLeft { waitlist, event, user, request: None });
                self.evolve(now, &fact);
                facts.push(fact);
                continue;
            }
            let Ok(places) = self.stock.next_free(tier, u32::from(entry.quantity)) else { return };
            let lines = self.stock.lines(&places);
            let fact = Fact::from(Offered {
                waitlist: entry.id,
                booking: BookingId { event, number: self.offered_number(entry.id) },
                user: entry.user,
                total_minor: lines.iter().map(Line::amount_minor).sum(),
                lines,
                currency: self.currency(),
                expires_at,
            });
            self.evolve(now, &fact);
            facts.push(fact);
        }
    }

    /// The tier with something to offer and the first in line who can be served by it.
    fn next_offer(&self, now: Time) -> Option<(u16, u32)> {
        self.servable(self.plan.as_ref()?)
            .filter(|(tier, ..)| tier.on_sale(now).is_ok())
            .map(|(_, index, entry)| (index, entry))
            .min_by_key(|(_, entry)| *entry)
    }

    /// Each tier that has enough for somebody who waits, with the first of those. Nobody is offered
    /// more than one booking can have (BK-7); who would have too many only because of a hold is
    /// passed over and keeps their place, for the hold may die.
    fn servable(&self, plan: &Plan) -> impl Iterator<Item = (&TierState, u16, u32)> {
        let most = plan.max_per_booking;
        let tiers = self.stock.tiers.iter().zip(0u16..);
        tiers.filter(|(tier, _)| tier.available() > 0).filter_map(move |(tier, index)| {
            let limit = tier.terms.max_per_booking.unwrap_or(most).min(most);
            let ready = |entry: &Entry| {
                let quantity = u32::from(entry.quantity);
                !self.over_limit(entry.user, quantity) || self.bought_too_many(entry.user, quantity)
            };
            let entry = self.waitlist.next(index, tier.available().min(limit), ready)?;
            Some((tier, index, entry))
        })
    }

    /// The number of the booking that serves an entry. Derived, so that deciding needs no
    /// randomness; an entry's id is as unguessable as a random number.
    fn offered_number(&self, waitlist: WaitlistId) -> u64 {
        let mut seed = waitlist.as_u128();
        loop {
            let Fingerprint(number) = Fingerprint::of(&seed.to_be_bytes());
            if self.bookings.find(number).is_none() {
                return number;
            }
            seed = seed.wrapping_add(1);
        }
    }
}
