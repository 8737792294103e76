//! What ends the process because going on would be worse.

use std::panic::{self, PanicHookInfo};

use infra::http::RequestId;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled when something panics that no request waits for: the tasks behind the
/// API run as long as the process, so one that ends leaves it without writers, projections or
/// subscriptions. A new process reads everything from the log again.
///
/// A panic while a request is answered is that request's alone (500).
pub(crate) fn watch() -> CancellationToken {
    let crashed = CancellationToken::new();
    let crash = crashed.clone();
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        report(panic);
        if RequestId::current().is_none() {
            crash.cancel();
        }
    }));
    crashed
}
