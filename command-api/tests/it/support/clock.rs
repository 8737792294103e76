//! A clock that runs like the machine's and can be moved on, and stopped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::Time;
use infra::clock::{Clock, SystemClock};

/// The machine's time, plus what was skipped.
#[derive(Debug, Default)]
pub(crate) struct SkippingClock {
    skipped_ms: AtomicI64,
    stands_at: OnceLock<Time>,
}

impl SkippingClock {
    /// Nobody has to wait for these seconds.
    pub(crate) fn skip_s(&self, seconds: u64) {
        self.skipped_ms.fetch_add(ms(seconds), Ordering::SeqCst);
    }

    /// Somebody sets it back.
    pub(crate) fn go_back_s(&self, seconds: u64) {
        self.skipped_ms.fetch_sub(ms(seconds), Ordering::SeqCst);
    }

    /// It moves only when it is moved on.
    pub(crate) fn stand_still(&self) {
        self.stands_at.get_or_init(|| SystemClock.now());
    }
}

fn ms(seconds: u64) -> i64 {
    i64::try_from(seconds * 1_000).unwrap()
}

impl Clock for SkippingClock {
    fn now(&self) -> Time {
        let now = self.stands_at.get().copied().unwrap_or_else(|| SystemClock.now());
        Time::from_ms(now.as_ms() + self.skipped_ms.load(Ordering::SeqCst))
    }
}
