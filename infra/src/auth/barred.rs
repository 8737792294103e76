//! Whose tokens are refused although they are valid: of persons who were erased since.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{Time, UserId};
use parking_lot::RwLock;

/// How long an access token is valid that somebody got by logging in (AC-2).
pub const ACCESS_TTL: Duration = Duration::from_secs(15 * 60);

/// Persons known one by one. Of more, all tokens from before the earlier ones' erasure are refused:
/// their bearers get another with their refresh token.
pub(super) const MOST: usize = 65_536;

/// Whose tokens are refused. Costs a look at one flag as long as that is nobody's.
#[derive(Default)]
pub(super) struct Barred {
    is_somebody: AtomicBool,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    persons: HashSet<UserId>,
    /// Whatever was issued before this is refused, whoever bears it.
    before: Option<Time>,
}

impl Barred {
    /// Whether a token of `user` that is valid since `issued` is refused.
    pub(super) fn has(&self, user: UserId, issued: Time) -> bool {
        if !self.is_somebody.load(Ordering::Acquire) {
            return false;
        }
        let known = self.known.read();
        known.persons.contains(&user) || known.before.is_some_and(|before| issued < before)
    }

    /// Takes what the store said: those first who are barred longest, `most` of them at most.
    pub(super) fn replace(&self, barred: &[(UserId, Time)], most: usize) {
        // Who was left out was barred before the last one here was.
        let last = barred.last().filter(|_| barred.len() >= most);
        let ttl_ms = i64::try_from(ACCESS_TTL.as_millis()).unwrap_or(i64::MAX);
        let before = last.map(|(_, until)| Time::from_ms(until.as_ms().saturating_sub(ttl_ms)));
        let persons = barred.iter().map(|(user, _)| *user).collect();
        *self.known.write() = Known { persons, before };
        self.is_somebody.store(!barred.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_what_is_kept_all_older_tokens_are_refused() {
        let (barred, user) = (Barred::default(), UserId::from_u128);
        let at = |s| Time::from_ms(1_800_000_000_000).plus_s(s);
        let ttl = ACCESS_TTL.as_secs();
        let said = [(user(1), at(ttl + 9)), (user(2), at(ttl + 5))];
        barred.replace(&said, 3);
        assert!(barred.has(user(1), at(7)) && barred.has(user(2), at(0)));
        assert!(!barred.has(user(3), at(0)));
        barred.replace(&said, 2);
        assert!(barred.has(user(1), at(7)) && barred.has(user(3), at(4)));
        assert!(!barred.has(user(3), at(5)));
        barred.replace(&[], 2);
        assert!(!barred.has(user(1), at(0)) && !barred.has(user(3), at(0)));
    }
}
