//! Bookings, payments and remembered requests, kept small: a stadium's worth fits in memory.

use std::collections::{BTreeSet, HashMap};

use super::PaymentFailure;
use super::stock::Place;
use crate::request::Fingerprint;
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

pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Booking {
    pub(super) user: UserId,
    pub(super) number: u64,
    pub(super) expires_at: Time,
    pub(super) total_minor: i64,
    pub(super) places: Box<[Place]>,
    /// Index of the entry in the waitlist whose offer it is, or [`NONE`].
    pub(super) waitlist: u32,
    /// Index of its last payment, or [`NONE`].
    pub(super) payment: u32,
    /// Revision of the fact that made it.
    pub(super) made: u32,
    /// Revision of the last fact that ended it, or [`NONE`].
    pub(super) ended: u32,
    pub(super) status: BookingStatus,
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

#[derive(Debug)]
pub(super) struct Payment {
    pub(super) id: PaymentId,
    pub(super) booking: u32,
    pub(super) amount_minor: i64,
    pub(super) started_at: Time,
    pub(super) stage: PaymentStage,
    /// Index of the booking's payment before this one, or [`NONE`].
    pub(super) previous: u32,
    /// Revision of the fact that started it.
    pub(super) started: u32,
    /// Revision of the fact that settled it first, or [`NONE`].
    pub(super) settled: u32,
    /// The key to answer under once it is confirmed. Kept while the provider is being asked.
    pub(super) request: Option<Box<Request>>,
}

#[derive(Debug, Default)]
pub(super) struct Bookings {
    list: Vec<Booking>,
    by_number: HashMap<u64, u32>,
    payments: Vec<Payment>,
    /// Payments the provider is being asked about, in the order they were started.
    pub(super) asked: BTreeSet<u32>,
    /// Payments of which something is owed back.
    pub(super) owed: BTreeSet<u32>,
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
        self.list.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Booking> {
        self.list.get_mut(index as usize)
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
        self.payments.get(index as usize)
    }

    /// The last payment of a booking.
    pub(super) fn payment_of(&self, booking: &Booking) -> Option<&Payment> {
        self.payment(booking.payment)
    }

    /// Revisions of the facts that tell a booking's story until now, in order.
    pub(super) fn story(&self, booking: &Booking) -> Vec<u64> {
        let mut revisions = vec![booking.made, booking.ended];
        let mut payment = self.payment_of(booking);
        if booking.status == BookingStatus::Confirmed && booking.ended != NONE {
            // It had died: `Reinstated` stands right before `Confirmed`.
            revisions.extend(payment.and_then(|last| last.settled.checked_sub(1)));
        }
        while let Some(found) = payment {
            revisions.extend([found.started, found.settled]);
            payment = self.payment(found.previous);
        }
        revisions.retain(|revision| *revision != NONE);
        revisions.sort_unstable();
        revisions.into_iter().map(u64::from).collect()
    }

    /// Moves a booking's payment `id` on to `stage`, by the fact at `revision`.
    pub(super) fn move_payment(
        &mut self,
        booking: u32,
        id: PaymentId,
        stage: PaymentStage,
        revision: u64,
    ) {
        let Some(index) = self.get(booking).map(|booking| booking.payment) else { return };
        let Some(payment) = self.payments.get_mut(index as usize).filter(|it| it.id == id) else {
            return;
        };
        payment.stage = stage;
        payment.request = None;
        if payment.settled == NONE {
            payment.settled = narrow(revision);
        }
        self.asked.remove(&index);
        self.owed.remove(&index);
        if matches!(stage, PaymentStage::RefundOwed(_)) {
            self.owed.insert(index);
        }
    }
}

/// How long a key is remembered at least (BK-6).
const REMEMBERED_MS: u64 = 24 * 3_600_000;

/// What is remembered of a request: 32 bits of its fingerprint, and where its fact is.
#[derive(Debug, Clone, Copy)]
struct Seen {
    body: u32,
    revision: u32,
}

/// Requests carried out within the last 24 hours, at most 48 (BK-6). Two generations, so that
/// forgetting costs nothing.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// By the two halves of [`Request::identity`]: a `u128` would be padded.
    current: HashMap<[u64; 2], Seen>,
    previous: HashMap<[u64; 2], Seen>,
    since: Time,
}

/// Whether a request was carried out before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seek {
    New,
    /// At this revision of the stream.
    Done(u64),
    /// Its key was used for something else.
    Reused,
}

impl Requests {
    pub(super) fn remember(&mut self, at: Time, revision: u64, user: UserId, request: &Request) {
        if at.ms_since(self.since) >= REMEMBERED_MS {
            self.previous = std::mem::take(&mut self.current);
            self.since = at;
        }
        let revision = narrow(revision);
        let seen = Seen { body: short(request.body), revision };
        self.current.insert(halves(request.identity(user)), seen);
    }

    pub(super) fn seek(&self, user: UserId, request: Option<&Request>) -> Seek {
        let Some(request) = request else { return Seek::New };
        let key = halves(request.identity(user));
        match self.current.get(&key).or_else(|| self.previous.get(&key)) {
            None => Seek::New,
            Some(seen) if seen.body == short(request.body) => Seek::Done(u64::from(seen.revision)),
            Some(_) => Seek::Reused,
        }
    }
}

/// A revision in 32 bits: four thousand million facts are more than one event can have.
pub(super) fn narrow(revision: u64) -> u32 {
    u32::try_from(revision).unwrap_or(NONE)
}

fn short(Fingerprint(bits): Fingerprint) -> u32 {
    (bits >> 32) as u32
}

fn halves(identity: u128) -> [u64; 2] {
    [(identity >> 64) as u64, identity as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId::from_u128(1);

    #[test]
    fn a_request_is_remembered_for_a_day_and_forgotten_later() {
        let mut requests = Requests::default();
        let request = Request::new("a", b"x").unwrap();
        let day = |days: u64| Time::from_ms(1).plus_ms(days * REMEMBERED_MS);
        requests.remember(day(10), 7, USER, &request);
        assert_eq!(requests.seek(USER, Some(&request)), Seek::Done(7));
        let other = Request::new("b", b"y").unwrap();
        requests.remember(day(11), 8, USER, &other);
        assert_eq!(requests.seek(USER, Some(&request)), Seek::Done(7));
        requests.remember(day(12), 9, USER, &other);
        assert_eq!(requests.seek(USER, Some(&request)), Seek::New);
        let changed = Request::new("b", b"z").unwrap();
        assert_eq!(requests.seek(USER, Some(&changed)), Seek::Reused);
        assert_eq!(requests.seek(USER, None), Seek::New);
    }

    #[test]
    fn a_booking_is_small() {
        assert!(size_of::<Booking>() <= 80, "{}", size_of::<Booking>());
        assert!(size_of::<Payment>() <= 80, "{}", size_of::<Payment>());
        assert_eq!(size_of::<([u64; 2], Seen)>(), 24);
        assert_eq!(size_of::<Place>(), 16);
    }
}
