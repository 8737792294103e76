//! Whose tokens are refused although they are valid: of persons who were erased since, who lost
//! roles, or whose sessions were ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{Time, UserId};
use parking_lot::RwLock;

use crate::identity::Bar;

/// How long an access token is valid that somebody got by logging in (AC-2).
pub const ACCESS_TTL: Duration = Duration::from_secs(15 * 60);

/// How much longer than such a token is valid, in seconds, it is refused: by whoever has a clock that
/// is behind.
const LATE_S: u64 = 60;

/// Persons known one by one. Of more, all tokens from before the earlier ones were barred are
/// refused: their bearers get another with their refresh token.
pub(super) const MOST: usize = 65_536;

impl Bar {
    /// Later than any token is issued.
    pub const EVER: Time = Time::LATEST;

    /// Of every token there is and will be: the person was erased.
    pub fn all(user: UserId, now: Time) -> Self {
        Self { before: Self::EVER, ..Self::older(user, now) }
    }

    /// Of the tokens that were made of what was known until `now`, in the same millisecond too.
    pub fn older(user: UserId, now: Time) -> Self {
        let until = now.plus_s(ACCESS_TTL.as_secs() + LATE_S);
        Self { user, before: now.plus_ms(1), until }
    }
}

/// Whose tokens are refused. Costs a look at one flag as long as that is nobody's.
#[derive(Default)]
pub(super) struct Barred {
    is_somebody: AtomicBool,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Before when, as the store said.
    persons: HashMap<UserId, Time>,
    /// What this process said, until the store says it too.
    own: HashMap<UserId, Bar>,
    /// Whatever was issued before this is refused, whoever bears it.
    before: Option<Time>,
}

impl Known {
    fn before(&self, user: UserId) -> Option<Time> {
        let own = self.own.get(&user).map(|bar| bar.before);
        self.persons.get(&user).copied().max(own)
    }
}

impl Barred {
    /// Whether a token of `user` that was issued at `issued` is refused.
    pub(super) fn has(&self, user: UserId, issued: Time) -> bool {
        if !self.is_somebody.load(Ordering::Acquire) {
            return false;
        }
        let known = self.known.read();
        let older = |before| issued < before || before == Bar::EVER;
        known.before(user).is_some_and(older) || known.before.is_some_and(older)
    }

    /// Before when tokens of `user` are refused, if not all of them are.
    pub(super) fn before(&self, user: UserId) -> Option<Time> {
        if !self.is_somebody.load(Ordering::Acquire) {
            return None;
        }
        self.known.read().before(user).filter(|before| *before != Bar::EVER)
    }

    /// Takes what was said to the store here.
    pub(super) fn add(&self, bar: Bar) {
        let mut known = self.known.write();
        let own = known.own.entry(bar.user).or_insert(bar);
        *own = Bar { before: own.before.max(bar.before), until: own.until.max(bar.until), ..bar };
        self.is_somebody.store(true, Ordering::Release);
    }

    /// Takes what the store said at `now`: those first who are barred longest, `most` of them at most.
    pub(super) fn replace(&self, bars: &[Bar], most: usize, now: Time) {
        // Who was left out was barred before the last one here was.
        let last = bars.last().filter(|_| bars.len() >= most).map(|last| last.until);
        let ttl_ms = i64::try_from(ACCESS_TTL.as_millis()).unwrap_or(i64::MAX);
        let mut known = self.known.write();
        known.before = last.map(|until| Time::from_ms(until.as_ms().saturating_sub(ttl_ms)));
        known.persons = bars.iter().map(|bar| (bar.user, bar.before)).collect();
        let Known { persons, own, .. } = &mut *known;
        // It may have been asked before it was told.
        own.retain(|user, bar| {
            let is_said = persons.get(user).is_some_and(|before| *before >= bar.before);
            now < bar.until && !is_said && last.is_none_or(|last| bar.until > last)
        });
        self.is_somebody.store(!persons.is_empty() || !own.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::from_ms(1_800_000_000_000).plus_s(s)
    }

    fn user(bits: u128) -> UserId {
        UserId::from_u128(bits)
    }

    #[test]
    fn beyond_what_is_kept_all_older_tokens_are_refused() {
        let barred = Barred::default();
        let ttl = ACCESS_TTL.as_secs();
        let all = |bits, until| Bar { user: user(bits), before: Bar::EVER, until };
        let said = [all(1, at(ttl + 9)), all(2, at(ttl + 5))];
        barred.replace(&said, 3, at(0));
        assert!(barred.has(user(1), at(7)) && barred.has(user(2), at(0)));
        assert!(!barred.has(user(3), at(0)));
        barred.replace(&said, 2, at(0));
        assert!(barred.has(user(1), at(7)) && barred.has(user(3), at(4)));
        assert!(!barred.has(user(3), at(5)));
        barred.replace(&[], 2, at(0));
        assert!(!barred.has(user(1), at(0)) && !barred.has(user(3), at(0)));
    }

    #[test]
    fn what_was_said_here_counts_before_the_store_says_it_and_no_longer_than_it_has_to() {
        let barred = Barred::default();
        let bar = Bar::older(user(1), at(5));
        barred.add(bar);
        barred.add(Bar::older(user(1), at(3)));
        let is_known = || {
            assert!(barred.has(user(1), at(4)) && barred.has(user(1), at(5)));
            assert!(!barred.has(user(1), bar.before) && !barred.has(user(2), at(4)));
            assert_eq!(barred.before(user(1)), Some(bar.before));
        };
        is_known();
        // Asked before it was told; or told an earlier one only.
        barred.replace(&[], 9, at(5));
        is_known();
        barred.replace(&[Bar::older(user(1), at(3))], 9, at(5));
        is_known();
        barred.replace(&[bar], 9, at(5));
        is_known();
        assert!(barred.known.read().own.is_empty());
        barred.replace(&[], 9, at(6));
        assert!(!barred.has(user(1), at(4)));
        // Nor is it kept for longer if the store never says it.
        barred.add(bar);
        barred.replace(&[], 9, bar.until);
        assert!(!barred.has(user(1), at(4)) && barred.before(user(1)).is_none());
    }

    #[test]
    fn no_token_of_the_erased_is_late_enough() {
        let barred = Barred::default();
        barred.add(Bar::all(user(1), at(0)));
        assert!(barred.has(user(1), at(1_000)) && barred.has(user(1), Bar::EVER));
        assert_eq!(barred.before(user(1)), None);
    }
}
