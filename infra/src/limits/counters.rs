//! Counts requests of very many askers, without locks and in memory that does not grow.
//!
//! Each asker has one number: the moment at which all they asked for is paid off (GCRA). Those numbers
//! lie in a table of small rows; an asker is found in their row by a tag. Who has paid everything off
//! leaves their place to others, and in a row that is full of debtors the one who owes least is
//! forgiven: more askers than places are let through, never refused for one another.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use domain::Time;

/// Rows of 8 places of 8 bytes: half a million places in 4 MiB, which is touched where it is used.
const ROWS: usize = 1 << 16;
const PLACES: usize = 8;

/// Time is counted in tenths of milliseconds, in 44 bits, which begin anew every 55 years.
const TICKS_PER_MS: u64 = 10;
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const MINUTE: u64 = 60_000 * TICKS_PER_MS;

/// The most that can be counted: beyond it a request would cost less than ten ticks, which are not
/// divided.
pub(super) const MOST_PER_MINUTE: u32 = 60_000;

/// What so many processes granted at once is paid off by who got it; what more did is forgiven.
const MOST_PROCESSES: u64 = 8;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It may be answered.
    Granted {
        /// How many more may be asked at once.
        left: u32,
        /// When all may be asked again, in seconds.
        reset_s: u32,
    },
    /// It is too much.
    Refused {
        /// When one may be asked again, in seconds.
        retry_after_s: u32,
    },
}

/// Counters of one budget.
pub(super) struct Counters {
    rows: Box<[[AtomicU64; PLACES]]>,
    hasher: RandomState,
    /// So many may be asked at once, and in `minutes`.
    most: u32,
    minutes: u32,
    /// What a request costs, in ticks.
    cost: u64,
    /// The most that can be owed, in ticks. More is owed only to a clock that stepped back.
    longest: u64,
}

impl Counters {
    /// Of so many requests in so many minutes.
    pub(super) fn new(most: u32, minutes: u32) -> Self {
        let rows = (0..ROWS).map(|_| [const { AtomicU64::new(0) }; PLACES]).collect();
        let most = most.clamp(1, MOST_PER_MINUTE);
        let cost = MINUTE * u64::from(minutes) / u64::from(most);
        let longest = cost * u64::from(most);
        Self { rows, hasher: RandomState::new(), most, minutes, cost, longest }
    }

    /// The same, of askers who ask other processes too, which may grant as much as this one before
    /// they know of each other.
    pub(super) fn shared(most: u32, minutes: u32) -> Self {
        let alone = Self::new(most, minutes);
        Self { longest: alone.longest * MOST_PROCESSES, ..alone }
    }

    /// What a request costs, in ticks.
    pub(super) const fn cost(&self) -> u64 {
        self.cost
    }

    /// The most that can be owed, in ticks.
    pub(super) const fn longest(&self) -> u64 {
        self.longest
    }

    /// From `now` on the asker owes at least so many ticks.
    pub(super) fn raise(&self, asker: impl Hash, owed: u64, now: Time) {
        let (row, tag, now) = self.place(asker, now);
        let owed = owed.min(self.longest);
        loop {
            let (place, found) = find(row, tag, now);
            let before = (found & TIME_MASK).saturating_sub(now);
            let is_owed = found >> TIME_BITS == tag && before <= self.longest;
            if owed == 0 || is_owed && before >= owed {
                return;
            }
            let new = tag << TIME_BITS | (now + owed) & TIME_MASK;
            let place = &row[place];
            if place.compare_exchange(found, new, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Where an asker is looked for, by which tag, and the time in ticks.
    fn place(&self, asker: impl Hash, now: Time) -> (&[AtomicU64; PLACES], u64, u64) {
        let hash = self.hasher.hash_one(asker);
        let now = u64::try_from(now.as_ms()).unwrap_or(0).wrapping_mul(TICKS_PER_MS) & TIME_MASK;
        // Never 0, which is a place that was never used.
        (&self.rows[(hash as usize) % ROWS], (hash >> TIME_BITS) | 1, now)
    }

    /// So many requests in so many minutes.
    pub(super) const fn policy(&self) -> (u32, u32) {
        (self.most, self.minutes)
    }

    /// Counts a request at `now`, unless it is too much.
    pub(super) fn ask(&self, asker: impl Hash, now: Time) -> Asked {
        let (row, tag, now) = self.place(asker, now);
        loop {
            let (place, found) = find(row, tag, now);
            let most = self.cost * u64::from(self.most);
            let before = (found & TIME_MASK).saturating_sub(now);
            // More than there can be is forgiven.
            let is_owed = found >> TIME_BITS == tag && before <= self.longest;
            let owed = self.cost + if is_owed { before } else { 0 };
            let paid_at = now + owed;
            if owed > most {
                return Asked::Refused { retry_after_s: seconds(owed - most) };
            }
            let new = tag << TIME_BITS | paid_at & TIME_MASK;
            let place = &row[place];
            if place.compare_exchange(found, new, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                let left = u32::try_from((most - owed) / self.cost).unwrap_or(u32::MAX);
                return Asked::Granted { left, reset_s: seconds(owed) };
            }
        }
    }
}

/// The place of `tag`, or else the one that is given up for it, with what is in it.
fn find(row: &[AtomicU64; PLACES], tag: u64, now: u64) -> (usize, u64) {
    let mut least = (0, u64::MAX, 0);
    for (place, number) in row.iter().enumerate() {
        let number = number.load(Ordering::Relaxed);
        if number >> TIME_BITS == tag {
            return (place, number);
        }
        let owed = (number & TIME_MASK).saturating_sub(now);
        if owed < least.1 {
            least = (place, owed, number);
        }
    }
    (least.0, least.2)
}

fn seconds(ticks: u64) -> u32 {
    u32::try_from(ticks.div_ceil(1_000 * TICKS_PER_MS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_ms(1_800_000_000_000 + ms)
    }

    #[test]
    fn as_many_as_allowed_and_then_one_after_the_other() {
        let counters = Counters::new(10, 1);
        for left in (0..10).rev() {
            let reset_s = 6 * (10 - left);
            assert_eq!(counters.ask("ada", at(0)), Asked::Granted { left, reset_s });
        }
        assert_eq!(counters.ask("ada", at(0)), Asked::Refused { retry_after_s: 6 });
        assert_eq!(counters.ask("ada", at(5_999)), Asked::Refused { retry_after_s: 1 });
        // What is refused costs nothing.
        assert_eq!(counters.ask("ada", at(6_000)), Asked::Granted { left: 0, reset_s: 60 });
        assert_eq!(counters.ask("ada", at(6_000)), Asked::Refused { retry_after_s: 6 });
        // Another has a budget of their own, and a minute later all of it is there again.
        assert_eq!(counters.ask("eve", at(6_000)), Asked::Granted { left: 9, reset_s: 6 });
        assert_eq!(counters.ask("ada", at(66_000)), Asked::Granted { left: 9, reset_s: 6 });
    }

    #[test]
    fn what_is_counted_by_the_hour_comes_back_in_an_hour() {
        let counters = Counters::new(5, 60);
        for left in (0..5).rev() {
            let reset_s = 720 * (5 - left);
            assert_eq!(counters.ask("ada", at(0)), Asked::Granted { left, reset_s });
        }
        assert_eq!(counters.ask("ada", at(60_000)), Asked::Refused { retry_after_s: 660 });
        assert_eq!(counters.ask("ada", at(720_000)), Asked::Granted { left: 0, reset_s: 3_600 });
    }

    #[test]
    fn a_clock_that_steps_back_refuses_nobody_for_long() {
        let counters = Counters::new(10, 1);
        counters.ask("ada", at(3_600_000));
        assert_eq!(counters.ask("ada", at(3_599_000)), Asked::Granted { left: 7, reset_s: 13 });
        assert_eq!(counters.ask("ada", at(0)), Asked::Granted { left: 9, reset_s: 6 });
    }

    #[test]
    fn what_others_granted_has_to_be_paid_off_here_too() {
        let counters = Counters::shared(10, 1);
        assert_eq!(counters.ask("ada", at(0)), Asked::Granted { left: 9, reset_s: 6 });
        // Four of ten requests by all processes.
        counters.raise("ada", 4 * counters.cost(), at(0));
        assert_eq!(counters.ask("ada", at(0)), Asked::Granted { left: 5, reset_s: 30 });
        // It is less than what is known here.
        counters.raise("ada", 4 * counters.cost(), at(0));
        assert_eq!(counters.ask("ada", at(0)), Asked::Granted { left: 4, reset_s: 36 });
        // Three processes granted ten each before they knew of each other.
        counters.raise("ada", 30 * counters.cost(), at(0));
        assert_eq!(counters.ask("ada", at(0)), Asked::Refused { retry_after_s: 126 });
        assert_eq!(counters.ask("ada", at(126_000)), Asked::Granted { left: 0, reset_s: 60 });
        counters.raise("eve", 1_000 * counters.cost(), at(0));
        assert_eq!(counters.ask("eve", at(0)), Asked::Refused { retry_after_s: 8 * 60 + 6 - 60 });
        counters.raise("bob", 0, at(0));
        assert_eq!(counters.ask("bob", at(0)), Asked::Granted { left: 9, reset_s: 6 });
    }

    #[test]
    fn of_those_who_ask_at_once_no_more_get_through() {
        let counters = Counters::new(1_000, 1);
        let granted = std::thread::scope(|scope| {
            let count = || {
                let asked = (0..500).map(|_| counters.ask("ada", at(0)));
                asked.filter(|asked| matches!(asked, Asked::Granted { .. })).count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(granted, 1_000);
    }

    #[test]
    fn more_askers_than_places_are_not_refused_for_one_another() {
        let counters = Counters::new(2, 1);
        for asker in 0..(ROWS * PLACES * 2) as u64 {
            assert!(matches!(counters.ask(asker, at(0)), Asked::Granted { .. }), "{asker}");
        }
    }
}
