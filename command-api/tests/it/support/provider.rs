//! The mock provider behind a connection that fails when told to.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use domain::PaymentId;
use infra::payment::{
    Charge, ChargeOutcome, MockProvider, PaymentProvider, PaymentStatus, ProviderError, Refund,
};
use parking_lot::Mutex;

/// What happens to one order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    /// The order does not get through.
    Down,
    /// It is carried out, but the answer does not get through.
    Deaf,
}

pub(crate) struct FarProvider {
    inner: Arc<MockProvider>,
    lines: Mutex<VecDeque<Line>>,
}

impl FarProvider {
    pub(crate) fn new(inner: Arc<MockProvider>) -> Arc<Self> {
        Arc::new(Self { inner, lines: Mutex::default() })
    }

    /// The next orders meet these, one each.
    pub(crate) fn next(&self, lines: impl IntoIterator<Item = Line>) {
        self.lines.lock().extend(lines);
    }

    async fn through<T>(
        &self,
        order: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let line = self.lines.lock().pop_front();
        match line {
            None => order.await,
            Some(Line::Down) => Err(ProviderError::Unavailable("as the test ordered".into())),
            Some(Line::Deaf) => {
                order.await?;
                Err(ProviderError::TimedOut)
            }
        }
    }
}

#[async_trait]
impl PaymentProvider for FarProvider {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, ProviderError> {
        self.through(self.inner.charge(charge)).await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), ProviderError> {
        self.through(self.inner.refund(refund)).await
    }

    async fn status(&self, payment: PaymentId) -> Result<PaymentStatus, ProviderError> {
        self.through(self.inner.status(payment)).await
    }
}
