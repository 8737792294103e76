//! Facts that are not durable yet, and how to take them back.
//!
//! Commands are decided on top of each other before their facts are appended. When another process
//! was first, none of them happened: the state goes back to what the log had, takes in what the
//! other wrote, and decides again. Reading a long stream anew instead would let a process that has
//! a competitor never catch up.

use std::collections::HashMap;

use super::bookings::{Booking, BookingStatus, Payment};
use super::holders::Holder;
use super::requests::{Key, Seen};
use super::waitlist::Entry;
use super::{Fact, Inventory, Tickets};
use crate::{PaymentId, Time, UserId};

/// What was there before the facts of a transaction.
#[derive(Debug, Default)]
pub(super) struct Undo {
    mode: Mode,
    facts: u64,
    clock: Time,
    closing: usize,
    /// In the order of change.
    changes: Vec<Before>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// What is taken in is durable.
    #[default]
    Durable,
    OnTrial,
    /// Something changed that cannot be taken back.
    Final,
}

/// Something that a fact was about to change.
#[derive(Debug)]
enum Before {
    /// The next booking did not exist.
    NoBooking,
    Booking(u32, Booking),
    /// The next payment did not exist.
    NoPayment,
    Payment(u32, Payment),
    /// The next entry of the waitlist did not exist.
    NoEntry,
    Entry(u32, Entry),
    User(UserId, Option<Tickets>, Option<Holder>),
    Request(Key, Option<Seen>),
}

impl Inventory {
    /// From here on facts can be taken back, until [`Inventory::commit`].
    pub fn begin(&mut self) {
        // The list is used again: no allocation for each batch.
        let mut changes = std::mem::take(&mut self.undo.changes);
        changes.clear();
        let (facts, clock, closing) = (self.facts, self.clock, self.closing);
        self.undo = Undo { mode: Mode::OnTrial, facts, clock, closing, changes };
    }

    /// What was taken in since [`Inventory::begin`] is durable.
    pub fn commit(&mut self) {
        self.undo.mode = Mode::Durable;
    }

    /// Takes back all facts since [`Inventory::begin`]; whether that was possible. If it was not,
    /// as after a change of plan, this state has to be thrown away.
    pub fn roll_back(&mut self) -> bool {
        if std::mem::take(&mut self.undo.mode) != Mode::OnTrial {
            return false;
        }
        while let Some(before) = self.undo.changes.pop() {
            self.restore(before);
        }
        self.bookings.untell(self.facts - self.undo.facts);
        (self.facts, self.clock) = (self.undo.facts, self.undo.clock);
        self.closing = self.undo.closing;
        true
    }

    /// Notes what `fact`, which is about the booking at `index`, will change.
    pub(super) fn note(&mut self, at: Time, index: Option<u32>, fact: &Fact) {
        if self.undo.mode != Mode::OnTrial {
            return;
        }
        let mut changes = std::mem::take(&mut self.undo.changes);
        let mut can_go_back = self.note_parts(&mut changes, index, fact);
        if let Some((user, request)) = self.request_of(index, fact) {
            let (key, seen) = self.requests.image(user, request);
            changes.push(Before::Request(key, seen));
            can_go_back &= !self.requests.forgets(at);
        }
        self.undo.changes = changes;
        if !can_go_back {
            self.undo.mode = Mode::Final;
        }
    }

    /// Whether what the fact changes can be taken back.
    fn note_parts(&self, changes: &mut Vec<Before>, index: Option<u32>, fact: &Fact) -> bool {
        let user = |user: UserId| {
            let (tickets, holder) = (self.per_user.get(&user), self.holders.get(&user));
            Before::User(user, tickets.copied(), holder.copied())
        };
        let waiting =
            |user| self.waitlist.active(user).map(|(at, it)| Before::Entry(at, it.clone()));
        match fact {
            Fact::InventoryOpened(_) | Fact::InventoryRevised(_) | Fact::InventoryClosed(_) => {
                return false;
            }
            Fact::Reserved(_) | Fact::Offered(_) if index.is_some() => {}
            Fact::Reserved(fact) => changes.extend([Before::NoBooking, user(fact.user)]),
            Fact::Offered(fact) => {
                changes.extend([Before::NoBooking, user(fact.user)]);
                changes.extend(waiting(fact.user));
            }
            Fact::WaitlistJoined(_) => changes.push(Before::NoEntry),
            Fact::WaitlistLeft(fact) => changes.extend(waiting(fact.user)),
            Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::Confirmed(_)
            | Fact::Reinstated(_)
            | Fact::Expired(_)
            | Fact::Cancelled(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_) => {
                let Some(index) = index else { return true };
                let Some(booking) = self.bookings.get(index) else { return true };
                changes.extend([Before::Booking(index, booking.clone()), user(booking.user)]);
                let entry = self.waitlist.entry(booking.waitlist);
                changes.extend(entry.map(|entry| Before::Entry(booking.waitlist, entry.clone())));
                changes.extend(self.payment_before(booking, fact));
            }
        }
        true
    }

    fn payment_before(&self, booking: &Booking, fact: &Fact) -> Option<Before> {
        if let Fact::PaymentStarted(_) = fact {
            return Some(Before::NoPayment);
        }
        let index = self.bookings.find_payment(booking, payment_of(fact)?)?;
        self.bookings.payment(index).map(|payment| Before::Payment(index, payment.clone()))
    }

    fn restore(&mut self, before: Before) {
        match before {
            Before::NoBooking => {
                if let Some((index, booking)) = self.bookings.take_last() {
                    self.give_up_places(index, &booking);
                }
            }
            Before::Booking(index, booking) => {
                if let Some(now) = self.bookings.replace(index, booking.clone()) {
                    self.give_up_places(index, &now);
                    self.take_places(index, &booking);
                }
            }
            Before::NoPayment => self.bookings.take_last_payment(),
            Before::Payment(index, payment) => self.bookings.put_payment(index, payment),
            Before::NoEntry => self.waitlist.take_last(),
            Before::Entry(index, entry) => self.waitlist.put(index, entry),
            Before::User(user, tickets, holder) => {
                put_back(&mut self.per_user, user, tickets);
                put_back(&mut self.holders, user, holder);
            }
            Before::Request(key, seen) => self.requests.put(key, seen),
        }
    }

    fn take_places(&mut self, index: u32, booking: &Booking) {
        if booking.is_live() {
            self.stock.hold(&booking.places);
        }
        match booking.status {
            BookingStatus::Held => {
                self.deadlines.insert((booking.expires_at, index));
            }
            BookingStatus::Confirmed => self.stock.sell(&booking.places),
            BookingStatus::Cancelled | BookingStatus::Expired => {}
        }
    }

    fn give_up_places(&mut self, index: u32, booking: &Booking) {
        match booking.status {
            BookingStatus::Held => {
                self.stock.release_held(&booking.places);
                self.deadlines.remove(&(booking.expires_at, index));
            }
            BookingStatus::Confirmed => self.stock.release_sold(&booking.places),
            BookingStatus::Cancelled | BookingStatus::Expired => {}
        }
    }
}

fn put_back<T>(all: &mut HashMap<UserId, T>, user: UserId, before: Option<T>) {
    match before {
        Some(before) => all.insert(user, before),
        None => all.remove(&user),
    };
}

/// The payment that the fact moves on.
fn payment_of(fact: &Fact) -> Option<PaymentId> {
    match fact {
        Fact::PaymentFailed(fact) => Some(fact.payment),
        Fact::Confirmed(fact) => fact.payment,
        Fact::Cancelled(fact) => fact.payment,
        Fact::RefundDue(fact) => Some(fact.payment),
        Fact::Refunded(fact) => Some(fact.payment),
        _ => None,
    }
}
