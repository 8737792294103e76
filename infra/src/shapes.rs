//! Shapes that several answers of the API share (product.md, "Shapes that several answers share").

use domain::inventory::{Line, tickets_of};
use domain::{BookingId, Currency, EventId, TicketId, TierId, Time, UserId, WaitlistId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A booking, as reserve, confirm and GET answer with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Booking {
    /// `bkg_...`
    #[schema(value_type = String)]
    pub booking_id: BookingId,
    /// What a person reads out at a counter, e.g. `K7QF-2M9D`.
    pub reference: String,
    /// `evt_...`
    #[schema(value_type = String)]
    pub event_id: EventId,
    /// `usr_...`
    #[schema(value_type = String)]
    pub user_id: UserId,
    /// Where it stands.
    pub status: BookingStatus,
    /// When the hold dies; only while it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    /// One for each seat, or one for a number of places.
    pub line_items: Vec<LineItem>,
    /// Sum of the line items, in minor units.
    pub subtotal: i64,
    /// What is taken off, in minor units.
    pub discount: i64,
    /// What is to be paid or was, in minor units.
    pub total: i64,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// One for each person; empty until it is confirmed.
    pub tickets: Vec<Ticket>,
    /// What is paid back after a cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
    /// What happened to it; reserve answers without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<HistoryEntry>>,
    /// Where in the log the command is; only in the answer to a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

/// Where a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BookingStatus {
    /// Places are out of sale until the deadline.
    Held,
    /// Paid; has tickets.
    Confirmed,
    /// Given back.
    Cancelled,
    /// The hold died at its deadline.
    Expired,
}

/// Part of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineItem {
    /// `tier_...`
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// `section-row-seat`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// Tickets; 1 for a seat.
    pub quantity: u32,
    /// Price of one ticket, in minor units.
    pub unit_price: i64,
    /// Price of the line, in minor units.
    pub amount: i64,
}

impl From<&Line> for LineItem {
    fn from(line: &Line) -> Self {
        Self {
            tier_id: line.tier,
            seat: line.seat.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price_minor,
            amount: line.amount_minor(),
        }
    }
}

/// What lets one person in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// `tkt_...`
    #[schema(value_type = String)]
    pub ticket_id: TicketId,
    /// `tier_...`
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// `section-row-seat`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
}

impl Ticket {
    /// The tickets of a confirmed booking.
    pub fn all(booking: BookingId, lines: &[Line]) -> Vec<Self> {
        let ticket = |ticket: domain::inventory::Ticket| Self {
            ticket_id: ticket.ticket,
            tier_id: ticket.tier,
            seat: ticket.seat,
        };
        tickets_of(booking, lines).into_iter().map(ticket).collect()
    }
}

/// What is paid back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refund {
    /// In minor units.
    pub amount: i64,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// How far it got.
    pub status: RefundStatus,
}

/// How far a refund got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefundStatus {
    /// There is nothing to pay back.
    None,
    /// The payment provider is being asked.
    Pending,
    /// The payment provider paid it back.
    Refunded,
}

/// Something that happened to a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// The fact's kind, e.g. `Reserved`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

/// A place in an event's waitlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitlistEntry {
    /// `wl_...`
    #[schema(value_type = String)]
    pub waitlist_id: WaitlistId,
    /// `evt_...`
    #[schema(value_type = String)]
    pub event_id: EventId,
    /// The tier waited for; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tier_id: Option<TierId>,
    /// Tickets.
    pub quantity: u32,
    /// How many are served before this one, plus one; 0 when it does not wait any more.
    pub position: u32,
    /// Where it stands.
    pub status: WaitlistStatus,
    /// The offered hold, confirmed like any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub booking_id: Option<BookingId>,
    /// When the offer dies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    /// How long it may take until an offer; null while nothing is known.
    pub estimated_wait_seconds: Option<u64>,
}

/// Where a place in the waitlist stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitlistStatus {
    /// For places to return.
    Waiting,
    /// There is an offer to confirm.
    Offered,
    /// The offer was confirmed.
    Served,
    /// Left, or the offer was not taken.
    Left,
}
