//! What every identity store has to do.

use std::sync::Arc;

use domain::{Scope, ServiceKeyId, Time, UserId};

use super::{
    Bar, Code, IdentityStore, Kept, KeyId, Purpose, Rotation, ServiceKey, Session, TokenHash,
};

const ONE: UserId = UserId::from_u128(1);
const OTHER: UserId = UserId::from_u128(u128::MAX);

fn at(s: u64) -> Time {
    Time::from_ms(1_800_000_000_000).plus_s(s)
}

fn token(name: &str) -> TokenHash {
    TokenHash::of(name)
}

async fn log_in(store: &dyn IdentityStore, user: UserId, id: u128, name: &str) -> Session {
    let (opened_at, used_at, expires_at) = (at(0), at(0), at(100));
    let session = Session { id, user, opened_at, used_at, expires_at };
    store.open_session(session, token(name)).await.expect("a session");
    session
}

/// Runs all of it on an empty store.
///
/// # Panics
/// The store does not do it.
pub async fn run(store: Arc<dyn IdentityStore>) {
    keys(&store).await;
    rewraps(&*store).await;
    sessions(&*store).await;
    reuse(&store).await;
    codes(&*store).await;
    bars(&*store).await;
    services(&*store).await;
}

/// A key that was revoked stays so, since when it was first.
async fn services(store: &dyn IdentityStore) {
    let make = |name, scopes: &[Scope], s| ServiceKey::make(name, scopes, at(s)).expect("a key").0;
    let one = make("one", &[Scope::ProjectionsRun, Scope::AuditRead, Scope::AuditRead], 1);
    let other = make("other", &[Scope::ProjectionsRead], 2);
    assert_eq!(one.scopes, [Scope::AuditRead, Scope::ProjectionsRun]);
    for key in [&other, &one] {
        store.add_service_key(key.clone()).await.expect("kept");
    }
    store.add_service_key(one.clone()).await.expect_err("it is there already");
    assert_eq!(store.service_keys().await.expect("keys"), [one.clone(), other.clone()]);
    assert!(store.revoke_service_key(one.id, at(5)).await.expect("revoked"));
    assert!(store.revoke_service_key(one.id, at(6)).await.expect("revoked before"));
    let unknown = ServiceKeyId::from_u128(1);
    assert!(!store.revoke_service_key(unknown, at(5)).await.expect("an answer"));
    let revoked = ServiceKey { revoked_at: Some(at(5)), ..one };
    assert_eq!(store.service_keys().await.expect("keys"), [revoked, other]);
}

/// Of all that was said of a person the latest counts, until that is over; then nothing is left.
async fn bars(store: &dyn IdentityStore) {
    let bar = |user, before, until| Bar { user, before: at(before), until: at(until) };
    for said in [bar(ONE, 5, 20), bar(OTHER, 7, 30), bar(ONE, 3, 40), bar(OTHER, 9, 10)] {
        store.bar(said).await.expect("barred");
    }
    let (one, other) = (bar(ONE, 5, 40), bar(OTHER, 9, 30));
    let barred = async |now, limit| store.barred(now, limit).await.expect("an answer");
    assert_eq!(barred(at(0), 9).await, [one, other]);
    assert_eq!(barred(at(0), 1).await, [one]);
    assert_eq!(barred(at(30), 9).await, [one]);
    store.sweep(at(30)).await.expect("swept");
    assert_eq!(barred(at(0), 9).await, [one]);
    let all = Bar { before: Bar::EVER, ..one };
    store.bar(all).await.expect("barred for good");
    store.bar(one).await.expect("barred before");
    assert_eq!(barred(at(0), 9).await, [all]);
    assert_eq!(barred(at(40), 9).await, []);
    store.sweep(at(40)).await.expect("swept");
}

/// The first of many counts; a person's that was destroyed is never made again.
async fn keys(store: &Arc<dyn IdentityStore>) {
    for id in [KeyId::Index, KeyId::Person(ONE), KeyId::Address([9; 32])] {
        assert_eq!(store.key(id).await.expect("no key"), None);
        let adding = (0..20_u8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.add_key(id, vec![n]).await.expect("a key") })
        });
        let adding: Vec<_> = adding.collect();
        let mut counts = vec![];
        for added in adding {
            counts.push(added.await.expect("no panic"));
        }
        assert!(counts.iter().all(|kept| *kept == counts[0]), "{counts:?}");
        assert_eq!(store.key(id).await.expect("a key").as_ref(), Some(&counts[0]));
    }
    let (person, address) = (KeyId::Person(ONE), KeyId::Address([9; 32]));
    store.begin_erasing(ONE).await.expect("a mark");
    store.begin_erasing(ONE).await.expect("the same mark");
    assert_eq!(store.erasing().await.expect("marks"), [ONE]);
    store.destroy_person(ONE).await.expect("destroyed");
    store.destroy_person(ONE).await.expect("destroyed before");
    let Some(Kept::Wrapped(wrapped)) = store.key(address).await.expect("a key") else {
        unreachable!("it was made above")
    };
    assert!(!store.remove_key(address, vec![99]).await.expect("another key"));
    assert!(store.remove_key(address, wrapped.clone()).await.expect("the key"));
    assert!(!store.remove_key(address, wrapped).await.expect("removed before"));
    // The mark goes when all else is gone.
    assert_eq!(store.erasing().await.expect("marks"), [ONE]);
    store.end_erasing(ONE).await.expect("no mark");
    store.end_erasing(ONE).await.expect("no mark before");
    assert_eq!(store.erasing().await.expect("marks"), []);
    assert_eq!(store.key(person).await.expect("a tombstone"), Some(Kept::Destroyed));
    assert_eq!(store.add_key(person, vec![1]).await.expect("a tombstone"), Kept::Destroyed);
    assert_eq!(store.key(address).await.expect("no key"), None);
    let again = store.add_key(address, vec![7]).await.expect("a key");
    assert_eq!(again, Kept::Wrapped(vec![7]));
}

/// Every key is found page by page and replaced unless it changed.
async fn rewraps(store: &dyn IdentityStore) {
    for number in 10..17 {
        let id = KeyId::Person(UserId::from_u128(number));
        store.add_key(id, vec![0]).await.expect("a key");
    }
    let (mut all, mut after) = (vec![], None);
    loop {
        let page = store.keys(after, 3).await.expect("keys");
        assert!(page.len() <= 3);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        all.extend(page);
    }
    // What is destroyed has no key; the index and one address have.
    assert_eq!(all.len(), 7 + 2, "{all:?}");
    let id = KeyId::Person(UserId::from_u128(10));
    assert!(!store.rewrap_key(id, vec![9], vec![1]).await.expect("another key"));
    assert!(store.rewrap_key(id, vec![0], vec![1]).await.expect("the key"));
    assert_eq!(store.key(id).await.expect("a key"), Some(Kept::Wrapped(vec![1])));
}

async fn sessions(store: &dyn IdentityStore) {
    let first = log_in(store, ONE, 1, "a1").await;
    log_in(store, ONE, 2, "b1").await;
    log_in(store, OTHER, u128::MAX, "c1").await;
    assert_eq!(store.session(token("a1"), at(0)).await.expect("a session"), Some(first));
    let whose = async |name, now| {
        let session = store.session(token(name), now).await.expect("an answer");
        session.map(|session| session.user)
    };
    assert_eq!(whose("a1", at(99)).await, Some(ONE));
    assert_eq!((whose("a1", at(100)).await, whose("never", at(0)).await), (None, None));
    let rotated = store.rotate(token("a1"), token("a2"), at(50), at(150)).await.expect("rotated");
    assert_eq!((whose("a1", at(60)).await, whose("a2", at(60)).await), (None, Some(ONE)));
    assert_eq!(rotated, Rotation::Rotated(ONE));
    let kept = store.sessions(ONE).await.expect("sessions");
    assert_eq!(kept[0], Session { used_at: at(50), expires_at: at(150), ..first });
    assert_eq!(kept.len(), 2);

    // The end is sharp.
    let rotate = async |old: &str, now| {
        let new = token(&format!("{old}+"));
        store.rotate(token(old), new, now, at(900)).await.expect("an answer")
    };
    assert_eq!(rotate("b1", at(100)).await, Rotation::Unknown);
    assert_eq!(rotate("a2", at(150)).await, Rotation::Unknown);
    assert_eq!(rotate("never", at(0)).await, Rotation::Unknown);
    assert_eq!(rotate("a2", at(149)).await, Rotation::Rotated(ONE));

    // One device, by a token spent or not; then all.
    assert_eq!(store.close_session(token("a1")).await.expect("closed"), Some(ONE));
    assert_eq!(store.close_session(token("a1")).await.expect("closed before"), None);
    assert_eq!(rotate("a2+", at(0)).await, Rotation::Unknown);
    store.close_sessions(ONE).await.expect("closed");
    assert_eq!(store.sessions(ONE).await.expect("none"), []);
    assert_eq!(rotate("b1", at(0)).await, Rotation::Unknown);
    assert_eq!(rotate("c1", at(0)).await, Rotation::Rotated(OTHER));
    store.sweep(at(900)).await.expect("swept");
    assert_eq!(store.sessions(OTHER).await.expect("none"), []);
}

/// Of many who bring the same token one gets another; any more close the session.
async fn reuse(store: &Arc<dyn IdentityStore>) {
    log_in(&**store, ONE, 3, "d1").await;
    let rotate = |new: String| {
        let store = store.clone();
        async move { store.rotate(token("d1"), token(&new), at(1), at(99)).await.expect("answer") }
    };
    let all: Vec<_> = (0..20).map(|n| tokio::spawn(rotate(format!("d{n}+")))).collect();
    let mut outcomes = vec![];
    for outcome in all {
        outcomes.push(outcome.await.expect("no panic"));
    }
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!(count(Rotation::Rotated(ONE)), 1, "{outcomes:?}");
    assert_eq!(count(Rotation::Reused(ONE)), 1, "{outcomes:?}");
    assert_eq!(store.sessions(ONE).await.expect("none"), []);
}

async fn codes(store: &dyn IdentityStore) {
    let code = |name: &str, user, s| Code {
        hash: token(name),
        user,
        purpose: Purpose::VerifyEmail,
        payload: name.to_owned(),
        expires_at: at(s),
    };
    store.put_code(code("x", ONE, 10)).await.expect("kept");
    let take = async |name: &str, purpose, now| {
        let code = store.code(token(name), purpose, now).await.expect("an answer");
        // Until it is taken it is there.
        assert_eq!(store.code(token(name), purpose, now).await.expect("an answer"), code);
        if code.is_some() {
            assert!(store.take_code(token(name)).await.expect("taken"));
            assert!(!store.take_code(token(name)).await.expect("taken before"));
        }
        code
    };
    assert_eq!(take("x", Purpose::ResetPassword, at(0)).await, None);
    assert_eq!(take("x", Purpose::VerifyEmail, at(10)).await, None);
    assert_eq!(take("x", Purpose::VerifyEmail, at(9)).await, Some((ONE, "x".to_owned())));
    assert_eq!(take("x", Purpose::VerifyEmail, at(9)).await, None);
    for number in 0..9 {
        store.put_code(code(&format!("y{number}"), ONE, 10 + number)).await.expect("kept");
    }
    assert_eq!(take("y3", Purpose::VerifyEmail, at(0)).await, None);
    assert!(take("y4", Purpose::VerifyEmail, at(0)).await.is_some());
    store.put_code(code("z", OTHER, 10)).await.expect("kept");
    store.drop_codes(ONE).await.expect("dropped");
    assert_eq!(take("y8", Purpose::VerifyEmail, at(0)).await, None);
    assert!(take("z", Purpose::VerifyEmail, at(0)).await.is_some());
}
