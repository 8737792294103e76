//! Paying for a booking: a workflow whose next step is a pure function of the state (PM-3).

use std::collections::BTreeSet;

use super::bookings::{Booking, BookingStatus, Payment, PaymentStage};
use super::decide::Decided;
use super::places::Places;
use super::{
    Confirmed, Inventory, PaymentFailed, PaymentResult, PaymentStarted, RefundDue, Refunded,
    Refusal, Reinstated, tickets_of,
};
use crate::{BookingId, Currency, PaymentId, Request, Time, UserId};

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
        /// When the charge was about to be asked for.
        started_at: Time,
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
        currency: Currency,
    },
}

impl Inventory {
    /// What is to be done now for the payments that have not come to their end. Charges under way
    /// are left alone for a while.
    pub fn payment_steps(&self, now: Time) -> Vec<PaymentStep> {
        let id = |payment: &Payment| Some(self.booking_id(self.bookings.get(payment.booking)?));
        let asked = self.payments(&self.bookings.asked);
        let asked = asked.take_while(|payment| is_asked_after(payment, now)).filter_map(|it| {
            let (booking, payment, started_at) = (id(it)?, it.id, it.started_at);
            Some(PaymentStep::AskProvider { booking, payment, started_at })
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
        let mut asked = self.payments(&self.bookings.asked);
        asked.find(|payment| !is_asked_after(payment, now)).map(patience)
    }

    fn payments<'a>(&'a self, indexes: &'a BTreeSet<u32>) -> impl Iterator<Item = &'a Payment> {
        indexes.iter().filter_map(|index| self.bookings.payment(*index))
    }

    pub(super) fn start_payment(
        &self,
        id: BookingId,
        user: UserId,
        payment: PaymentId,
        request: Option<&Request>,
        now: Time,
    ) -> Decided {
        if self.done_before(user, request)? {
            return Ok(vec![]);
        }
        let (_, booking) = self.own(id, Some(user))?;
        match booking.status {
            BookingStatus::Held => {}
            BookingStatus::Confirmed => return Err(Refusal::AlreadyConfirmed),
            BookingStatus::Cancelled => return Err(Refusal::AlreadyCancelled),
            BookingStatus::Expired => {
                return Err(Refusal::HoldExpired { expired_at: booking.expires_at });
            }
        }
        if self.is_being_paid(booking) {
            return Err(Refusal::PaymentInProgress);
        }
        self.takes_place(now)?;
        if booking.total_minor == 0 {
            let confirmed = self.confirm(id, booking, &booking.places, None, request.cloned());
            return Ok(vec![confirmed.into()]);
        }
        let (amount_minor, currency) = (booking.total_minor, self.currency());
        let request = request.cloned();
        let started = PaymentStarted { booking: id, payment, amount_minor, currency, request };
        Ok(vec![started.into()])
    }

    pub(super) fn is_being_paid(&self, booking: &Booking) -> bool {
        let last = self.bookings.payment_of(booking);
        last.is_some_and(|payment| payment.stage == PaymentStage::Started)
    }

    fn confirm(
        &self,
        id: BookingId,
        booking: &Booking,
        places: &Places,
        payment: Option<PaymentId>,
        request: Option<Request>,
    ) -> Confirmed {
        let lines = self.stock.lines(places);
        Confirmed {
            booking: id,
            user: booking.user,
            payment,
            tickets: tickets_of(id, &lines),
            lines,
            total_minor: booking.total_minor,
            currency: self.currency(),
            waitlist: self.waitlist.entry(booking.waitlist).map(|entry| entry.id),
            request,
        }
    }

    /// A charge is confirmed, or re-reserved from free stock, or owed back; never lost (PM-3). That
    /// also holds for money that comes after the provider said it would not.
    pub(super) fn settle_payment(
        &self,
        id: BookingId,
        payment: PaymentId,
        result: PaymentResult,
        now: Time,
    ) -> Decided {
        let (_, booking) = self.own(id, None)?;
        let index = self.bookings.find_payment(booking, payment);
        let Some(asked) = index.and_then(|index| self.bookings.payment(index)) else {
            return Ok(vec![]);
        };
        match (asked.stage, result) {
            (PaymentStage::Started, PaymentResult::Failed(reason)) => {
                Ok(vec![PaymentFailed { booking: id, payment, reason }.into()])
            }
            (PaymentStage::Started | PaymentStage::Failed(_), PaymentResult::Succeeded) => {
                let is_last = index == Some(booking.payment);
                Ok(self.money_came(id, booking, asked, is_last, now))
            }
            _ => Ok(vec![]),
        }
    }

    /// Only the last payment can pay a booking: an earlier one was given up when it started.
    fn money_came(
        &self,
        id: BookingId,
        booking: &Booking,
        paid: &Payment,
        is_last: bool,
        now: Time,
    ) -> Vec<super::Fact> {
        let request = paid.request.as_deref().cloned();
        let confirmed = || self.confirm(id, booking, &booking.places, Some(paid.id), request);
        match booking.status {
            BookingStatus::Held if is_last => vec![confirmed().into()],
            BookingStatus::Expired if is_last && self.can_reinstate(booking, now) => {
                let confirmed = confirmed();
                let (user, lines) = (booking.user, confirmed.lines.clone());
                vec![Reinstated { booking: id, user, lines }.into(), confirmed.into()]
            }
            _ => vec![
                RefundDue {
                    booking: id,
                    user: booking.user,
                    payment: paid.id,
                    amount_minor: paid.amount_minor,
                    currency: self.currency(),
                }
                .into(),
            ],
        }
    }

    /// Whether the very same places are free, nobody on the waitlist being owed them (settled),
    /// and the event is still on sale.
    fn can_reinstate(&self, booking: &Booking, now: Time) -> bool {
        !self.over_limit(booking.user, booking.places.tickets())
            && self.on_sale(now).is_ok()
            && self.stock.all_free(&booking.places)
    }

    pub(super) fn settle_refund(&self, id: BookingId, payment: PaymentId) -> Decided {
        let (_, booking) = self.own(id, None)?;
        let index = self.bookings.find_payment(booking, payment);
        let owed = index.and_then(|index| self.bookings.payment(index)).map(|it| it.stage);
        match owed {
            Some(PaymentStage::RefundOwed(amount_minor)) => {
                Ok(vec![Refunded { booking: id, payment, amount_minor }.into()])
            }
            _ => Ok(vec![]),
        }
    }
}

/// Whether to ask what became of it. Of one that was started at a time that has not come yet, because
/// the clock was ahead then, nobody knows for how long it has been under way; nor may it keep those
/// that were started after it waiting until that time.
fn is_asked_after(payment: &Payment, now: Time) -> bool {
    patience(payment) <= now || now.plus_s(CHARGE_PATIENCE_S) < payment.started_at
}

/// When to ask what became of a charge that nobody reported on.
fn patience(payment: &Payment) -> Time {
    payment.started_at.plus_s(CHARGE_PATIENCE_S)
}
