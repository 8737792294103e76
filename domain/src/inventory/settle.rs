//! What time alone brings about: deadlines, offers, the end of a cancelled event.

use std::cmp::Reverse;

use super::bookings::{BookingStatus, Payment, PaymentStage};
use super::waitlist::EntryStatus;
use super::{Cancelled, CancelledBy, Expired, Fact, Inventory, Offered, WaitlistLeft};
use crate::{BookingId, PaymentId, Time};

/// How many bookings of a cancelled event are cancelled at a time, so that one append stays small.
const CLOSE_AT_ONCE: usize = 2_000;

/// How long a charge may be under way before the provider is asked what became of it. From then on
/// "never heard of it" is a final answer.
pub const CHARGE_PATIENCE_S: u64 = 30;

/// How many refunds are asked for at a time; the next follow as these are settled.
const REFUNDS_AT_ONCE: usize = 256;

/// What is to be done now for a payment (PM-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStep {
    /// Ask the provider what became of the charge.
    AskProvider {
        /// For which booking.
        booking: BookingId,
        /// Which payment.
        payment: PaymentId,
    },
    /// Have the provider pay back what is owed.
    Refund {
        /// For which booking.
        booking: BookingId,
        /// Which payment.
        payment: PaymentId,
        /// How much, in minor units.
        amount_minor: i64,
        /// Of what.
        currency: crate::Currency,
    },
}

impl Inventory {
    /// What is due at `now`: dead holds expire (BK-4), a cancelled event's bookings are cancelled,
    /// returned places go to the waitlist (WL-2). The facts are taken in.
    pub fn settle(&mut self, now: Time) -> Vec<Fact> {
        let mut facts = Vec::new();
        self.expire(now, &mut facts);
        if self.closed {
            self.cancel_all(now, &mut facts);
        } else if self.waitlist.waiting() > 0 {
            self.offer(now, &mut facts);
        }
        facts
    }

    /// When something is due next: a deadline, or the rest of a cancelled event. May be early,
    /// never late.
    pub fn next_due(&self) -> Option<Time> {
        if self.closed && self.closing < self.bookings.len() {
            return Some(Time::default());
        }
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// What is to be done now for the payments that have not come to their end. Charges under way
    /// are left alone for a while.
    pub fn payment_steps(&self, now: Time) -> Vec<PaymentStep> {
        let id = |payment: &Payment| Some(self.booking_id(self.bookings.get(payment.booking)?));
        let asked = self.payments(&self.bookings.asked);
        let asked = asked.take_while(|payment| patience(payment) <= now).filter_map(|payment| {
            Some(PaymentStep::AskProvider { booking: id(payment)?, payment: payment.id })
        });
        let owed = self.payments(&self.bookings.owed).take(REFUNDS_AT_ONCE);
        let currency = self.currency();
        let owed = owed.filter_map(|payment| match payment.stage {
            PaymentStage::RefundOwed(amount_minor) => {
                let (booking, payment) = (id(payment)?, payment.id);
                Some(PaymentStep::Refund { booking, payment, amount_minor, currency })
            }
            _ => None,
        });
        asked.chain(owed).collect()
    }

    /// When the next charge will have been under way for too long.
    pub fn next_payment_due(&self, now: Time) -> Option<Time> {
        self.payments(&self.bookings.asked).map(patience).find(|until| *until > now)
    }

    /// Whether a payment has not come to its end.
    pub fn has_open_payments(&self) -> bool {
        !self.bookings.asked.is_empty() || !self.bookings.owed.is_empty()
    }

    fn payments<'a>(
        &'a self,
        indexes: &'a std::collections::BTreeSet<u32>,
    ) -> impl Iterator<Item = &'a Payment> {
        indexes.iter().filter_map(|index| self.bookings.payment(*index))
    }

    fn expire(&mut self, now: Time, facts: &mut Vec<Fact>) {
        while let Some(&Reverse((deadline, index))) = self.deadlines.peek() {
            if now < deadline {
                return;
            }
            self.deadlines.pop();
            let Some(booking) = self.bookings.get(index) else { continue };
            if booking.status != BookingStatus::Held {
                continue;
            }
            let fact = Fact::from(Expired {
                booking: self.booking_id(booking),
                user: booking.user,
                lines: self.stock.lines(&booking.places),
                waitlist: self.waitlist.entry(booking.waitlist).map(|entry| entry.id),
            });
            self.evolve(now, &fact);
            facts.push(fact);
        }
    }

    fn cancel_all(&mut self, now: Time, facts: &mut Vec<Fact>) {
        let before = facts.len();
        while self.closing < self.bookings.len() && facts.len() - before < CLOSE_AT_ONCE {
            let index = u32::try_from(self.closing).unwrap_or(u32::MAX);
            self.closing += 1;
            let Some(booking) = self.bookings.get(index) else { continue };
            let live = matches!(booking.status, BookingStatus::Held | BookingStatus::Confirmed);
            if !live {
                continue;
            }
            let fact = Fact::from(self.cancelled(index, CancelledBy::Event, 100, None));
            self.evolve(now, &fact);
            facts.push(fact);
        }
    }

    /// The fact that booking `index` is given back, with so many percent of what was paid.
    pub(super) fn cancelled(
        &self,
        index: u32,
        by: CancelledBy,
        percent: u8,
        request: Option<crate::Request>,
    ) -> Cancelled {
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
            request,
        }
    }

    pub(super) fn currency(&self) -> crate::Currency {
        self.plan.as_ref().map_or(crate::Currency::EUR, |plan| plan.currency)
    }

    /// Gives free places to those who wait, in their order, until nobody can be served (WL-2).
    fn offer(&mut self, now: Time, facts: &mut Vec<Fact>) {
        let Some(plan) = &self.plan else { return };
        if plan.starts_at <= now {
            return;
        }
        let expires_at = now.plus_s(u64::from(plan.offer_ttl_s));
        while let Some((tier, entry)) = self.next_offer(now) {
            let Some(entry) = self.waitlist.entry(entry) else { return };
            let event = self.event.unwrap_or(crate::EventId::from_u128(0));
            if self.over_limit(entry.user, u32::from(entry.quantity)) {
                // Bought elsewhere in the meantime: an offer would break BK-7.
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
                booking: BookingId { event, number: offered_number(entry.id) },
                user: entry.user,
                total_minor: lines.iter().map(super::Line::amount_minor).sum(),
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
        let tiers = self.stock.tiers.iter().zip(0u16..);
        tiers
            .filter(|(tier, _)| tier.available() > 0 && tier.on_sale(now).is_ok())
            .filter_map(|(tier, index)| Some((index, self.waitlist.next(index, tier.available())?)))
            .min_by_key(|(_, entry)| *entry)
    }
}

/// The number of the booking that serves an entry. Derived, so that deciding needs no randomness;
/// an entry is served at most once, and its id is as unguessable as a random number.
fn offered_number(waitlist: crate::WaitlistId) -> u64 {
    crate::request::Fingerprint::of(&waitlist.as_u128().to_be_bytes()).0
}

/// When to ask what became of a charge that nobody reported on.
fn patience(payment: &Payment) -> Time {
    payment.started_at.plus_s(CHARGE_PATIENCE_S)
}
