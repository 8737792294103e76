//! Records of a time that has not come yet: this machine's clock, or another node's, was ahead when they
//! were written, or this one's is behind. The program cannot know which, so it tells.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{EventId, Time};
use infra::clock::Clock;
use parking_lot::Mutex;

use super::wake::WakeList;

/// How far the clocks of nodes may be apart without anybody being told. So long a decision waits for
/// the time of the record before it, so that times in a stream go forward. If that record's time is
/// further away, a clock went wrong, and what is decided now is decided by the clock as it is now.
pub const CLOCKS_APART: Duration = Duration::from_secs(60);

/// Events of which it is told by name, at most.
const MOST_NAMED: usize = 256;

/// How far the log is ahead of this machine's clock.
pub(crate) struct Ahead {
    clock: Arc<dyn Clock>,
    wake: Arc<WakeList>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    is_ahead: bool,
    /// Events whose records are of a time that has not come.
    events: HashSet<EventId>,
}

/// Whether a record of this time was written by a clock that went wrong, or this one did.
pub(crate) fn is_wrong(last: Time, now: Time) -> bool {
    u128::from(last.ms_since(now)) > CLOCKS_APART.as_millis()
}

impl Ahead {
    pub(crate) fn new(clock: Arc<dyn Clock>, wake: Arc<WakeList>) -> Self {
        Self { clock, wake, told: Mutex::default() }
    }

    /// How far the latest time of any record lies ahead of the clock.
    pub(crate) fn lead(&self) -> Duration {
        Duration::from_millis(self.wake.latest().ms_since(self.clock.now()))
    }

    /// Tells when the log begins to be ahead, and when the clock has come to its time.
    pub(crate) fn look(&self) {
        let (latest, now) = (self.wake.latest(), self.clock.now());
        let mut told = self.told.lock();
        if !told.is_ahead && is_wrong(latest, now) {
            told.is_ahead = true;
            tracing::warn!(
                ahead_s = latest.ms_since(now) / 1_000,
                %latest,
                "the log has records of a time that has not come yet: see that the clocks of all nodes \
                 are right; holds that were made meanwhile end at the deadlines that their buyers were told"
            );
        } else if told.is_ahead && latest <= now {
            *told = Told::default();
            tracing::info!(%latest, "the clock has come to the time of the log's latest record");
        }
    }

    /// A decision on the event is of an earlier time than its last record. Tells of each event once,
    /// and of no more than operators read.
    pub(crate) fn went_back(&self, event: EventId, last: Time) {
        let mut told = self.told.lock();
        let count = told.events.len();
        if count < MOST_NAMED && told.events.insert(event) {
            let (ahead_s, more) = (last.ms_since(self.clock.now()) / 1_000, count + 1 < MOST_NAMED);
            tracing::warn!(
                %event,
                ahead_s,
                "its last record is of a time that has not come yet; from here on it is decided by the \
                 clock again{}",
                if more { "" } else { "; further events are not named" }
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use infra::clock::ManualClock;
    use infra::log::Position;

    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Time::from_ms(1_000_000)));
        let wake = WakeList::load(&folder.path().join("wake.json"), Position(0)).unwrap();
        let ahead = Ahead::new(clock.clone(), Arc::new(wake));
        let is_told = || {
            ahead.look();
            ahead.told.lock().is_ahead
        };
        ahead.wake.reached(clock.now());
        assert_eq!((ahead.lead(), is_told()), (Duration::ZERO, false));
        ahead.wake.reached(clock.now().plus_s(60));
        assert_eq!((ahead.lead(), is_told()), (CLOCKS_APART, false));
        ahead.wake.reached(clock.now().plus_s(61));
        assert_eq!((ahead.lead(), is_told()), (Duration::from_secs(61), true));
        // Nobody reads the same again and again while it passes.
        clock.advance_ms(60_999);
        assert!(is_told());
        clock.advance_ms(1);
        assert_eq!((ahead.lead(), is_told()), (Duration::ZERO, false));
    }

    #[test]
    fn events_are_named_once_and_not_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Time::default()));
        let wake = WakeList::load(&folder.path().join("wake.json"), Position(0)).unwrap();
        let ahead = Ahead::new(clock, Arc::new(wake));
        for number in (0..2_000).chain(0..2_000) {
            ahead.went_back(EventId::from_u128(number), Time::from_ms(86_400_000));
        }
        assert_eq!(ahead.told.lock().events.len(), MOST_NAMED);
    }
}
