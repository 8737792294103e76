//! The rules as one would keep them on paper: lists, looked through from the start each time.
//!
//! The shop does not decide what happens. It says whether a command may be accepted, and whether
//! what the inventory says happened was right at that moment.

use std::collections::BTreeMap;

use domain::event::{Stock, Tier};
use domain::inventory::{
    Cancelled, CancelledBy, Confirmed, Fact, InventoryOpened, InventoryRevised, Line, Offered,
    Plan, Reserved,
};
use domain::{BookingId, PaymentId, TierId, Time, UserId, WaitlistId};

use super::patience::Lapses;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Held,
    Sold,
    Expired,
    Cancelled,
}

#[derive(Debug)]
pub(super) struct Booking {
    pub(super) id: BookingId,
    pub(super) user: UserId,
    pub(super) lines: Vec<Line>,
    pub(super) state: State,
    pub(super) until: Time,
    total_minor: i64,
    /// Payments in the order they were started.
    pub(super) payments: Vec<PaymentId>,
    offer: Option<WaitlistId>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    id: WaitlistId,
    pub(super) user: UserId,
    tier: Option<TierId>,
    quantity: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Asked,
    Failed,
    Done,
}

/// Where the money of a payment is. All that was paid is kept, owed, or was given back.
#[derive(Debug)]
pub(super) struct Money {
    pub(super) booking: BookingId,
    pub(super) amount_minor: i64,
    pub(super) stage: Stage,
    pub(super) started: Time,
    pub(super) paid: i64,
    pub(super) kept: i64,
    pub(super) owed: i64,
    pub(super) refunded: i64,
}

#[derive(Debug, Default)]
pub(super) struct Shop {
    pub(super) plan: Option<Plan>,
    pub(super) version: u64,
    pub(super) closed: bool,
    pub(super) bookings: Vec<Booking>,
    pub(super) line: Vec<Waiting>,
    pub(super) money: BTreeMap<PaymentId, Money>,
    pub(super) lapses: Lapses,
}

fn tickets(lines: &[Line]) -> u32 {
    lines.iter().map(|line| line.quantity).sum()
}

// What there is

impl Shop {
    pub(super) fn plan(&self) -> &Plan {
        self.plan.as_ref().expect("open")
    }

    pub(super) fn tier(&self, id: TierId) -> Option<&Tier> {
        self.plan().tiers.iter().find(|tier| tier.tier == id)
    }

    fn live(&self) -> impl Iterator<Item = &Booking> {
        self.bookings.iter().filter(|it| matches!(it.state, State::Held | State::Sold))
    }

    fn taken(&self, tier: TierId) -> u32 {
        let lines = self.live().flat_map(|booking| &booking.lines);
        lines.filter(|line| line.tier == tier).map(|line| line.quantity).sum()
    }

    pub(super) fn free(&self, tier: &Tier) -> u32 {
        tier.stock.capacity() - self.taken(tier.tier)
    }

    /// All that is left of a tier, but no more than one booking can have.
    pub(super) fn rest(&self, tier: TierId) -> u32 {
        let free = self.tier(tier).map_or(0, |tier| self.free(tier));
        free.min(self.plan().max_per_booking)
    }

    pub(super) fn is_taken(&self, seat: &str) -> bool {
        self.live().any(|it| it.lines.iter().any(|line| line.seat.as_deref() == Some(seat)))
    }

    /// The tier that sells a seat.
    pub(super) fn seller(&self, seat: &str) -> Option<&Tier> {
        self.plan().tiers.iter().find(|tier| match &tier.stock {
            Stock::Counted { .. } => false,
            Stock::Seated { section, rows } => rows.iter().any(|row| {
                (0..row.seats.len()).any(|place| {
                    format!("{section}-{}-{}", row.label, row.seats.label(place)) == seat
                })
            }),
        })
    }

    /// Whether what the person bought, whatever becomes of their holds, leaves no room for more.
    fn bought_too_many(&self, user: UserId, more: u32) -> bool {
        let sold = self.bookings.iter().filter(|it| it.user == user && it.state == State::Sold);
        let bought: u32 = sold.map(|it| tickets(&it.lines)).sum();
        self.plan().max_per_user.is_some_and(|limit| bought + more > limit)
    }

    /// Who lost their place in line without asking could never have been served.
    pub(super) fn check_dropped(&self, fact: &Fact) {
        let Fact::WaitlistLeft(fact) = fact else { return };
        let entry = self.line.iter().find(|entry| entry.id == fact.waitlist).expect("waits");
        assert!(self.bought_too_many(entry.user, entry.quantity), "dropped while a hold may die");
    }

    fn has(&self, user: UserId) -> u32 {
        self.live().filter(|it| it.user == user).map(|it| tickets(&it.lines)).sum()
    }

    pub(super) fn user_may_have(&self, user: UserId, more: u32) -> bool {
        self.plan().max_per_user.is_none_or(|limit| self.has(user) + more <= limit)
    }

    pub(super) fn takes_place(&self, now: Time) -> bool {
        self.plan.as_ref().is_some_and(|plan| !self.closed && now < plan.ends_at)
    }

    pub(super) fn on_sale(&self, now: Time) -> bool {
        self.takes_place(now) && now < self.plan().starts_at
    }

    /// So many of a tier may be in one booking now.
    pub(super) fn sells(&self, tier: &Tier, quantity: u32, now: Time) -> bool {
        let opened = tier.sale_starts_at.is_none_or(|opens| opens <= now);
        let closed = tier.sale_ends_at.is_some_and(|ends| ends <= now);
        let most = self.plan().max_per_booking;
        opened && !closed && quantity <= tier.max_per_booking.unwrap_or(most).min(most)
    }

    pub(super) fn booking(&self, id: BookingId) -> Option<&Booking> {
        self.bookings.iter().find(|booking| booking.id == id)
    }

    fn booking_mut(&mut self, id: BookingId) -> &mut Booking {
        self.bookings.iter_mut().find(|booking| booking.id == id).expect("a booking")
    }

    pub(super) fn is_being_paid(&self, booking: &Booking) -> bool {
        booking.payments.last().is_some_and(|last| self.money[last].stage == Stage::Asked)
    }

    fn places_are_free(&self, lines: &[Line]) -> bool {
        lines.iter().all(|line| match &line.seat {
            Some(seat) => !self.is_taken(seat),
            None => self.tier(line.tier).is_some_and(|tier| line.quantity <= self.free(tier)),
        })
    }

    /// The first in line who can be served by some tier, and the first such tier. Whose own holds
    /// are in the way is passed over.
    pub(super) fn first_served(&self, now: Time) -> Option<(usize, TierId)> {
        if !self.on_sale(now) {
            return None;
        }
        let tier = |entry: &Waiting| {
            let mut tiers = self.plan().tiers.iter();
            tiers.find(|tier| {
                entry.tier.is_none_or(|wanted| wanted == tier.tier)
                    && self.sells(tier, entry.quantity, now)
                    && entry.quantity <= self.free(tier)
            })
        };
        let ready = |entry: &Waiting| {
            let (user, quantity) = (entry.user, entry.quantity);
            self.user_may_have(user, quantity) || self.bought_too_many(user, quantity)
        };
        let mut line = self.line.iter().enumerate().filter(|(_, entry)| ready(entry));
        line.find_map(|(at, entry)| Some((at, tier(entry)?.tier)))
    }

    /// An offer that somebody can still take.
    pub(super) fn offer_of(&self, user: UserId) -> Option<&Booking> {
        let is_open = |it: &&Booking| it.offer.is_some() && it.state == State::Held;
        self.bookings.iter().filter(is_open).find(|it| it.user == user)
    }

    /// The share of what was paid that is given back at `now`.
    fn percent(&self, now: Time) -> i64 {
        let plan = self.plan();
        let mut rules = plan.refund_policy.iter();
        let rule = rules.find(|rule| now.plus_s(rule.until_s_before_start) <= plan.starts_at);
        rule.filter(|_| now < plan.starts_at).map_or(0, |rule| i64::from(rule.percent))
    }
}

// What was right to happen

impl Shop {
    /// Takes in a fact, and fails if it was wrong at that moment.
    pub(super) fn take_in(&mut self, fact: &Fact, now: Time) {
        self.lapses.take_in(fact, now);
        match fact {
            Fact::InventoryOpened(fact) => {
                assert!(self.plan.is_none());
                (self.plan, self.version) = (Some(fact.plan.clone()), fact.event_version);
            }
            Fact::InventoryRevised(fact) => {
                for tier in &fact.plan.tiers {
                    assert!(self.taken(tier.tier) <= tier.stock.capacity(), "unsold");
                }
                (self.plan, self.version) = (Some(fact.plan.clone()), fact.event_version);
            }
            Fact::InventoryClosed(fact) => {
                (self.closed, self.version) = (true, fact.event_version);
                self.line.clear();
            }
            Fact::Reserved(fact) => self.reserved(fact, now),
            Fact::Offered(fact) => self.offered(fact, now),
            Fact::Expired(fact) => {
                let booking = self.booking_mut(fact.booking);
                assert!(booking.state == State::Held && booking.until <= now);
                assert_eq!((&booking.lines, booking.offer), (&fact.lines, fact.waitlist));
                booking.state = State::Expired;
            }
            Fact::Cancelled(fact) => self.cancelled(fact, now),
            Fact::WaitlistJoined(fact) => {
                let (id, user) = (fact.waitlist, fact.user);
                self.line.push(Waiting { id, user, tier: fact.tier, quantity: fact.quantity });
                assert_eq!(fact.position as usize, self.line.len());
            }
            Fact::WaitlistLeft(fact) => {
                let at = self.line.iter().position(|entry| entry.id == fact.waitlist);
                let entry = self.line.remove(at.expect("waits"));
                assert_eq!(entry.user, fact.user);
            }
            Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::Confirmed(_)
            | Fact::Reinstated(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_) => self.money_moved(fact, now),
        }
    }

    /// The plan is the wanted one, but no tier is below what was bought.
    pub(super) fn check_plan(&self, wanted: &Plan, fact: &Fact) {
        let (Fact::InventoryOpened(InventoryOpened { plan, .. })
        | Fact::InventoryRevised(InventoryRevised { plan, .. })) = fact
        else {
            panic!("{fact:?}");
        };
        let mut wanted = wanted.clone();
        for tier in &mut wanted.tiers {
            let taken = self.taken(tier.tier);
            if let Stock::Counted { capacity, .. } = &mut tier.stock {
                *capacity = taken.max(*capacity);
            }
        }
        assert_eq!(*plan, wanted);
    }

    fn money_moved(&mut self, fact: &Fact, now: Time) {
        match fact {
            Fact::PaymentStarted(fact) => {
                let (booking, amount_minor) = (fact.booking, fact.amount_minor);
                assert_eq!(amount_minor, self.booking(booking).expect("one").total_minor);
                let (stage, started) = (Stage::Asked, now);
                let (paid, kept, owed, refunded) = (0, 0, 0, 0);
                let money =
                    Money { booking, amount_minor, stage, started, paid, kept, owed, refunded };
                assert!(self.money.insert(fact.payment, money).is_none());
                self.booking_mut(booking).payments.push(fact.payment);
            }
            Fact::PaymentFailed(fact) => self.pay(fact.payment).stage = Stage::Failed,
            Fact::Confirmed(fact) => self.confirmed(fact),
            Fact::Reinstated(fact) => {
                let booking = self.booking(fact.booking).expect("one");
                assert!(self.on_sale(now) && booking.state == State::Expired);
                assert!(self.user_may_have(fact.user, tickets(&fact.lines)));
                assert!(booking.lines == fact.lines && self.places_are_free(&fact.lines));
                self.booking_mut(fact.booking).state = State::Held;
            }
            Fact::RefundDue(fact) => {
                let booking = self.booking(fact.booking).expect("one");
                let given_up = booking.payments.last() != Some(&fact.payment);
                let free = self.places_are_free(&booking.lines)
                    && self.user_may_have(booking.user, tickets(&booking.lines));
                let again = booking.state == State::Expired && self.on_sale(now) && free;
                let could = booking.state == State::Held || again;
                assert!(given_up || !could, "paid, and could have been given");
                let money = self.pay(fact.payment);
                assert_eq!(money.amount_minor, fact.amount_minor);
                (money.stage, money.owed) = (Stage::Done, fact.amount_minor);
            }
            Fact::Refunded(fact) => {
                let money = self.pay(fact.payment);
                assert_eq!(money.owed, fact.amount_minor);
                (money.owed, money.refunded) = (0, money.refunded + fact.amount_minor);
            }
            other => panic!("{other:?} moves no money"),
        }
    }

    fn pay(&mut self, payment: PaymentId) -> &mut Money {
        self.money.get_mut(&payment).expect("a payment")
    }

    fn hold(&mut self, id: BookingId, user: UserId, lines: &[Line], until: Time, total: i64) {
        assert!(self.booking(id).is_none() && !lines.is_empty());
        assert!(self.places_are_free(lines) && self.user_may_have(user, tickets(lines)));
        for line in lines {
            let tier = self.tier(line.tier).expect("a tier");
            assert_eq!(line.unit_price_minor, tier.price_minor);
            assert!(line.seat.is_none() || line.quantity == 1);
            let seller = line.seat.as_ref().map(|seat| self.seller(seat).expect("a seat").tier);
            assert!(seller.is_none_or(|seller| seller == line.tier));
        }
        let total_minor = lines.iter().map(|it| it.unit_price_minor * i64::from(it.quantity)).sum();
        assert_eq!(total, total_minor);
        let (lines, payments) = (lines.to_vec(), vec![]);
        let (state, offer) = (State::Held, None);
        self.bookings.push(Booking { id, user, lines, state, until, total_minor, payments, offer });
    }

    fn reserved(&mut self, fact: &Reserved, now: Time) {
        assert_eq!(fact.expires_at, now.plus_s(self.plan().hold_ttl_s.into()));
        self.hold(fact.booking, fact.user, &fact.lines, fact.expires_at, fact.total_minor);
    }

    fn offered(&mut self, fact: &Offered, now: Time) {
        let (at, tier) = self.first_served(now).expect("somebody to serve");
        let entry = self.line.remove(at);
        assert_eq!((entry.id, entry.user), (fact.waitlist, fact.user), "somebody was skipped");
        assert!(fact.lines.iter().all(|line| line.tier == tier));
        assert_eq!(tickets(&fact.lines), entry.quantity);
        assert_eq!(fact.expires_at, now.plus_s(self.plan().offer_ttl_s.into()));
        self.hold(fact.booking, fact.user, &fact.lines, fact.expires_at, fact.total_minor);
        self.booking_mut(fact.booking).offer = Some(fact.waitlist);
    }

    fn confirmed(&mut self, fact: &Confirmed) {
        let booking = self.booking(fact.booking).expect("one");
        assert_eq!(booking.state, State::Held);
        assert_eq!((&booking.lines, booking.offer), (&fact.lines, fact.waitlist));
        assert_eq!(booking.total_minor, fact.total_minor);
        assert_eq!(fact.tickets.len(), tickets(&fact.lines) as usize);
        match fact.payment {
            None => assert_eq!(fact.total_minor, 0),
            Some(payment) => {
                assert_eq!(booking.payments.last(), Some(&payment));
                let money = self.pay(payment);
                (money.stage, money.kept) = (Stage::Done, fact.total_minor);
            }
        }
        self.booking_mut(fact.booking).state = State::Sold;
    }

    fn cancelled(&mut self, fact: &Cancelled, now: Time) {
        let booking = self.booking(fact.booking).expect("one");
        let sold = booking.state == State::Sold;
        assert!(sold || booking.state == State::Held);
        assert_eq!((&booking.lines, sold), (&fact.lines, fact.was_confirmed));
        assert_eq!(fact.waitlist, booking.offer.filter(|_| !sold));
        assert_eq!(fact.by == CancelledBy::Event, self.closed);
        let percent = if self.closed { 100 } else { self.percent(now) };
        let paid = if sold { booking.total_minor } else { 0 };
        assert_eq!(fact.refund_minor, paid * percent / 100);
        if let Some(payment) = fact.payment {
            let money = self.pay(payment);
            money.kept -= fact.refund_minor;
            money.owed += fact.refund_minor;
        }
        self.booking_mut(fact.booking).state = State::Cancelled;
    }
}
