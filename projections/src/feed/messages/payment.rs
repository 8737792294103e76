//! What becomes of money.

use domain::inventory;
use domain::{BookingId, Currency, EventId, PaymentId};
use schemars::JsonSchema;
use serde::Serialize;

/// A charge is about to be asked of the payment provider. It ends as succeeded, failed, or owed back.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PaymentStarted {
    /// Which payment.
    pub payment_id: PaymentId,
    /// For which booking.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// What is charged, in minor units.
    pub amount: i64,
    /// Currency of the amount.
    pub currency: Currency,
}

impl From<inventory::PaymentStarted> for PaymentStarted {
    fn from(fact: inventory::PaymentStarted) -> Self {
        Self {
            payment_id: fact.payment,
            booking_id: fact.booking,
            event_id: fact.booking.event,
            amount: fact.amount_minor,
            currency: fact.currency,
        }
    }
}

/// A charge was paid, and its booking confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PaymentSucceeded {
    /// Which payment.
    pub payment_id: PaymentId,
    /// For which booking.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// What was paid, in minor units.
    pub amount: i64,
    /// Currency of the amount.
    pub currency: Currency,
}

impl PaymentSucceeded {
    /// Unless there was nothing to pay.
    pub(crate) fn of(fact: &inventory::Confirmed) -> Option<Self> {
        Some(Self {
            payment_id: fact.payment?,
            booking_id: fact.booking,
            event_id: fact.booking.event,
            amount: fact.total_minor,
            currency: fact.currency,
        })
    }
}

/// Why a charge brought no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The provider declined it.
    Declined,
    /// The provider never got to hear of it.
    NeverArrived,
}

impl From<inventory::PaymentFailure> for FailureReason {
    fn from(reason: inventory::PaymentFailure) -> Self {
        match reason {
            inventory::PaymentFailure::Declined => Self::Declined,
            inventory::PaymentFailure::NeverArrived => Self::NeverArrived,
        }
    }
}

/// A charge brought no money. The hold goes on until its deadline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PaymentFailed {
    /// Which payment.
    pub payment_id: PaymentId,
    /// For which booking.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// Why.
    pub reason: FailureReason,
}

impl From<inventory::PaymentFailed> for PaymentFailed {
    fn from(fact: inventory::PaymentFailed) -> Self {
        Self {
            payment_id: fact.payment,
            booking_id: fact.booking,
            event_id: fact.booking.event,
            reason: fact.reason.into(),
        }
    }
}

/// Why money is owed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The booking was cancelled.
    Cancelled,
    /// It came for a booking that could not be given any more.
    TooLate,
}

/// Money is owed back.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RefundDue {
    /// Which payment.
    pub payment_id: PaymentId,
    /// For which booking.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// Why.
    pub reason: RefundReason,
    /// What is owed, in minor units.
    pub amount: i64,
    /// Currency of the amount.
    pub currency: Currency,
}

impl RefundDue {
    /// Unless nothing is paid back.
    pub(crate) fn of(fact: &inventory::Cancelled) -> Option<Self> {
        let payment_id = fact.payment.filter(|_| fact.refund_minor > 0)?;
        Some(Self {
            payment_id,
            booking_id: fact.booking,
            event_id: fact.booking.event,
            reason: RefundReason::Cancelled,
            amount: fact.refund_minor,
            currency: fact.currency,
        })
    }
}

impl From<inventory::RefundDue> for RefundDue {
    fn from(fact: inventory::RefundDue) -> Self {
        Self {
            payment_id: fact.payment,
            booking_id: fact.booking,
            event_id: fact.booking.event,
            reason: RefundReason::TooLate,
            amount: fact.amount_minor,
            currency: fact.currency,
        }
    }
}

/// The provider paid back what was owed, in the currency in which it was paid.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Refunded {
    /// Which payment.
    pub payment_id: PaymentId,
    /// For which booking.
    pub booking_id: BookingId,
    /// Of which event.
    pub event_id: EventId,
    /// What was paid back, in minor units.
    pub amount: i64,
}

impl From<inventory::Refunded> for Refunded {
    fn from(fact: inventory::Refunded) -> Self {
        Self {
            payment_id: fact.payment,
            booking_id: fact.booking,
            event_id: fact.booking.event,
            amount: fact.amount_minor,
        }
    }
}
