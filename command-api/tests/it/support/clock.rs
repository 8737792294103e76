//! A clock that runs like the machine's and can be moved on.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::Time;
use infra::clock::{Clock, SystemClock};

/// The machine's time, plus what was skipped.
#[derive(Debug, Default)]
pub(crate) struct SkippingClock(AtomicU64);

impl SkippingClock {
    /// Nobody has to wait for these seconds.
    pub(crate) fn skip_s(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Time {
        SystemClock.now().plus_ms(self.0.load(Ordering::SeqCst))
    }
}
