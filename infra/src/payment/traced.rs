//! Questions to a payment provider as parts of traces.

use std::sync::Arc;

use async_trait::async_trait;
use domain::PaymentId;
use tracing::{Instrument, Span};

use super::{Charge, ChargeOutcome, PaymentProvider, PaymentStatus, ProviderError, Refund};
use crate::trace::{self, Answered};

/// A provider whose answers, and how long they took, are seen in the trace of the request that is
/// paid for.
pub struct Traced(pub Arc<dyn PaymentProvider>);

#[async_trait]
impl PaymentProvider for Traced {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, ProviderError> {
        let told = |outcome: &ChargeOutcome| match outcome {
            ChargeOutcome::Succeeded => "succeeded",
            ChargeOutcome::Declined => "declined",
        };
        ask("charge", self.0.charge(charge), told).await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), ProviderError> {
        ask("refund", self.0.refund(refund), |()| "refunded").await
    }

    async fn status(&self, payment: PaymentId) -> Result<PaymentStatus, ProviderError> {
        let told = |status: &PaymentStatus| match status {
            PaymentStatus::Succeeded => "succeeded",
            PaymentStatus::Declined => "declined",
            PaymentStatus::NotFound => "not found",
            PaymentStatus::Pending => "pending",
        };
        ask("status", self.0.status(payment), told).await
    }
}

async fn ask<T>(
    operation: &'static str,
    question: impl Future<Output = Result<T, ProviderError>>,
    told: impl FnOnce(&T) -> &'static str,
) -> Result<T, ProviderError> {
    let mut asking = Asking(Some(trace::provider(trace::current(), operation)));
    let span = asking.0.clone().unwrap_or_else(Span::none);
    let answer = question.instrument(span.clone()).await;
    asking.0 = None;
    match &answer {
        Ok(answer) => span.answered(told(answer), false),
        Err(ProviderError::TimedOut) => span.answered("unanswered", true),
        Err(ProviderError::Unavailable(_)) => span.answered("unavailable", true),
        Err(ProviderError::Refused(_)) => span.answered("refused", true),
    }
    answer
}

/// A question that is given up when this is dropped, unless the span was taken out before.
struct Asking(Option<Span>);

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(span) = &self.0 {
            span.answered("unanswered", true);
        }
    }
}
