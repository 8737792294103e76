//! Waiting for what other programs do.

use std::time::Duration;

/// Waits until `condition` holds. Longer than a broker needs on a busy machine is too long.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), waiting).await;
    waited.unwrap_or_else(|_| panic!("it never came true that {what}"));
}
