//! Which requests were carried out, kept small and forgotten in time (BK-6).

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::uniform::ByUniform;
use crate::request::Fingerprint;
use crate::{Request, Time, UserId};

/// How long a key is remembered at least (BK-6).
const REMEMBERED_MS: u64 = 24 * 3_600_000;

/// What is remembered of a request: 32 bits of its fingerprint, and where its fact is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    body: u32,
    revision: u32,
}

/// Requests carried out within the last 24 hours, at most 48 (BK-6). Two generations, so that
/// forgetting costs nothing.
#[derive(Debug, Default)]
pub(super) struct Requests {
    current: HashMap<Key, Seen, ByUniform>,
    previous: HashMap<Key, Seen, ByUniform>,
    since: Time,
    /// Some of them were stored when keys were stored as they were sent.
    some_as_sent: bool,
}

/// The two halves of [`Request::identity`], which is a hash: a `u128` would be padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64, u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Key {
    fn of(user: UserId, request: &Request) -> Self {
        request.identity(user).into()
    }
}

impl From<u128> for Key {
    fn from(identity: u128) -> Self {
        Self((identity >> 64) as u64, identity as u64)
    }
}

/// Whether a request was carried out before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seek {
    New,
    /// At this revision of the stream.
    Done(u64),
    /// Its key was used for something else.
    Reused,
}

impl Requests {
    pub(super) fn remember(&mut self, at: Time, revision: u32, user: UserId, request: &Request) {
        if self.forgets(at) {
            self.previous = std::mem::take(&mut self.current);
            self.since = at;
        }
        self.some_as_sent |= !request.is_hidden();
        let seen = Seen { body: short(request.body), revision };
        self.current.insert(Key::of(user, request), seen);
    }

    /// Whether requests are forgotten when one is remembered `at` that moment.
    pub(super) fn forgets(&self, at: Time) -> bool {
        at.ms_since(self.since) >= REMEMBERED_MS
    }

    /// What is remembered of this request lately, to [`Requests::put`] back.
    pub(super) fn image(&self, user: UserId, request: &Request) -> (Key, Option<Seen>) {
        let key = Key::of(user, request);
        (key, self.current.get(&key).copied())
    }

    pub(super) fn put(&mut self, key: Key, seen: Option<Seen>) {
        match seen {
            Some(seen) => self.current.insert(key, seen),
            None => self.current.remove(&key),
        };
    }

    pub(super) fn seek(&self, user: UserId, request: Option<&Request>) -> Seek {
        let Some(request) = request else { return Seek::New };
        let find = |key: &Key| self.current.get(key).or_else(|| self.previous.get(key));
        let as_sent = || request.identity_as_sent().filter(|_| self.some_as_sent).map(Key::from);
        match find(&Key::of(user, request)).or_else(|| find(&as_sent()?)) {
            None => Seek::New,
            Some(seen) if seen.body == short(request.body) => Seek::Done(u64::from(seen.revision)),
            Some(_) => Seek::Reused,
        }
    }
}

fn short(Fingerprint(bits): Fingerprint) -> u32 {
    (bits >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId::from_u128(1);

    #[test]
    fn a_request_is_remembered_for_a_day_and_forgotten_later() {
        let mut requests = Requests::default();
        let request = Request::new("a", b"x").unwrap();
        let day = |days: u64| Time::from_ms(1).plus_ms(days * REMEMBERED_MS);
        requests.remember(day(10), 7, USER, &request);
        assert_eq!(requests.seek(USER, Some(&request)), Seek::Done(7));
        let other = Request::new("b", b"y").unwrap();
        requests.remember(day(11), 8, USER, &other);
        assert_eq!(requests.seek(USER, Some(&request)), Seek::Done(7));
        requests.remember(day(12), 9, USER, &other);
        assert_eq!(requests.seek(USER, Some(&request)), Seek::New);
        let changed = Request::new("b", b"z").unwrap();
        assert_eq!(requests.seek(USER, Some(&changed)), Seek::Reused);
        assert_eq!(requests.seek(USER, None), Seek::New);
    }

    #[test]
    fn a_request_from_when_keys_were_stored_as_sent_is_known_again() {
        let mut requests = Requests::default();
        let asked = |body| Request::hidden(&[7; 32], USER, "a", body).unwrap();
        assert_eq!(requests.seek(USER, Some(&asked(b"x"))), Seek::New);
        requests.remember(Time::default(), 7, USER, &Request::new("a", b"x").unwrap());
        assert_eq!(requests.seek(USER, Some(&asked(b"x"))), Seek::Done(7));
        assert_eq!(requests.seek(USER, Some(&asked(b"y"))), Seek::Reused);
        requests.remember(Time::default(), 8, USER, &asked(b"y"));
        assert_eq!(requests.seek(USER, Some(&asked(b"y"))), Seek::Done(8));
    }

    #[test]
    fn what_is_remembered_is_small() {
        assert_eq!(size_of::<(Key, Seen)>(), 24);
    }
}
