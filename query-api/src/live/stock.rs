//! The fold of one inventory's stream: what an outsider counts, and where it changed.

use std::sync::{Arc, OnceLock};

use domain::inventory::{Fact, Ledger, Line, Violation};
use domain::{EventId, FactError, StoredFact};
use infra::log::{Position, Record};

use super::availability::{Availability, Count, Terms};
use super::queue::Queue;
use super::seats::Seats;

/// What is wrong with a record of an inventory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A newer program wrote it, or it is damaged. What it says is not counted.
    #[error("a record cannot be counted")]
    Undecodable(#[source] FactError),
    /// It breaks a rule of the stock (BK-5). It is counted as far as it can be.
    #[error("a fact breaks a rule of the stock")]
    Violation(#[source] Violation),
}

/// An event's stock, folded from its stream.
#[derive(Debug)]
pub(crate) struct Stock {
    event: EventId,
    ledger: Ledger,
    /// Revision of the next record.
    next: u64,
    /// Of the last record.
    position: Position,
    terms: Arc<Terms>,
    counts: Vec<(Count, Position)>,
    seats: Seats,
    queue: Queue,
    /// Bookings there ever were.
    bookings: usize,
}

impl Stock {
    pub(crate) fn new(event: EventId) -> Self {
        Self {
            event,
            ledger: Ledger::default(),
            next: 0,
            position: Position(0),
            terms: Arc::new(Terms::unknown()),
            counts: vec![],
            seats: Seats::default(),
            queue: Queue::default(),
            bookings: 0,
        }
    }

    /// Revision of the record that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Of the last record taken in.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Takes in the record that comes next.
    ///
    /// # Errors
    /// Something is wrong with it; it counts as taken in all the same.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), Fault> {
        (self.next, self.position) = (record.revision + 1, record.position);
        let fact =
            Fact::decode(&record.kind, record.version, &record.data).map_err(Fault::Undecodable)?;
        let verdict = self.ledger.apply(&fact);
        match &fact {
            Fact::InventoryOpened(fact) => self.plan(&fact.plan),
            Fact::InventoryRevised(fact) => self.plan(&fact.plan),
            // Nothing of any tier can be bought any more.
            Fact::InventoryClosed(_) => {
                self.counts.iter_mut().for_each(|(_, changed_at)| *changed_at = self.position);
                self.queue.close();
            }
            Fact::Reserved(_) => self.bookings += 1,
            Fact::Offered(fact) => {
                self.bookings += 1;
                self.queue.leave(fact.waitlist);
            }
            Fact::WaitlistJoined(fact) => self.queue.join(fact.waitlist),
            Fact::WaitlistLeft(fact) => self.queue.leave(fact.waitlist),
            _ => {}
        }
        self.note_changes(lines(&fact));
        verdict.map_err(Fault::Violation)
    }

    fn plan(&mut self, plan: &domain::inventory::Plan) {
        self.seats.plan(&plan.tiers, self.position);
        let tiers = self.ledger.tiers().iter().map(|tier| tier.terms.clone()).collect();
        self.terms = Arc::new(Terms {
            tiers,
            currency: plan.currency,
            max_per_booking: plan.max_per_booking,
            max_per_user: plan.max_per_user,
            starts_at: plan.starts_at,
            ends_at: plan.ends_at,
        });
        self.counts = vec![(Count::default(), self.position); self.ledger.tiers().len()];
    }

    fn note_changes(&mut self, lines: &[Line]) {
        for (tier, (count, changed_at)) in self.ledger.tiers().iter().zip(&mut self.counts) {
            let now = Count { capacity: tier.capacity, held: tier.held, sold: tier.sold };
            if *count != now {
                (*count, *changed_at) = (now, self.position);
            }
        }
        for name in lines.iter().filter_map(|line| line.seat.as_deref()) {
            if let Some(owner) = self.ledger.seat(name) {
                self.seats.set(name, owner.into(), self.position);
            }
        }
    }

    /// What is left now; `None` as long as the inventory was not opened.
    pub(crate) fn availability(&self) -> Option<Availability> {
        self.ledger.event()?;
        Some(Availability {
            event: self.event,
            terms: Arc::clone(&self.terms),
            counts: self.counts.clone(),
            waiting: self.ledger.waiting(),
            closed: self.ledger.is_closed(),
            position: self.position,
            seats_version: self.seats.version(),
            whole: OnceLock::new(),
        })
    }

    /// About how many bytes of memory it takes, with its seat map as JSON.
    pub(super) fn bytes(&self) -> usize {
        const BASE: usize = 4 << 10;
        const TIER: usize = 512;
        const SEAT: usize = 320;
        const BOOKING: usize = 40;
        let places = self.counts.len() * TIER + self.seats.len() * SEAT;
        BASE + places + self.bookings * BOOKING + self.queue.bytes()
    }
}

/// The places that a fact gives or takes.
fn lines(fact: &Fact) -> &[Line] {
    match fact {
        Fact::Reserved(fact) => &fact.lines,
        Fact::Offered(fact) => &fact.lines,
        Fact::Confirmed(fact) => &fact.lines,
        Fact::Reinstated(fact) => &fact.lines,
        Fact::Expired(fact) => &fact.lines,
        Fact::Cancelled(fact) => &fact.lines,
        Fact::InventoryOpened(_)
        | Fact::InventoryRevised(_)
        | Fact::InventoryClosed(_)
        | Fact::PaymentStarted(_)
        | Fact::PaymentFailed(_)
        | Fact::RefundDue(_)
        | Fact::Refunded(_)
        | Fact::WaitlistJoined(_)
        | Fact::WaitlistLeft(_) => &[],
    }
}
