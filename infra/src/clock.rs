//! The one place that knows what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use domain::Time;

/// Tells the time. Shared as `Arc<dyn Clock>`.
pub trait Clock: Send + Sync + 'static {
    /// The present moment, to the millisecond.
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others are to ask")]
    fn now(&self) -> Time {
        // Before 1970 only if the machine's clock is broken; 1970 is then as good as any.
        let since_1970 =
            std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_ms(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is set: for tests and for replaying what happened.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub const fn new(now: Time) -> Self {
        Self(AtomicI64::new(now.as_ms()))
    }

    /// Moves the clock to `now`, forward or back.
    pub fn set(&self, now: Time) {
        self.0.store(now.as_ms(), Ordering::SeqCst);
    }

    /// Moves the clock forward by this many milliseconds.
    pub fn advance_ms(&self, ms: u64) {
        self.set(self.now().plus_ms(ms));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_ms(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_goes_where_it_is_told() {
        let clock = ManualClock::new(Time::from_ms(1_000));
        assert_eq!(clock.now(), Time::from_ms(1_000));
        clock.advance_ms(250);
        assert_eq!(clock.now(), Time::from_ms(1_250));
        clock.set(Time::from_ms(5));
        assert_eq!(clock.now(), Time::from_ms(5));
    }

    #[test]
    fn the_system_clock_is_in_this_century() {
        let start: Time = "2025-01-01T00:00:00Z".parse().unwrap();
        let end: Time = "2125-01-01T00:00:00Z".parse().unwrap();
        assert!((start..end).contains(&SystemClock.now()));
    }
}
