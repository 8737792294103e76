//! Where the orders of those who run the views are written down: in the log, by those who write all orders.

use std::sync::Arc;

use async_trait::async_trait;
use domain::administration::Fact;
use infra::clock::Clock;
use infra::log::Log;
use projections::NotWritten;

/// The log of this process, for orders.
pub(crate) struct Orders {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl projections::Orders for Orders {
    async fn write_down(&self, order: Fact) -> Result<(), NotWritten> {
        let written = command_api::write_down(self.log.clone(), self.clock.clone(), order).await;
        written.map_err(|error| NotWritten(error.into()))
    }
}
