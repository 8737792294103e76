//! What clients' idempotency keys are hashed with before they are stored (AC-3).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use infra::identity::Vault;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// How long the start waits for an identity store that was never used from here.
const ANSWER: Duration = Duration::from_secs(3);
/// How often it is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// The secret, once it is known, which it is from the start wherever an identity store was used before.
pub(crate) struct RequestSecret {
    vault: Arc<Vault>,
    known: OnceLock<Zeroizing<[u8; 32]>>,
}

impl RequestSecret {
    pub(crate) async fn of(vault: Arc<Vault>) -> Self {
        let secret = Self { vault, known: OnceLock::new() };
        if secret.get().is_none() {
            // If it does not answer in time it is asked again.
            let _ = tokio::time::timeout(ANSWER, secret.ask()).await;
        }
        secret
    }

    /// Asks until it is known.
    pub(crate) async fn learn(self: Arc<Self>, stop: CancellationToken) {
        let learning = async {
            while self.get().is_none() {
                tokio::time::sleep(AGAIN).await;
                self.ask().await;
            }
        };
        stop.run_until_cancelled(learning).await;
    }

    async fn ask(&self) {
        if let Err(error) = self.vault.settle().await {
            // Whoever needs more of the store than its name tells operators of it.
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "clients' keys cannot be hidden yet");
        }
    }

    /// Without a lock once it is known.
    pub(crate) fn get(&self) -> Option<&[u8; 32]> {
        if self.known.get().is_none() {
            // Whoever is second finds the same there.
            let _ = self.known.set(self.vault.requests()?);
        }
        self.known.get().map(|known| &**known)
    }
}
