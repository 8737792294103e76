//! A payment provider for development, tests and the demo: the token decides what happens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::PaymentId;

use super::ledger::{Books, Decision, Ledger, OpenError};
use super::{Charge, ChargeOutcome, PaymentProvider, PaymentStatus, ProviderError, Refund};
use crate::clock::Clock;

/// Stands for an outside company. What it charged and refunded is in a file of its own.
///
/// | token | what happens |
/// | --- | --- |
/// | `tok_success` | charged |
/// | `tok_timeout` | no answer; the order never arrived |
/// | `tok_late` | no answer; charged once the answer has timed out |
/// | `tok_declined` and all others | declined |
///
/// An order under a payment id that is decided already gets the first outcome, whatever its token.
pub struct MockProvider {
    books: Books,
    clock: Arc<dyn Clock>,
    answer_timeout: Duration,
}

impl MockProvider {
    /// The provider with its ledger at `path`, made if there is none. Orders that get no answer
    /// end after `answer_timeout`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        answer_timeout: Duration,
    ) -> Result<Self, OpenError> {
        Ok(Self { books: Books::open(path)?, clock, answer_timeout })
    }

    /// All that was charged and refunded: what tests and audits compare the log with.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn ledger(&self) -> Result<Ledger, ProviderError> {
        let now = self.clock.now();
        self.books.ask(move |page| page.ledger(now)).await
    }

    async fn no_answer(&self) -> Result<ChargeOutcome, ProviderError> {
        tokio::time::sleep(self.answer_timeout).await;
        Err(ProviderError::TimedOut)
    }
}

#[async_trait]
impl PaymentProvider for MockProvider {
    async fn charge(&self, order: &Charge) -> Result<ChargeOutcome, ProviderError> {
        let decision = match order.token.as_str() {
            "tok_timeout" => return self.no_answer().await,
            "tok_success" => Decision::Succeeds,
            "tok_late" => Decision::SucceedsAfter(self.answer_timeout),
            _ => Decision::Declines,
        };
        let (charge, now) = (order.clone(), self.clock.now());
        let status = self.books.ask(move |page| page.charge(&charge, decision, now)).await?;
        match status {
            PaymentStatus::Succeeded => Ok(ChargeOutcome::Succeeded),
            PaymentStatus::Declined => Ok(ChargeOutcome::Declined),
            PaymentStatus::Pending | PaymentStatus::NotFound => {
                let answer = self.no_answer().await;
                let payment = order.payment;
                self.books.ask(move |page| page.settle(payment)).await?;
                answer
            }
        }
    }

    async fn refund(&self, order: &Refund) -> Result<(), ProviderError> {
        let (order, now) = (order.clone(), self.clock.now());
        self.books.ask(move |page| page.refund(&order, now)).await
    }

    async fn status(&self, payment: PaymentId) -> Result<PaymentStatus, ProviderError> {
        let now = self.clock.now();
        self.books.ask(move |page| page.status(payment, now)).await
    }
}
