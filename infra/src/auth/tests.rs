//! What the verifier refuses, and that remembering changes nothing.

use std::sync::Arc;
use std::time::Duration;

use domain::{Time, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::keys::Keys;
use super::{ACCESS_TTL, Auth, AuthError, Caller, Role, Roles};
use crate::clock::{Clock, ManualClock};
use crate::identity::{Bar, IdentityStore as _, SqliteIdentity};

const NOW_S: i64 = 1_800_000_000;

struct Setup {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    keys: Keys,
    auth: Auth,
}

fn keys(clock: &Arc<ManualClock>) -> (TempDir, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::load_or_create(folder.path(), Arc::clone(clock) as Arc<dyn Clock>).unwrap();
    (folder, keys)
}

fn setup() -> Setup {
    let clock = Arc::new(ManualClock::new(Time::from_ms(NOW_S * 1000)));
    let (_folder, keys) = keys(&clock);
    let auth = Auth::remembering(&keys, Arc::clone(&clock) as Arc<dyn Clock>, 64);
    Setup { _folder, clock, keys, auth }
}

fn user() -> UserId {
    UserId::from_u128(7)
}

fn claims() -> Value {
    json!({
        "iss": "evently", "aud": "evently", "sub": user(), "roles": ["attendee"],
        "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 900, "jti": "1",
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    let (Value::Object(all), Value::Object(changes)) = (&mut claims, changes) else { panic!() };
    for (name, value) in changes {
        match value {
            Value::Null => all.remove(&name),
            value => all.insert(name, value),
        };
    }
    claims
}

#[test]
fn a_token_says_who_bears_it() {
    let Setup { keys, auth, _folder, .. } = setup();
    let roles = [Role::Organizer, Role::Auditor];
    let token = keys.issue(user(), &roles, Duration::from_secs(900)).unwrap();
    let caller = Caller { user: user(), roles: Roles::of(&roles), with_anothers: false };
    for _ in 0..3 {
        assert_eq!(auth.verify(&token), Ok(caller));
    }
    assert_eq!(auth.remembered(), 1);
}

#[test]
fn claims_that_are_wrong_or_missing_are_refused() {
    let Setup { keys, auth, _folder, .. } = setup();
    assert!(auth.verify(&keys.sign(&claims()).unwrap()).is_ok());
    let table = [
        (json!({"iss": "someone"}), AuthError::Foreign),
        (json!({"aud": "someone"}), AuthError::Foreign),
        (json!({"iss": ["evently", "someone"]}), AuthError::Malformed),
        (json!({"aud": ["evently", "someone"]}), AuthError::Malformed),
        (json!({"iss": null}), AuthError::Malformed),
        (json!({"aud": null}), AuthError::Malformed),
        (json!({"sub": null}), AuthError::Malformed),
        (json!({"exp": null}), AuthError::Malformed),
        (json!({"nbf": null}), AuthError::Malformed),
        (json!({"jti": null}), AuthError::Malformed),
        (json!({"roles": null}), AuthError::Malformed),
        (json!({"roles": ["attendee", "root"]}), AuthError::Malformed),
        (json!({"roles": "attendee"}), AuthError::Malformed),
        (json!({"sub": "7"}), AuthError::Malformed),
        (json!({"sub": "evt_00000000000000000000000007"}), AuthError::Malformed),
        (json!({"exp": "tomorrow"}), AuthError::Malformed),
        (json!({"exp": -1}), AuthError::Malformed),
        (json!({"exp": u64::MAX}), AuthError::Malformed),
        (json!({"exp": NOW_S}), AuthError::Expired),
        (json!({"exp": 0}), AuthError::Expired),
        (json!({"nbf": NOW_S + 6}), AuthError::NotYetValid),
        (json!({"nbf": i64::MAX}), AuthError::NotYetValid),
    ];
    for (changes, error) in table {
        let token = keys.sign(&with(changes.clone())).unwrap();
        assert_eq!(auth.verify(&token), Err(error), "{changes}");
    }
    for changes in [json!({"nbf": NOW_S + 5}), json!({"exp": i64::MAX}), json!({"more": 1})] {
        let token = keys.sign(&with(changes.clone())).unwrap();
        assert!(auth.verify(&token).is_ok(), "{changes}");
    }
}

#[test]
fn only_our_key_and_algorithm_sign() {
    let Setup { keys, auth, clock, _folder } = setup();
    let (_other_folder, other) = self::keys(&clock);
    assert_eq!(auth.verify(&other.sign(&claims()).unwrap()), Err(AuthError::Forged));

    let good = keys.sign(&claims()).unwrap();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let admin = keys.sign(&with(json!({"roles": ["admin"]}))).unwrap();
    let other_payload = admin.split('.').nth(1).unwrap();
    let forged = format!("{header}.{other_payload}.{signature}");
    // Remembered or not, a signature covers its own claims only.
    assert_eq!(auth.verify(&forged), Err(AuthError::Forged));
    assert!(auth.verify(&good).is_ok());
    assert_eq!(auth.verify(&forged), Err(AuthError::Forged));

    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let mut refused = vec![
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{}", &signature[1..]),
        format!(" {good}"),
        format!("{good}="),
        format!("{good}\u{fc}"),
        String::new(),
        "..".into(),
        "\u{1f600}".repeat(100),
        "x".repeat(1 << 20),
    ];
    let jwks = serde_json::to_value(keys.jwks()).unwrap();
    let x = jwks["keys"][0]["x"].as_str().unwrap();
    let raw = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, x).unwrap();
    for secret in [x.as_bytes(), &raw, jwks.to_string().as_bytes()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let secret = EncodingKey::from_secret(secret);
            refused
                .push(jsonwebtoken::encode(&Header::new(algorithm), &claims(), &secret).unwrap());
        }
    }
    for token in refused {
        let refusal = auth.verify(&token).unwrap_err();
        assert!([AuthError::Forged, AuthError::Malformed].contains(&refusal), "{token}: {refusal}");
    }
}

#[test]
fn a_remembered_token_still_expires() {
    let Setup { keys, auth, clock, _folder } = setup();
    let token = keys.issue(user(), &[], Duration::from_secs(900)).unwrap();
    assert!(auth.verify(&token).is_ok());
    clock.set(Time::from_ms((NOW_S + 900) * 1000 - 1));
    assert!(auth.verify(&token).is_ok());
    clock.advance_ms(1);
    assert_eq!(auth.verify(&token), Err(AuthError::Expired));
    assert_eq!(auth.remembered(), 1);
}

#[test]
fn memory_is_bounded_and_prefers_tokens_that_still_count() {
    let Setup { keys, auth, clock, _folder } = setup();
    for _ in 0..300 {
        let token = keys.issue(user(), &[], Duration::from_secs(10)).unwrap();
        assert!(auth.verify(&token).is_ok());
        assert!(auth.verify(&token).is_ok());
        assert!(auth.remembered() <= 64);
    }
    clock.advance_ms(10_000);
    for _ in 0..300 {
        let token = keys.issue(user(), &[], Duration::from_secs(10)).unwrap();
        assert!(auth.verify(&token).is_ok());
        assert!(auth.remembered() <= 64);
    }
    // What cannot be verified is never remembered.
    let before = auth.remembered();
    for number in 0..300 {
        assert!(auth.verify(&format!("a.b.{number}")).is_err());
    }
    assert_eq!(auth.remembered(), before);
}

#[test]
fn a_new_key_logs_nobody_out_until_the_old_ones_are_forgotten() {
    let Setup { keys, auth, clock, _folder } = setup();
    let hour = Duration::from_secs(3_600);
    let old = keys.issue(user(), &[], hour).unwrap();
    let unseen = keys.issue(user(), &[], hour).unwrap();
    assert!(auth.verify(&old).is_ok());
    assert_eq!(Keys::rotate(_folder.path(), false).unwrap(), 2);
    // Within a second.
    clock.advance_ms(1_000);
    assert!(auth.verify(&old).is_ok() && auth.verify(&unseen).is_ok());
    let new = keys.issue(user(), &[], hour).unwrap();
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid;
    assert_ne!(kid(&new), kid(&old));
    assert!(auth.verify(&new).is_ok());
    let jwks = keys.jwks();
    assert_eq!(jwks.keys.len(), 2);
    assert!([&old, &new].iter().all(|token| jwks.find(&kid(token).unwrap()).is_some()));

    assert_eq!(Keys::rotate(_folder.path(), true).unwrap(), 1);
    clock.advance_ms(1_000);
    for token in [&old, &unseen, &new] {
        assert_eq!(auth.verify(token), Err(AuthError::Forged));
    }
    assert_eq!(keys.jwks().keys.len(), 1);
    assert!(auth.verify(&keys.issue(user(), &[], hour).unwrap()).is_ok());
}

#[test]
fn keys_that_cannot_be_read_change_nothing() {
    let Setup { keys, auth, clock, _folder } = setup();
    let token = keys.issue(user(), &[], Duration::from_secs(900)).unwrap();
    let path = _folder.path().join("keys").join("signing.pem");
    std::fs::write(&path, "damaged").unwrap();
    clock.advance_ms(1_000);
    assert!(auth.verify(&token).is_ok());
    assert!(auth.verify(&keys.issue(user(), &[], Duration::from_secs(900)).unwrap()).is_ok());
    std::fs::remove_file(&path).unwrap();
    clock.advance_ms(1_000);
    assert!(auth.verify(&token).is_ok());
}

#[test]
fn keys_that_could_not_be_read_once_are_read_as_soon_as_they_can() {
    let Setup { auth, clock, _folder, .. } = setup();
    let path = _folder.path().join("keys").join("signing.pem");
    Keys::rotate(_folder.path(), false).unwrap();
    let other = Keys::load_or_create(_folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let token = other.issue(user(), &[], Duration::from_secs(900)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    // As of a disk that fails for a while: the file is the same before and after.
    let show = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
    };
    show(&vec![b'x'; whole.len()]);
    assert_eq!(auth.verify(&token), Err(AuthError::Forged));
    show(&whole);
    clock.advance_ms(1_000);
    assert!(auth.verify(&token).is_ok());
}

#[test]
fn a_token_of_a_node_that_has_the_new_key_already_is_accepted_at_once() {
    let Setup { auth, clock, _folder, .. } = setup();
    Keys::rotate(_folder.path(), false).unwrap();
    let other = Keys::load_or_create(_folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let token = other.issue(user(), &[], Duration::from_secs(900)).unwrap();
    assert!(auth.verify(&token).is_ok());
}

#[test]
fn at_most_eight_keys_verify() {
    let Setup { keys, auth, clock, _folder } = setup();
    let token = keys.issue(user(), &[], Duration::from_secs(900)).unwrap();
    for count in 2..=8 {
        assert_eq!(Keys::rotate(_folder.path(), false).unwrap(), count);
    }
    clock.advance_ms(1_000);
    assert!(auth.verify(&token).is_ok());
    assert_eq!(Keys::rotate(_folder.path(), false).unwrap(), 8);
    clock.advance_ms(1_000);
    assert_eq!(auth.verify(&token), Err(AuthError::Forged));
}

#[test]
fn a_token_names_its_key() {
    let Setup { keys, auth, _folder, .. } = setup();
    let good = keys.sign(&claims()).unwrap();
    let [_, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let encode = |header: Value| {
        use base64::Engine;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        format!("{}.{payload}.{signature}", engine.encode(header.to_string()))
    };
    let jwk = serde_json::to_value(&keys.jwks().keys[0]).unwrap();
    for header in [
        json!({"alg": "EdDSA"}),
        json!({"alg": "EdDSA", "kid": ""}),
        json!({"alg": "EdDSA", "kid": "../../keys/signing.pem"}),
        // What the bearer says of keys counts for nothing (RFC 8725, 3.10).
        json!({"alg": "EdDSA", "jwk": jwk}),
        json!({"alg": "EdDSA", "kid": "other", "jku": "https://example.org/jwks.json"}),
    ] {
        let refusal = auth.verify(&encode(header.clone())).unwrap_err();
        assert!([AuthError::Forged, AuthError::Malformed].contains(&refusal), "{header}");
    }
}

#[tokio::test]
async fn who_was_erased_is_refused_by_whom_the_store_told_until_their_tokens_have_expired() {
    let Setup { clock, keys, auth, _folder, .. } = setup();
    let store = SqliteIdentity::open(&_folder.path().join("identity.sqlite")).unwrap();
    let token = |user| keys.issue(user, &[Role::Attendee], ACCESS_TTL).unwrap();
    let (hers, his) = (token(user()), token(UserId::from_u128(8)));
    assert!(auth.verify(&hers).is_ok());
    store.bar(Bar::all(user(), clock.now())).await.unwrap();
    assert!(auth.verify(&hers).is_ok());
    auth.look_at(&store).await.unwrap();
    for _ in 0..2 {
        assert_eq!(auth.verify(&hers), Err(AuthError::Revoked));
        assert!(auth.verify(&his).is_ok());
    }
    // Also who did not see it happen, and a token that was not seen before.
    let other = Auth::remembering(&keys, Arc::clone(&clock) as Arc<dyn Clock>, 64);
    other.look_at(&store).await.unwrap();
    assert_eq!(other.verify(&hers), Err(AuthError::Revoked));
    clock.advance_ms(u64::try_from(ACCESS_TTL.as_millis()).unwrap());
    assert_eq!(auth.verify(&hers), Err(AuthError::Expired));
    // Nor by whom whose clock is a minute behind.
    assert_eq!(auth.verify(&token(user())), Err(AuthError::Revoked));
    clock.advance_ms(60_000);
    auth.look_at(&store).await.unwrap();
    assert!(auth.verify(&token(user())).is_ok());
}

#[tokio::test]
async fn who_was_refused_stays_so_while_the_store_is_away() {
    let Setup { clock, keys, auth, _folder, .. } = setup();
    let path = _folder.path().join("identity.sqlite");
    let store = SqliteIdentity::open(&path).unwrap();
    let token = keys.issue(user(), &[Role::Attendee], ACCESS_TTL).unwrap();
    store.bar(Bar::older(user(), clock.now())).await.unwrap();
    auth.look_at(&store).await.unwrap();
    rusqlite::Connection::open(&path).unwrap().execute("DROP TABLE barred", []).unwrap();
    assert!(auth.look_at(&store).await.is_err());
    assert_eq!(auth.verify(&token), Err(AuthError::Revoked));
}

#[tokio::test]
async fn of_one_second_the_tokens_are_refused_that_were_issued_before() {
    let Setup { clock, keys, auth, _folder } = setup();
    let store = SqliteIdentity::open(&_folder.path().join("identity.sqlite")).unwrap();
    let issue = || {
        let moment = auth.moment(user());
        keys.issue_as_of(user(), &[Role::Admin], ACCESS_TTL, moment).unwrap()
    };
    clock.advance_ms(5);
    // One that does not tell milliseconds counts as issued when its second began.
    let (old, before) = (keys.sign(&claims()).unwrap(), issue());
    assert!(auth.verify(&old).is_ok() && auth.verify(&before).is_ok());
    let bar = Bar::older(user(), clock.now());
    auth.bar(bar);
    // Who looked before it was said is late, also without a millisecond between.
    let late = keys.issue_as_of(user(), &[Role::Admin], ACCESS_TTL, clock.now()).unwrap();
    let after = issue();
    let other = Auth::remembering(&keys, Arc::clone(&clock) as Arc<dyn Clock>, 64);
    store.bar(bar).await.unwrap();
    other.look_at(&store).await.unwrap();
    for auth in [&auth, &other] {
        for token in [&old, &before, &late] {
            assert_eq!(auth.verify(token), Err(AuthError::Revoked));
        }
        assert!(auth.verify(&after).is_ok());
    }
    // With the next second they are valid too that do not tell.
    clock.advance_ms(1_000);
    let next = with(json!({"iat": NOW_S + 1}));
    assert!(auth.verify(&keys.sign(&next).unwrap()).is_ok());
}

#[tokio::test]
async fn a_node_whose_clock_is_behind_gives_tokens_that_are_valid() {
    let Setup { clock, keys, auth, _folder } = setup();
    // Another node's, which is ten seconds ahead.
    auth.bar(Bar::older(user(), clock.now().plus_s(10)));
    let token = keys.issue_as_of(user(), &[], ACCESS_TTL, auth.moment(user())).unwrap();
    assert!(auth.verify(&token).is_ok());
    assert_eq!(auth.moment(UserId::from_u128(8)), clock.now());
}
