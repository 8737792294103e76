//! Taking turns at a stream to which other nodes write, too.
//!
//! Who was first with one append would be first with the next, and with all after it: everybody else
//! has to read what was written before they can decide again. So whoever lost a race lately gives way
//! after each append of their own, for as long as it took them to read, decide and append again; and
//! whoever loses decides on fewer commands each time, until they are fast enough to be first once.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a lost race others are thought to be there.
const CONTENDED: Duration = Duration::from_secs(1);

/// The longest that anybody gives way.
const LONGEST: Duration = Duration::from_millis(20);

/// What is known of others who write to the same stream.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// When a race was lost last.
    lost: Option<Instant>,
    /// How long it took then to read what others wrote, to decide on it and to append.
    round: Duration,
    /// Until when it is others' turn.
    until: Option<Instant>,
}

impl Turns {
    /// Somebody else was first.
    pub(super) fn lost(&mut self, now: Instant) {
        self.lost = Some(now);
    }

    /// An append that was begun then succeeded; `was_late` says whether it was the repetition of one
    /// that did not.
    pub(super) fn won(&mut self, began: Instant, now: Instant, was_late: bool) {
        if was_late {
            self.round = LONGEST.min(now - began);
        }
        let is_contended = self.lost.is_some_and(|lost| now < lost + CONTENDED);
        self.until = is_contended.then(|| now + self.round);
    }

    /// Until when nothing should be begun here, if others may be there.
    pub(super) fn others_until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_is_alone_does_not_wait() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.won(now, now + 5 * MS, false);
        assert_eq!(turns.others_until(), None);
    }

    #[test]
    fn who_was_late_gives_others_as_long_as_they_needed_themselves_until_nobody_comes() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.lost(now);
        turns.won(now + MS, now + 5 * MS, true);
        assert_eq!(turns.others_until(), Some(now + 9 * MS));
        turns.won(now + 9 * MS, now + 11 * MS, false);
        assert_eq!(turns.others_until(), Some(now + 15 * MS));
        turns.won(now + CONTENDED, now + CONTENDED + MS, false);
        assert_eq!(turns.others_until(), None);
    }

    #[test]
    fn nobody_waits_long() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.lost(now);
        turns.won(now, now + 500 * MS, true);
        assert_eq!(turns.others_until(), Some(now + 500 * MS + LONGEST));
    }
}
