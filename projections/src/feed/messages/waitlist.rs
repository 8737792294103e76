//! What becomes of places in waitlists.

use domain::inventory;
use domain::{BookingId, EventId, TierId, Time, WaitlistId};
use schemars::JsonSchema;
use serde::Serialize;

/// Someone waits for places to return.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WaitlistJoined {
    /// The new place in the waitlist.
    pub waitlist_id: WaitlistId,
    /// Of which event.
    pub event_id: EventId,
    /// For which tier; for any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier_id: Option<TierId>,
    /// For how many tickets.
    pub quantity: u32,
    /// How many wait from now on, this one included.
    pub waiting: u32,
}

impl From<inventory::WaitlistJoined> for WaitlistJoined {
    fn from(fact: inventory::WaitlistJoined) -> Self {
        Self {
            waitlist_id: fact.waitlist,
            event_id: fact.event,
            tier_id: fact.tier,
            quantity: fact.quantity,
            waiting: fact.position,
        }
    }
}

/// It was their turn: places are held for them alone.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WaitlistOffered {
    /// Whose turn it was.
    pub waitlist_id: WaitlistId,
    /// Of which event.
    pub event_id: EventId,
    /// The booking that holds them.
    pub booking_id: BookingId,
    /// The offer is dead from this moment on.
    pub expires_at: Time,
}

impl From<&inventory::Offered> for WaitlistOffered {
    fn from(fact: &inventory::Offered) -> Self {
        Self {
            waitlist_id: fact.waitlist,
            event_id: fact.booking.event,
            booking_id: fact.booking,
            expires_at: fact.expires_at,
        }
    }
}

/// An offer was paid for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WaitlistServed {
    /// Which place in the waitlist.
    pub waitlist_id: WaitlistId,
    /// Of which event.
    pub event_id: EventId,
    /// The booking that was offered.
    pub booking_id: BookingId,
}

impl WaitlistServed {
    /// If it was an offer.
    pub(crate) fn of(fact: &inventory::Confirmed) -> Option<Self> {
        let (waitlist_id, booking_id) = (fact.waitlist?, fact.booking);
        Some(Self { waitlist_id, event_id: booking_id.event, booking_id })
    }
}

/// Why an offer came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LapseReason {
    /// Nobody paid in time.
    Expired,
    /// It was cancelled.
    Cancelled,
}

/// An offer came to nothing, and the place in the waitlist is given up.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WaitlistLapsed {
    /// Which place in the waitlist.
    pub waitlist_id: WaitlistId,
    /// Of which event.
    pub event_id: EventId,
    /// The booking that was offered.
    pub booking_id: BookingId,
    /// Why.
    pub reason: LapseReason,
}

impl WaitlistLapsed {
    /// If it was an offer.
    pub(crate) fn of(
        booking_id: BookingId,
        waitlist: Option<WaitlistId>,
        reason: LapseReason,
    ) -> Option<Self> {
        Some(Self { waitlist_id: waitlist?, event_id: booking_id.event, booking_id, reason })
    }
}

/// Someone does not wait any longer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WaitlistLeft {
    /// Which place in the waitlist.
    pub waitlist_id: WaitlistId,
    /// Of which event.
    pub event_id: EventId,
}

impl From<inventory::WaitlistLeft> for WaitlistLeft {
    fn from(fact: inventory::WaitlistLeft) -> Self {
        Self { waitlist_id: fact.waitlist, event_id: fact.event }
    }
}
