//! What the identity store says of who is let in, followed by every process.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Auth, barred};
use crate::identity::{IdentityStore, StoreError};

/// How often the store is asked: nobody acts for longer in the name of who was erased, with roles that
/// are gone, or with a key that was revoked.
const EVERY: Duration = Duration::from_millis(500);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl Auth {
    /// Takes from `store` whose tokens are refused, and which keys of services are in force.
    ///
    /// # Errors
    /// The store does not answer. What it said before stays.
    pub async fn look_at(&self, store: &dyn IdentityStore) -> Result<(), StoreError> {
        let now = self.now();
        let asked =
            async { tokio::try_join!(store.barred(now, barred::MOST), store.service_keys()) };
        let said = tokio::time::timeout(PATIENCE, asked).await;
        let (barred, keys) = said.unwrap_or_else(|late| Err(StoreError(late.into())))?;
        self.barred().replace(&barred, barred::MOST, now);
        self.services().replace(keys, now);
        Ok(())
    }

    /// Does so twice a second, for ever. A store that is away lets nobody be erased by way of it.
    pub async fn follow(self, store: Arc<dyn IdentityStore>, stop: CancellationToken) {
        let mut is_away = false;
        loop {
            let looked = stop.run_until_cancelled(self.look_at(&*store)).await;
            let Some(looked) = looked else { return };
            if let Err(error) = &looked
                && !is_away
            {
                let error: &dyn std::error::Error = error;
                tracing::warn!(error, "it is not known who is let in no more since");
            }
            is_away = looked.is_err();
            if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }
}
