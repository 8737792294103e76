//! Charging and refunding through a payment provider (PM-1).

mod ledger;
mod mock;
mod traced;

use async_trait::async_trait;
use domain::{Currency, PaymentId};

pub use ledger::{Ledger, LedgerCharge, LedgerRefund, OpenError};
pub use mock::MockProvider;
pub use traced::Traced;

/// An order to charge.
#[derive(Clone, PartialEq, Eq)]
pub struct Charge {
    /// The key under which the provider charges at most once.
    pub payment: PaymentId,
    /// How much, in minor units; more than 0.
    pub amount_minor: i64,
    /// Of what.
    pub currency: Currency,
    /// What the client got from the provider for its card. A secret: never logged or stored.
    pub token: String,
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { payment, amount_minor, currency, token: _ } = self;
        write!(f, "Charge({payment}, {amount_minor} {currency})")
    }
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The money is ours.
    Succeeded,
    /// Nothing was charged, and under this payment id nothing will be.
    Declined,
}

/// An order to give money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The payment that was charged.
    pub payment: PaymentId,
    /// The key under which the provider refunds at most once for this payment: the reason, e.g.
    /// `cancelled`.
    pub reason: String,
    /// How much, in minor units; more than 0. All refunds together never exceed the charge.
    pub amount_minor: i64,
    /// Of what; the charge's.
    pub currency: Currency,
}

/// What a provider knows of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// It was charged. Refunds do not change this.
    Succeeded,
    /// It was declined.
    Declined,
    /// The provider never heard of it.
    NotFound,
    /// The provider has not decided; ask again later.
    Pending,
}

/// Why a provider's answer is missing.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No answer in time: it may or may not have been carried out. Ask for the status.
    #[error("the payment provider did not answer in time")]
    TimedOut,
    /// The provider took no order: nothing was carried out.
    #[error("the payment provider is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The order contradicts what the provider knows: nothing was carried out, and asking again
    /// will not help. A fault of ours.
    #[error("the payment provider refuses the order: {0}")]
    Refused(&'static str),
}

/// A payment provider. Every call may take long: callers set a time-out of their own, after which
/// the outcome is unknown, as with [`ProviderError::TimedOut`].
#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    /// Charges once per payment id: the same order again gets the first outcome.
    ///
    /// # Errors
    /// See [`ProviderError`].
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, ProviderError>;

    /// Refunds once per payment id and reason: the same order again succeeds and does nothing.
    ///
    /// # Errors
    /// See [`ProviderError`]; `Refused` for more than was charged.
    async fn refund(&self, refund: &Refund) -> Result<(), ProviderError>;

    /// What became of a charge.
    ///
    /// # Errors
    /// See [`ProviderError`].
    async fn status(&self, payment: PaymentId) -> Result<PaymentStatus, ProviderError>;
}
