//! What becomes of bookings.

use domain::inventory::{self, Line};
use domain::{BookingId, Currency, EventId, PaymentId, TicketId, TierId, Time, WaitlistId};
use schemars::JsonSchema;
use serde::Serialize;

/// Part of a booking: one seat, or a number of places of one tier.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LineItem {
    /// Which tier.
    pub tier_id: TierId,
    /// The seat's name, `section-row-seat`; a line with a seat has quantity 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// Tickets.
    pub quantity: u32,
    /// Price of one ticket, in minor units.
    pub unit_price: i64,
    /// Price of the line, in minor units.
    pub amount: i64,
}

impl LineItem {
    fn all(lines: Vec<Line>) -> Vec<Self> {
        let item = |line: Line| Self {
            amount: line.amount_minor(),
            tier_id: line.tier,
            seat: line.seat,
            quantity: line.quantity,
            unit_price: line.unit_price_minor,
        };
        lines.into_iter().map(item).collect()
    }
}

/// What lets one person in.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Ticket {
    /// Which one.
    pub ticket_id: TicketId,
    /// Of which tier.
    pub tier_id: TierId,
    /// The seat's name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
}

impl From<inventory::Ticket> for Ticket {
    fn from(ticket: inventory::Ticket) -> Self {
        Self { ticket_id: ticket.ticket, tier_id: ticket.tier, seat: ticket.seat }
    }
}

/// Places were taken out of sale for a buyer who is about to pay.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BookingReserved {
    /// The new booking.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// What is held. Never empty.
    pub line_items: Vec<LineItem>,
    /// Sum of the lines, in minor units.
    pub subtotal: i64,
    /// What is taken off, in minor units.
    pub discount: i64,
    /// What is to be paid, in minor units.
    pub total: i64,
    /// Currency of the amounts.
    pub currency: Currency,
    /// The hold is dead from this moment on.
    pub expires_at: Time,
}

impl From<inventory::Reserved> for BookingReserved {
    fn from(fact: inventory::Reserved) -> Self {
        Self {
            booking_id: fact.booking,
            event_id: fact.booking.event,
            line_items: LineItem::all(fact.lines),
            subtotal: fact.subtotal_minor,
            discount: fact.discount_minor,
            total: fact.total_minor,
            currency: fact.currency,
            expires_at: fact.expires_at,
        }
    }
}

/// Returned places were taken out of sale for someone on the waitlist.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BookingOffered {
    /// The new booking; confirmed like any other.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// Whose turn it was.
    pub waitlist_id: WaitlistId,
    /// What is held. Never empty.
    pub line_items: Vec<LineItem>,
    /// What is to be paid, in minor units.
    pub total: i64,
    /// Currency of the amounts.
    pub currency: Currency,
    /// The offer is dead from this moment on.
    pub expires_at: Time,
}

impl From<inventory::Offered> for BookingOffered {
    fn from(fact: inventory::Offered) -> Self {
        Self {
            booking_id: fact.booking,
            event_id: fact.booking.event,
            waitlist_id: fact.waitlist,
            line_items: LineItem::all(fact.lines),
            total: fact.total_minor,
            currency: fact.currency,
            expires_at: fact.expires_at,
        }
    }
}

/// A booking was paid and has tickets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BookingConfirmed {
    /// Which one.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// What paid it; absent when there was nothing to pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The place in the waitlist that this serves, if it was an offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waitlist_id: Option<WaitlistId>,
    /// What was held and is now sold.
    pub line_items: Vec<LineItem>,
    /// What was paid, in minor units.
    pub total: i64,
    /// Currency of the amounts.
    pub currency: Currency,
    /// One for each person.
    pub tickets: Vec<Ticket>,
}

impl From<inventory::Confirmed> for BookingConfirmed {
    fn from(fact: inventory::Confirmed) -> Self {
        Self {
            booking_id: fact.booking,
            event_id: fact.booking.event,
            payment_id: fact.payment,
            waitlist_id: fact.waitlist,
            line_items: LineItem::all(fact.lines),
            total: fact.total_minor,
            currency: fact.currency,
            tickets: fact.tickets.into_iter().map(Ticket::from).collect(),
        }
    }
}

/// The money came after the hold had died, and the same places were free: the booking holds them
/// again, and is confirmed next.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BookingReinstated {
    /// Which one.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// What it holds again.
    pub line_items: Vec<LineItem>,
}

impl From<inventory::Reinstated> for BookingReinstated {
    fn from(fact: inventory::Reinstated) -> Self {
        let line_items = LineItem::all(fact.lines);
        Self { booking_id: fact.booking, event_id: fact.booking.event, line_items }
    }
}

/// A hold died at its deadline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BookingExpired {
    /// Which one.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// The place in the waitlist that is given up, if it was an offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waitlist_id: Option<WaitlistId>,
    /// What is free again.
    pub line_items: Vec<LineItem>,
}

impl From<inventory::Expired> for BookingExpired {
    fn from(fact: inventory::Expired) -> Self {
        Self {
            booking_id: fact.booking,
            event_id: fact.booking.event,
            waitlist_id: fact.waitlist,
            line_items: LineItem::all(fact.lines),
        }
    }
}

/// Who cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    /// The person who booked, or somebody for them: the refund policy holds.
    Buyer,
    /// The event does not take place: everything is paid back.
    Event,
}

impl From<inventory::CancelledBy> for CancelledBy {
    fn from(by: inventory::CancelledBy) -> Self {
        match by {
            inventory::CancelledBy::Buyer => Self::Buyer,
            inventory::CancelledBy::Event => Self::Event,
        }
    }
}

/// A booking was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BookingCancelled {
    /// Which one.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// Who cancelled.
    pub by: CancelledBy,
    /// Whether it was sold; otherwise it was only held.
    pub was_confirmed: bool,
    /// The payment of which `refund` is now owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The place in the waitlist that is given up, if it was an offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waitlist_id: Option<WaitlistId>,
    /// What is free again.
    pub line_items: Vec<LineItem>,
    /// What is paid back, in minor units; 0 for a hold.
    pub refund: i64,
    /// Currency of the amounts.
    pub currency: Currency,
}

impl From<inventory::Cancelled> for BookingCancelled {
    fn from(fact: inventory::Cancelled) -> Self {
        Self {
            booking_id: fact.booking,
            event_id: fact.booking.event,
            by: fact.by.into(),
            was_confirmed: fact.was_confirmed,
            payment_id: fact.payment,
            waitlist_id: fact.waitlist,
            line_items: LineItem::all(fact.lines),
            refund: fact.refund_minor,
            currency: fact.currency,
        }
    }
}
