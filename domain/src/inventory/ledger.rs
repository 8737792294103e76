//! The stock as an outsider counts it from the facts alone, for live availability and for audits.
//!
//! Written without a look at the inventory's own state, so that one can prove the other wrong: it
//! names the first fact after which a tier would be oversold or a seat have two owners (BK-5).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Fact, Line};
use crate::event::{Stock, Tier};
use crate::{BookingId, Currency, EventId, TierId, Time};

/// A tier's places by what became of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TierCount {
    /// The tier's terms as last planned.
    pub terms: Tier,
    /// Places there are.
    pub capacity: u32,
    /// Places held.
    pub held: u32,
    /// Places sold.
    pub sold: u32,
}

impl TierCount {
    /// Places that can be bought.
    pub fn available(&self) -> u32 {
        self.capacity.saturating_sub(self.held.saturating_add(self.sold))
    }
}

/// What became of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatState {
    /// It can be bought.
    Free,
    /// Held for this booking.
    Held(BookingId),
    /// Sold to this booking.
    Sold(BookingId),
}

/// A rule that the facts break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// More sold and held than there is.
    #[error("tier {tier} is oversold: {sold} sold and {held} held of {capacity}")]
    Oversold {
        /// Which tier.
        tier: TierId,
        /// Places sold.
        sold: u32,
        /// Places held.
        held: u32,
        /// Places there are.
        capacity: u32,
    },
    /// A seat is given to a second owner.
    #[error("seat {seat} is given to {booking}, but is not free")]
    SeatTaken {
        /// Its name.
        seat: String,
        /// Who would be the second owner.
        booking: BookingId,
    },
    /// A booking sells or frees what it does not hold.
    #[error("booking {booking} does not hold what it sells or frees")]
    NotHeld {
        /// Which booking.
        booking: BookingId,
    },
    /// A tier or seat that was never planned.
    #[error("booking {booking} is for a place that does not exist")]
    NoSuchPlace {
        /// Which booking.
        booking: BookingId,
    },
    /// A booking id is used twice.
    #[error("booking {booking} exists already")]
    BookedTwice {
        /// Which booking.
        booking: BookingId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owning {
    Held,
    Sold,
    Nothing,
}

/// What a booking has, and for how many people.
type Owned = (Owning, u32);

#[derive(Debug, Clone)]
struct Seat {
    tier: usize,
    state: SeatState,
}

/// An event's stock, counted.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    event: Option<EventId>,
    closed: bool,
    currency: Option<Currency>,
    starts_at: Time,
    tiers: Vec<TierCount>,
    /// Seat names in the order of the plan.
    order: Vec<String>,
    seats: HashMap<String, Seat>,
    bookings: HashMap<u64, Owned>,
    waiting: u32,
}

impl Ledger {
    /// The event, once its inventory was opened.
    pub fn event(&self) -> Option<EventId> {
        self.event
    }

    /// Whether the event was cancelled.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Currency of the prices, once opened.
    pub fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// When the event begins.
    pub fn starts_at(&self) -> Time {
        self.starts_at
    }

    /// The tiers in the order of the plan.
    pub fn tiers(&self) -> &[TierCount] {
        &self.tiers
    }

    /// How many people wait.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Every seat with its tier and state, in the order of the plan.
    pub fn seats(&self) -> impl Iterator<Item = (&str, TierId, SeatState)> {
        self.order.iter().filter_map(|name| {
            let seat = self.seats.get(name)?;
            Some((name.as_str(), self.tiers[seat.tier].terms.tier, seat.state))
        })
    }

    /// State of one seat.
    pub fn seat(&self, name: &str) -> Option<SeatState> {
        self.seats.get(name).map(|seat| seat.state)
    }

    /// Counts one fact.
    ///
    /// # Errors
    /// The rule that the fact breaks. What can be counted is counted all the same.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::InventoryOpened(fact) => {
                self.event = Some(fact.event);
                self.plan(&fact.plan)
            }
            Fact::InventoryRevised(fact) => self.plan(&fact.plan),
            Fact::InventoryClosed(_) => {
                self.closed = true;
                self.waiting = 0;
                Ok(())
            }
            Fact::Reserved(fact) => self.take(fact.booking, &fact.lines),
            Fact::Offered(fact) => {
                self.waiting = self.waiting.saturating_sub(1);
                self.take(fact.booking, &fact.lines)
            }
            Fact::Reinstated(fact) => {
                let was = self.bookings.remove(&fact.booking.number);
                let taken = self.take(fact.booking, &fact.lines);
                let died = was == Some((Owning::Nothing, tickets(&fact.lines)));
                if died { taken } else { not_held(fact.booking) }
            }
            Fact::Confirmed(fact) => {
                self.change(fact.booking, &fact.lines, Owning::Held, Owning::Sold)
            }
            Fact::Expired(fact) => {
                self.change(fact.booking, &fact.lines, Owning::Held, Owning::Nothing)
            }
            Fact::Cancelled(fact) => {
                let was = if fact.was_confirmed { Owning::Sold } else { Owning::Held };
                self.change(fact.booking, &fact.lines, was, Owning::Nothing)
            }
            Fact::WaitlistJoined(_) => {
                self.waiting += 1;
                Ok(())
            }
            Fact::WaitlistLeft(_) => {
                self.waiting = self.waiting.saturating_sub(1);
                Ok(())
            }
            Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_) => Ok(()),
        }
    }

    fn plan(&mut self, plan: &super::Plan) -> Result<(), Violation> {
        self.currency = Some(plan.currency);
        self.starts_at = plan.starts_at;
        for tier in &plan.tiers {
            let known = self.tiers.iter().position(|count| count.terms.tier == tier.tier);
            if let Some(index) = known {
                let count = &mut self.tiers[index];
                if matches!(tier.stock, Stock::Counted { .. }) {
                    count.capacity = tier.stock.capacity();
                }
                count.terms = tier.without_rows();
            } else {
                self.add_tier(tier);
            }
        }
        (0..self.tiers.len()).try_for_each(|tier| self.check(tier))
    }

    fn add_tier(&mut self, tier: &Tier) {
        let index = self.tiers.len();
        if let Stock::Seated { section, rows } = &tier.stock {
            for row in rows {
                for place in 0..row.seats.len() {
                    let name = format!("{section}-{}-{}", row.label, row.seats.label(place));
                    self.order.push(name.clone());
                    self.seats.insert(name, Seat { tier: index, state: SeatState::Free });
                }
            }
        }
        let (terms, capacity) = (tier.without_rows(), tier.stock.capacity());
        self.tiers.push(TierCount { terms, capacity, held: 0, sold: 0 });
    }

    fn check(&self, tier: usize) -> Result<(), Violation> {
        let count = &self.tiers[tier];
        let (sold, held, capacity) = (count.sold, count.held, count.capacity);
        if u64::from(sold) + u64::from(held) <= u64::from(capacity) {
            return Ok(());
        }
        Err(Violation::Oversold { tier: count.terms.tier, sold, held, capacity })
    }

    fn tier(&self, booking: BookingId, tier: TierId) -> Result<usize, Violation> {
        let found = self.tiers.iter().position(|count| count.terms.tier == tier);
        found.ok_or(Violation::NoSuchPlace { booking })
    }

    fn take(&mut self, booking: BookingId, lines: &[Line]) -> Result<(), Violation> {
        match self.bookings.entry(booking.number) {
            // What it had first still counts: that is what is going to be sold or freed.
            Entry::Occupied(_) => return Err(Violation::BookedTwice { booking }),
            Entry::Vacant(entry) => entry.insert((Owning::Held, tickets(lines))),
        };
        let mut verdict = Ok(());
        for line in lines {
            let tier = self.tier(booking, line.tier)?;
            self.tiers[tier].held = self.tiers[tier].held.saturating_add(line.quantity);
            verdict = verdict.and(self.check(tier));
            if let Some(name) = &line.seat {
                let seat = self.seats.get_mut(name).ok_or(Violation::NoSuchPlace { booking })?;
                if seat.state != SeatState::Free || line.quantity != 1 || seat.tier != tier {
                    let taken = Violation::SeatTaken { seat: name.clone(), booking };
                    verdict = verdict.and(Err(taken));
                }
                seat.state = SeatState::Held(booking);
            }
        }
        verdict
    }

    fn change(
        &mut self,
        booking: BookingId,
        lines: &[Line],
        from: Owning,
        to: Owning,
    ) -> Result<(), Violation> {
        let tickets = tickets(lines);
        if self.bookings.insert(booking.number, (to, tickets)) != Some((from, tickets)) {
            return not_held(booking);
        }
        let mut verdict = Ok(());
        for line in lines {
            let tier = self.tier(booking, line.tier)?;
            let count = &mut self.tiers[tier];
            let source = if from == Owning::Sold { &mut count.sold } else { &mut count.held };
            match source.checked_sub(line.quantity) {
                Some(rest) => *source = rest,
                None => verdict = not_held(booking),
            }
            if to == Owning::Sold {
                count.sold = count.sold.saturating_add(line.quantity);
            }
            if let Some(name) = &line.seat {
                let seat = self.seats.get_mut(name).ok_or(Violation::NoSuchPlace { booking })?;
                let owner = match from {
                    Owning::Sold => SeatState::Sold(booking),
                    Owning::Held | Owning::Nothing => SeatState::Held(booking),
                };
                if seat.state != owner {
                    verdict = not_held(booking);
                }
                seat.state = match to {
                    Owning::Sold => SeatState::Sold(booking),
                    Owning::Held => SeatState::Held(booking),
                    Owning::Nothing => SeatState::Free,
                };
            }
        }
        verdict
    }
}

fn tickets(lines: &[Line]) -> u32 {
    lines.iter().fold(0, |sum, line| sum.saturating_add(line.quantity))
}

fn not_held(booking: BookingId) -> Result<(), Violation> {
    Err(Violation::NotHeld { booking })
}
