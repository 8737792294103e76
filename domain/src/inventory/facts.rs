//! What can have happened to an inventory. The stored contract: frozen once written.
//!
//! Facts that free places say which, so that a reader can follow the stock without remembering
//! every booking.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{RefundRule, Tier};
use crate::fact::facts;
use crate::{
    BookingId, Currency, EventId, PaymentId, Request, TicketId, TierId, Time, UserId, WaitlistId,
};

/// What is sold, and under which rules. Follows the event's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// When the event begins. No sale from then on.
    pub starts_at: Time,
    /// When it is over. No cancellation from then on.
    pub ends_at: Time,
    /// The currency of all prices.
    pub currency: Currency,
    /// What is sold, at what price. A tier's place in the list never changes.
    pub tiers: Vec<Tier>,
    /// How long a hold lasts, in seconds.
    pub hold_ttl_s: u32,
    /// How long an offer to someone on the waitlist lasts, in seconds.
    pub offer_ttl_s: u32,
    /// Tickets one booking can have.
    pub max_per_booking: u32,
    /// Tickets one person can hold or own; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_user: Option<u32>,
    /// What is paid back when a confirmed booking is cancelled (BK-9).
    pub refund_policy: Vec<RefundRule>,
}

/// Part of a booking: one seat, or a number of places of one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Which tier.
    pub tier: TierId,
    /// The seat's name, `section-row-seat`; a line with a seat has quantity 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// Tickets.
    pub quantity: u32,
    /// Price of one ticket when it was held, in minor units.
    pub unit_price_minor: i64,
}

impl Line {
    /// Price of the line in minor units.
    pub fn amount_minor(&self) -> i64 {
        self.unit_price_minor.saturating_mul(i64::from(self.quantity))
    }
}

/// A ticket: what lets one person in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    /// Which one.
    pub ticket: TicketId,
    /// Of which tier.
    pub tier: TierId,
    /// The seat's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
}

/// The event was published: its stock is for sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryOpened {
    /// Whose stock.
    pub event: EventId,
    /// What is sold.
    pub plan: Plan,
    /// How many facts of the event this follows.
    pub event_version: u64,
}

/// The event's terms changed, and its stock with them. A tier's capacity is never below what was
/// sold or held at that moment, even if the organizer wished so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryRevised {
    /// Whose stock.
    pub event: EventId,
    /// What is sold from now on.
    pub plan: Plan,
    /// How many facts of the event this follows.
    pub event_version: u64,
}

/// The event was cancelled: nothing is sold any more, every booking is being cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryClosed {
    /// Whose stock.
    pub event: EventId,
    /// How many facts of the event this follows.
    pub event_version: u64,
}

/// Places were taken out of sale for a buyer who is about to pay (BK-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reserved {
    /// The new booking.
    pub booking: BookingId,
    /// Whose it is.
    pub user: UserId,
    /// What is held. Never empty.
    pub lines: Vec<Line>,
    /// Sum of the lines, in minor units.
    pub subtotal_minor: i64,
    /// What is taken off, in minor units.
    pub discount_minor: i64,
    /// What is to be paid, in minor units.
    pub total_minor: i64,
    /// Currency of the amounts.
    pub currency: Currency,
    /// The hold is dead from this moment on (BK-4).
    pub expires_at: Time,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// Returned places were taken out of sale for someone on the waitlist (WL-2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offered {
    /// Whose turn it was.
    pub waitlist: WaitlistId,
    /// The new booking; confirmed like any other.
    pub booking: BookingId,
    /// Whose it is.
    pub user: UserId,
    /// What is held. Never empty.
    pub lines: Vec<Line>,
    /// What is to be paid, in minor units.
    pub total_minor: i64,
    /// Currency of the amounts.
    pub currency: Currency,
    /// The offer is dead from this moment on.
    pub expires_at: Time,
}

/// A charge is about to be asked of the payment provider. From here on it has to end as
/// confirmed, failed or refunded (PM-3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentStarted {
    /// For which booking.
    pub booking: BookingId,
    /// The payment; the provider charges it at most once.
    pub payment: PaymentId,
    /// What is charged, in minor units.
    pub amount_minor: i64,
    /// Currency of the amount.
    pub currency: Currency,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// Why a charge brought no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentFailure {
    /// The provider declined it.
    Declined,
    /// The provider never got to hear of it.
    NeverArrived,
}

/// A charge brought no money. The hold goes on until its deadline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentFailed {
    /// For which booking.
    pub booking: BookingId,
    /// Which payment.
    pub payment: PaymentId,
    /// Why.
    pub reason: PaymentFailure,
}

/// A booking was paid and has tickets (BK-2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// Which one.
    pub booking: BookingId,
    /// Whose it is.
    pub user: UserId,
    /// What paid it; absent when there was nothing to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// What was held and is now sold.
    pub lines: Vec<Line>,
    /// What was paid, in minor units.
    pub total_minor: i64,
    /// Currency of the amounts.
    pub currency: Currency,
    /// One for each person.
    pub tickets: Vec<Ticket>,
    /// The place in the waitlist that this serves, if it was an offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist: Option<WaitlistId>,
    /// The key of the command that paid, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The money came after the hold had died, and the same places were free: the booking holds them
/// again, and is confirmed in the same breath (PM-3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reinstated {
    /// Which one.
    pub booking: BookingId,
    /// Whose it is.
    pub user: UserId,
    /// What it holds again.
    pub lines: Vec<Line>,
}

/// A hold died at its deadline (BK-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expired {
    /// Which one.
    pub booking: BookingId,
    /// Whose it was.
    pub user: UserId,
    /// What is free again.
    pub lines: Vec<Line>,
    /// The place in the waitlist that is given up, if it was an offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist: Option<WaitlistId>,
}

/// Who cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    /// The person who booked, or an admin for them: the refund policy holds.
    Buyer,
    /// The event does not take place: everything is paid back.
    Event,
}

/// A booking was cancelled (BK-3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// Which one.
    pub booking: BookingId,
    /// Whose it was.
    pub user: UserId,
    /// Who cancelled.
    pub by: CancelledBy,
    /// What is free again.
    pub lines: Vec<Line>,
    /// Whether it was sold; otherwise it was only held.
    pub was_confirmed: bool,
    /// The payment of which `refund_minor` is now owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// What is paid back, in minor units; 0 for a hold.
    pub refund_minor: i64,
    /// Currency of the refund.
    pub currency: Currency,
    /// The place in the waitlist that is given up, if it was an offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist: Option<WaitlistId>,
    /// The admin who cancelled it for the buyer; the key is theirs, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<UserId>,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// Money came for a booking that could not be given any more: all of it is owed back (PM-3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefundDue {
    /// For which booking.
    pub booking: BookingId,
    /// Whose it was.
    pub user: UserId,
    /// Which payment.
    pub payment: PaymentId,
    /// What is owed, in minor units.
    pub amount_minor: i64,
    /// Currency of the amount.
    pub currency: Currency,
}

/// The provider paid back what was owed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refunded {
    /// For which booking.
    pub booking: BookingId,
    /// Which payment.
    pub payment: PaymentId,
    /// What was paid back, in minor units.
    pub amount_minor: i64,
}

/// Someone waits for places to return (WL-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitlistJoined {
    /// The new place in the waitlist.
    pub waitlist: WaitlistId,
    /// Of which event.
    pub event: EventId,
    /// Who waits.
    pub user: UserId,
    /// For which tier; for any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierId>,
    /// For how many tickets.
    pub quantity: u32,
    /// How many wait from now on, this person included.
    pub position: u32,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// Someone does not wait any longer (WL-1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitlistLeft {
    /// Which place in the waitlist.
    pub waitlist: WaitlistId,
    /// Of which event.
    pub event: EventId,
    /// Who left.
    pub user: UserId,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

facts! {
    /// What can have happened to an inventory.
    Fact {
        InventoryOpened = 1,
        InventoryRevised = 1,
        InventoryClosed = 1,
        Reserved = 1,
        Offered = 1,
        PaymentStarted = 1,
        PaymentFailed = 1,
        Confirmed = 1,
        Reinstated = 1,
        Expired = 1,
        Cancelled = 1,
        RefundDue = 1,
        Refunded = 1,
        WaitlistJoined = 1,
        WaitlistLeft = 1,
    }
}

impl Fact {
    /// The booking it is about, if it is about one.
    pub fn booking(&self) -> Option<BookingId> {
        Some(match self {
            Self::Reserved(fact) => fact.booking,
            Self::Offered(fact) => fact.booking,
            Self::PaymentStarted(fact) => fact.booking,
            Self::PaymentFailed(fact) => fact.booking,
            Self::Confirmed(fact) => fact.booking,
            Self::Reinstated(fact) => fact.booking,
            Self::Expired(fact) => fact.booking,
            Self::Cancelled(fact) => fact.booking,
            Self::RefundDue(fact) => fact.booking,
            Self::Refunded(fact) => fact.booking,
            Self::InventoryOpened(_)
            | Self::InventoryRevised(_)
            | Self::InventoryClosed(_)
            | Self::WaitlistJoined(_)
            | Self::WaitlistLeft(_) => return None,
        })
    }
}
