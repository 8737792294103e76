//! What can be asked of an inventory, and why it says no.

use super::{PaymentFailure, Plan};
use crate::{BookingId, EventId, PaymentId, Request, TierId, Time, UserId, WaitlistId};

/// What can be asked of an inventory.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Take places out of sale for a buyer (BK-1).
    Reserve {
        /// The id the booking gets.
        booking: BookingId,
        /// Who asks.
        user: UserId,
        /// What for.
        wanted: Wanted,
        /// How much one person may hold without buying; anything if absent.
        patience: Option<Patience>,
        /// The command's key.
        request: Option<Request>,
    },
    /// Get ready to charge for a hold (BK-2). A booking that costs nothing is confirmed at once.
    StartPayment {
        /// Which booking.
        booking: BookingId,
        /// Who asks.
        user: UserId,
        /// The id the payment gets.
        payment: PaymentId,
        /// The command's key.
        request: Option<Request>,
    },
    /// The provider answered (PM-3).
    SettlePayment {
        /// For which booking.
        booking: BookingId,
        /// Which payment.
        payment: PaymentId,
        /// What it said.
        result: PaymentResult,
    },
    /// The provider paid back what was owed.
    SettleRefund {
        /// For which booking.
        booking: BookingId,
        /// Which payment.
        payment: PaymentId,
    },
    /// Give a booking back (BK-3).
    Cancel {
        /// Which booking.
        booking: BookingId,
        /// Who asks.
        user: UserId,
        /// May act for others.
        as_admin: bool,
        /// The command's key.
        request: Option<Request>,
    },
    /// Wait for places to return (WL-1).
    JoinWaitlist {
        /// The id the entry gets.
        waitlist: WaitlistId,
        /// Who asks.
        user: UserId,
        /// For which tier; any if absent.
        tier: Option<TierId>,
        /// For how many tickets.
        quantity: u32,
        /// How much one person may let go without buying; anything if absent.
        patience: Option<Patience>,
        /// The command's key.
        request: Option<Request>,
    },
    /// Wait no longer (WL-1).
    LeaveWaitlist {
        /// Who asks.
        user: UserId,
        /// The command's key.
        request: Option<Request>,
    },
    /// Let go of what somebody who was erased waits for and holds unpaid, or of some of it (AC-3).
    Forget {
        /// Who was.
        user: UserId,
    },
    /// Follow the event's terms: open, revise, or close without a plan.
    Follow {
        /// Whose inventory.
        event: EventId,
        /// How many facts of the event this follows.
        event_version: u64,
        /// What is sold from now on; nothing if absent.
        plan: Option<Plan>,
    },
    /// Only ask whose a booking is and where it stands.
    Find {
        /// Which one.
        booking: BookingId,
    },
    /// Only ask whether a plan could be followed without keeping more than it wants (CT-2).
    CheckPlan {
        /// What would be sold.
        plan: Plan,
    },
    /// Do nothing but what time brings about.
    Settle,
}

impl Command {
    /// What it is called where commands are told of, e.g. `Reserve`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reserve { .. } => "Reserve",
            Self::StartPayment { .. } => "StartPayment",
            Self::SettlePayment { .. } => "SettlePayment",
            Self::SettleRefund { .. } => "SettleRefund",
            Self::Cancel { .. } => "Cancel",
            Self::JoinWaitlist { .. } => "JoinWaitlist",
            Self::LeaveWaitlist { .. } => "LeaveWaitlist",
            Self::Forget { .. } => "Forget",
            Self::Follow { .. } => "Follow",
            Self::Find { .. } => "Find",
            Self::CheckPlan { .. } => "CheckPlan",
            Self::Settle => "Settle",
        }
    }
}

/// How much one person may hold of one event without buying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Holds at once.
    pub holds: u32,
    /// Holds, offers and purchases within a day that were given back or died, as long as nothing is
    /// bought that makes up for them.
    pub lapsed: u32,
}

/// What a buyer asks for (BK-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// So many of a tier: places, or the next free seats.
    Quantity {
        /// Which tier.
        tier: TierId,
        /// Tickets.
        quantity: u32,
    },
    /// These seats, by name.
    Seats(Vec<String>),
}

impl Wanted {
    /// How many tickets are asked for.
    pub fn tickets(&self) -> u32 {
        match self {
            Self::Quantity { quantity, .. } => *quantity,
            Self::Seats(names) => u32::try_from(names.len()).unwrap_or(u32::MAX),
        }
    }
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentResult {
    /// The provider has the money.
    Succeeded,
    /// It brought no money.
    Failed(PaymentFailure),
}

/// Why the inventory says no, with numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such event, or it is not published.
    EventNotFound,
    /// The event does not take place.
    EventCancelled,
    /// The event began.
    EventStarted {
        /// When.
        starts_at: Time,
    },
    /// The event is over.
    EventEnded {
        /// Since when.
        ends_at: Time,
    },
    /// The event has no such tier.
    TierNotFound,
    /// The event has no such seat.
    SeatNotFound {
        /// Its name.
        seat: String,
    },
    /// A seat is named twice.
    SeatTwice {
        /// Its name.
        seat: String,
    },
    /// Nothing was asked for.
    NothingWanted,
    /// The tier's sale has not begun.
    SaleNotOpen {
        /// When it does.
        opens_at: Time,
    },
    /// The tier's sale is over.
    SaleClosed {
        /// Since when.
        closed_at: Time,
    },
    /// The person holds so much already.
    TooManyHolds {
        /// Holds that live.
        holding: u32,
        /// Holds allowed.
        limit: u32,
    },
    /// The person let too many holds and offers go and bought nothing.
    TooManyLapsed {
        /// Holds allowed to lapse within a day.
        limit: u32,
        /// When there may be one again.
        until: Time,
    },
    /// More tickets than one booking can have (BK-7).
    LimitPerBooking {
        /// Tickets asked for.
        requested: u32,
        /// Tickets allowed.
        limit: u32,
    },
    /// More tickets than one person can have (BK-7).
    LimitPerUser {
        /// Tickets asked for.
        requested: u32,
        /// Tickets the person has.
        owned: u32,
        /// Tickets allowed.
        limit: u32,
    },
    /// Not so many are left.
    InsufficientSeats {
        /// Tickets asked for.
        requested: u32,
        /// Tickets left.
        available: u32,
    },
    /// Somebody else has the seat.
    SeatTaken {
        /// Its name.
        seat: String,
    },
    /// There is no such booking, or it is somebody else's.
    BookingNotFound,
    /// The random number is in use: ask again with another.
    BookingExists,
    /// The hold died at its deadline (BK-4).
    HoldExpired {
        /// When.
        expired_at: Time,
    },
    /// The booking was cancelled before.
    AlreadyCancelled,
    /// The booking was confirmed before.
    AlreadyConfirmed,
    /// The provider is still being asked.
    PaymentInProgress,
    /// The key was used for something else (BK-6).
    KeyReused,
    /// There is no need to wait.
    TicketsAvailable {
        /// Tickets asked for.
        requested: u32,
        /// Tickets left.
        available: u32,
    },
    /// So many will never return.
    NeverEnough {
        /// Tickets asked for.
        requested: u32,
        /// The most there can be.
        capacity: u32,
    },
    /// The person waits already, or has an offer.
    AlreadyWaiting,
    /// The person does not wait.
    NotWaiting,
    /// More is sold or held than the tier would have.
    CapacityBelowSold {
        /// Which tier.
        tier: TierId,
        /// Capacity asked for.
        requested: u32,
        /// Tickets sold.
        sold: u32,
        /// Tickets held.
        held: u32,
    },
}
