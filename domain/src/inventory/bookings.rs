//! Bookings and payments, kept small: a stadium's worth fits in memory.

use std::collections::{BTreeSet, HashMap};

use super::PaymentFailure;
use super::chunks::Chunks;
use super::holders::MadeUpFor;
use super::places::Places;
use super::uniform::ByUniform;
use crate::{PaymentId, Request, Time, UserId};

/// Where a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookingStatus {
    /// Places are out of sale until the deadline.
    Held,
    /// Paid; has tickets.
    Confirmed,
    /// Given back by the buyer or with the event.
    Cancelled,
    /// The hold died at its deadline.
    Expired,
}

/// The index of nothing.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub(super) user: UserId,
    pub(super) number: u64,
    pub(super) expires_at: Time,
    pub(super) total_minor: i64,
    pub(super) places: Places,
    /// Index of the entry in the waitlist whose offer it is, or [`NONE`].
    pub(super) waitlist: u32,
    /// Index of its last payment, or [`NONE`].
    pub(super) payment: u32,
    /// Revision of its last fact.
    pub(super) told: u32,
    /// What it makes up for since it was confirmed.
    pub(super) made_up: MadeUpFor,
    pub(super) status: BookingStatus,
}

impl Booking {
    /// Whether it has places.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.status, BookingStatus::Held | BookingStatus::Confirmed)
    }
}

/// How far a payment got (PM-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStage {
    /// The provider was or is being asked.
    Started,
    /// It brought no money.
    Failed(PaymentFailure),
    /// The provider has the money.
    Captured,
    /// This much, in minor units, is owed back.
    RefundOwed(i64),
    /// What was owed was paid back.
    Refunded,
}

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) id: PaymentId,
    pub(super) booking: u32,
    pub(super) amount_minor: i64,
    pub(super) started_at: Time,
    pub(super) stage: PaymentStage,
    /// Index of the booking's payment before this one, or [`NONE`].
    pub(super) previous: u32,
    /// The key to answer under once it is confirmed. Kept while the provider is being asked.
    pub(super) request: Option<Box<Request>>,
}

#[derive(Debug, Default)]
pub(super) struct Bookings {
    list: Chunks<Booking>,
    /// Numbers are random.
    by_number: HashMap<u64, u32, ByUniform>,
    payments: Chunks<Payment>,
    /// Payments the provider is being asked about, in the order they were started.
    pub(super) asked: BTreeSet<u32>,
    /// Payments of which something is owed back.
    pub(super) owed: BTreeSet<u32>,
    /// For each fact of the inventory, the revision of the same booking's fact before, or [`NONE`].
    told_before: Chunks<u32>,
}

impl Bookings {
    pub(super) fn add(&mut self, booking: Booking) -> u32 {
        let index = u32::try_from(self.list.len()).unwrap_or(NONE);
        self.by_number.insert(booking.number, index);
        self.list.push(booking);
        index
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn find(&self, number: u64) -> Option<u32> {
        self.by_number.get(&number).copied()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Booking> {
        self.list.get(index)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Booking> {
        self.list.get_mut(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Booking> {
        self.list.iter()
    }

    pub(super) fn start_payment(&mut self, mut payment: Payment) {
        let index = u32::try_from(self.payments.len()).unwrap_or(NONE);
        if let Some(booking) = self.get_mut(payment.booking) {
            payment.previous = std::mem::replace(&mut booking.payment, index);
        }
        self.payments.push(payment);
        self.asked.insert(index);
    }

    pub(super) fn payment(&self, index: u32) -> Option<&Payment> {
        self.payments.get(index)
    }

    /// The last payment of a booking.
    pub(super) fn payment_of(&self, booking: &Booking) -> Option<&Payment> {
        self.payment(booking.payment)
    }

    /// Index of a booking's payment `id`, which need not be its last.
    pub(super) fn find_payment(&self, booking: &Booking, id: PaymentId) -> Option<u32> {
        let mut index = booking.payment;
        while let Some(payment) = self.payment(index) {
            if payment.id == id {
                return Some(index);
            }
            index = payment.previous;
        }
        None
    }

    /// Moves a booking's payment `id` on to `stage`.
    pub(super) fn move_payment(&mut self, booking: u32, id: PaymentId, stage: PaymentStage) {
        let found = self.get(booking).and_then(|booking| self.find_payment(booking, id));
        let Some(index) = found else { return };
        let Some(payment) = self.payments.get_mut(index) else { return };
        payment.stage = stage;
        payment.request = None;
        self.asked.remove(&index);
        self.owed.remove(&index);
        if matches!(stage, PaymentStage::RefundOwed(_)) {
            self.owed.insert(index);
        }
    }

    /// Notes that the fact at the next revision is about `booking`, if it is about one.
    pub(super) fn tell(&mut self, booking: Option<u32>) {
        let revision = narrow(self.told_before.len() as u64);
        let before = booking
            .and_then(|booking| self.get_mut(booking))
            .map_or(NONE, |booking| std::mem::replace(&mut booking.told, revision));
        self.told_before.push(before);
    }

    /// Takes the last so many facts back.
    pub(super) fn untell(&mut self, facts: u64) {
        for _ in 0..facts {
            self.told_before.pop();
        }
    }

    /// Takes back the last booking and its index.
    pub(super) fn take_last(&mut self) -> Option<(u32, Booking)> {
        let booking = self.list.pop()?;
        Some((self.by_number.remove(&booking.number)?, booking))
    }

    /// Puts a booking in the place of another, which is returned.
    pub(super) fn replace(&mut self, index: u32, booking: Booking) -> Option<Booking> {
        self.get_mut(index).map(|now| std::mem::replace(now, booking))
    }

    /// Takes back the last payment.
    pub(super) fn take_last_payment(&mut self) {
        if self.payments.pop().is_some() {
            let index = narrow(self.payments.len() as u64);
            self.asked.remove(&index);
            self.owed.remove(&index);
        }
    }

    /// Puts a payment back as it was.
    pub(super) fn put_payment(&mut self, index: u32, payment: Payment) {
        let is_in = |stage: bool, set: &mut BTreeSet<u32>| match stage {
            true => set.insert(index),
            false => set.remove(&index),
        };
        is_in(payment.stage == PaymentStage::Started, &mut self.asked);
        is_in(matches!(payment.stage, PaymentStage::RefundOwed(_)), &mut self.owed);
        if let Some(now) = self.payments.get_mut(index) {
            *now = payment;
        }
    }

    /// Revisions of the facts that tell a booking's story until now, in order.
    pub(super) fn story(&self, booking: &Booking) -> Vec<u64> {
        let before = |revision: &u32| self.told_before.get(*revision).copied();
        let mut story: Vec<u64> =
            std::iter::successors(Some(booking.told).filter(|it| *it != NONE), |revision| {
                before(revision).filter(|it| *it != NONE)
            })
            .map(u64::from)
            .collect();
        story.reverse();
        story
    }
}

/// A revision in 32 bits: four thousand million facts are more than one event can have.
pub(super) fn narrow(revision: u64) -> u32 {
    u32::try_from(revision).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_is_small() {
        assert!(size_of::<Booking>() <= 80, "{}", size_of::<Booking>());
        assert!(size_of::<Payment>() <= 64, "{}", size_of::<Payment>());
    }
}
