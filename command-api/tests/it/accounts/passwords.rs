//! `PUT /users/me/password`, `POST /auth/password/forgot` and `/reset`.

use domain::account::{FAILURES_TO_LOCK, LOCK_S};
use infra::auth::Role;
use serde_json::json;

use super::store::{Gate, away, gated};
use super::{Guest, Member, PASSWORD, code, count, mails};
use crate::support::{Answer, Fault, FaultyLog, World};

const OTHER: &str = "another long password";

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_other_devices_are_logged_out() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let phone = Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
    change(&guest, &ada, PASSWORD, "short").await.refused(422, "INVALID");
    change(&guest, &ada, "wrong password", OTHER).await.refused(401, "LOGIN_REFUSED");
    let here = Member::of(&change(&guest, &ada, PASSWORD, OTHER).await.expect(200));
    for member in [&ada, &phone] {
        guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
    }
    guest.refresh(&here.refresh).await.expect(200);
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    // The same request again changes nothing, another under its key is refused.
    let here = Member::of(&guest.log_in("ada@example.org", OTHER).await.expect(200));
    let here = Member::of(&change(&guest, &here, PASSWORD, OTHER).await.expect(200));
    change(&guest, &here, OTHER, PASSWORD).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(count(&world, "PasswordChanged").await, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_password_is_reset_by_who_reads_the_mail() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    for _ in 0..FAILURES_TO_LOCK {
        guest.log_in("ada@example.org", "wrong password").await.expect(401);
    }
    let known = guest.post("/auth/password/forgot", json!({"email": "ada@example.org"})).await;
    let unknown = guest.post("/auth/password/forgot", json!({"email": "eve@example.org"})).await;
    assert_eq!(known.expect(202).body, unknown.expect(202).body);
    let code = code(&world, "ada@example.org", "Another password").await;
    assert_eq!(mails(&world, "eve@example.org"), [""; 0]);

    let reset = async |code: &str, new: &str| {
        guest.post("/auth/password/reset", json!({"code": code, "new_password": new})).await
    };
    guest.verify(&code, PASSWORD).await.refused(409, "CODE_NOT_VALID");
    reset(&code, "short").await.refused(422, "INVALID");
    reset("", OTHER).await.refused(409, "CODE_NOT_VALID");
    reset(&code, OTHER).await.expect(200);
    reset(&code, OTHER).await.refused(409, "CODE_NOT_VALID");
    guest.refresh(&ada.refresh).await.refused(401, "SESSION_OVER");
    // The lock was of the old password.
    guest.log_in("ada@example.org", OTHER).await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn who_resets_what_a_stranger_began_has_nothing_of_the_strangers() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let body = json!({"email": "ada@example.org", "name": "Eve", "phone": "+44 1234",
        "password": "password of eve"});
    guest.post("/auth/register", body).await.expect(202);
    guest.post("/auth/password/forgot", json!({"email": "ada@example.org"})).await.expect(202);
    let code = code(&world, "ada@example.org", "Another password").await;
    let body = json!({"code": code, "new_password": OTHER});
    let ada = Member::of(&guest.post("/auth/password/reset", body).await.expect(200));
    let me = guest.me(&ada).await.expect(200).json();
    assert_eq!((&me["name"], &me["phone"]), (&json!("Guest"), &json!(null)));
    // Whoever is known keeps what they said.
    let bob = guest.join(&world, "bob@example.org", "Bob").await;
    guest.post("/auth/password/forgot", json!({"email": "bob@example.org"})).await.expect(202);
    let code = super::code(&world, "bob@example.org", "Another password").await;
    let body = json!({"code": code, "new_password": OTHER});
    let now = Member::of(&guest.post("/auth/password/reset", body).await.expect(200));
    assert_eq!((now.user, &guest.me(&now).await.json()["name"]), (bob.user, &json!("Bob")));
    node.stop().await;
}

#[tokio::test]
async fn a_code_is_valid_for_half_an_hour() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.register("ada@example.org", "Ada", PASSWORD).await.expect(202);
    let code = code(&world, "ada@example.org", "Your address").await;
    world.clock.skip_s(30 * 60);
    guest.verify(&code, PASSWORD).await.refused(409, "CODE_NOT_VALID");
    node.stop().await;
}

/// Under the idempotency key "k".
async fn change(guest: &Guest, member: &Member, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    let (path, token) = ("/users/me/password", Some(&*member.access));
    guest.ask_as("PUT", path, Some(body), token, Some("k")).await
}

#[tokio::test]
async fn a_change_that_is_asked_again_gives_back_no_role_that_was_revoked() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let ttl = std::time::Duration::from_secs(600);
    let admin = world.keys.issue(domain::UserId::from_u128(5), &[Role::Admin], ttl).unwrap();
    let path = format!("/admin/users/{}/roles", ada.user);
    let roles = async |body| {
        guest.ask_as("POST", &path, Some(body), Some(&admin), None).await.expect(200);
    };
    roles(json!({"grant": ["organizer"], "reason": "may sell"})).await;
    change(&guest, &ada, PASSWORD, OTHER).await.expect(200);
    roles(json!({"revoke": ["organizer"], "reason": "may not"})).await;
    let ada = Member::of(&guest.log_in("ada@example.org", OTHER).await.expect(200));
    let again = Member::of(&change(&guest, &ada, PASSWORD, OTHER).await.expect(200));
    let venue = crate::support::venue_body();
    let venue = guest.ask_as("POST", "/venues", Some(venue), Some(&again.access), None).await;
    venue.refused(403, "FORBIDDEN");
    assert_eq!(count(&world, "PasswordChanged").await, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_change_that_is_asked_again_opens_no_account_that_the_password_does_not() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let ada = Member::of(&change(&guest, &ada, PASSWORD, OTHER).await.expect(200));
    // Not while it is locked.
    for _ in 0..FAILURES_TO_LOCK {
        guest.log_in("ada@example.org", "wrong password").await.expect(401);
    }
    change(&guest, &ada, PASSWORD, OTHER).await.refused(401, "LOGIN_REFUSED");
    world.clock.skip_s(LOCK_S);
    let here = Member::of(&guest.log_in("ada@example.org", OTHER).await.expect(200));
    change(&guest, &here, PASSWORD, OTHER).await.expect(200);
    // Nor when there is another by now.
    let here = Member::of(&guest.log_in("ada@example.org", OTHER).await.expect(200));
    let third = json!({"current_password": OTHER, "new_password": "a third password"});
    let (path, token) = ("/users/me/password", Some(&*here.access));
    let third = guest.ask_as("PUT", path, Some(third), token, Some("other")).await;
    let here = Member::of(&third.expect(200));
    change(&guest, &here, PASSWORD, OTHER).await.refused(401, "LOGIN_REFUSED");
    guest.log_in("ada@example.org", OTHER).await.refused(401, "LOGIN_REFUSED");
    node.stop().await;
}

#[tokio::test]
async fn who_stole_a_session_is_out_with_the_change_even_if_it_stops_half_way() {
    let (world, store) = gated();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let stolen = Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
    world.clock.skip_s(1);
    store.before(Gate::CloseSessions, async { Err(away()) });
    change(&guest, &ada, PASSWORD, OTHER).await.refused(503, "IDENTITY_UNAVAILABLE");
    assert!(store.is_spent());
    assert_eq!(count(&world, "PasswordChanged").await, 1);
    guest.refresh(&stolen.refresh).await.refused(401, "SESSION_OVER");
    assert_eq!(store_sessions(&world, &ada).await, 1);
    // Asked again, it comes to its end.
    let here = Member::of(&change(&guest, &ada, PASSWORD, OTHER).await.expect(200));
    assert_eq!(store_sessions(&world, &ada).await, 1);
    guest.refresh(&here.refresh).await.expect(200);
    node.stop().await;
}

async fn store_sessions(world: &World, member: &Member) -> usize {
    world.vault.store().sessions(member.user).await.unwrap().len()
}

#[tokio::test]
async fn a_log_in_with_the_old_password_does_not_survive_the_change() {
    let (world, store) = gated();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    // The password was right when it was looked at, and is another when the session begins.
    let owner = guest.again();
    let here = Member { access: ada.access.clone(), refresh: String::new(), user: ada.user };
    store.before(Gate::OpenSession, async move {
        change(&owner, &here, PASSWORD, OTHER).await.expect(200);
        Ok(())
    });
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    assert!(store.is_spent());
    // That of the change.
    assert_eq!(store_sessions(&world, &ada).await, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_code_is_not_spent_by_a_log_that_is_away() {
    let world = World::new();
    let log = FaultyLog::new(world.log.clone());
    let node = world.start_on(log.clone(), "wake.json").await;
    let guest = Guest::at(&world, &node);
    guest.register("ada@example.org", "Ada", PASSWORD).await.expect(202);
    let verifying = code(&world, "ada@example.org", "Your address").await;
    log.away(true);
    let away = guest.verify(&verifying, PASSWORD).await.refused(503, "LOG_UNAVAILABLE");
    assert!(away.text("detail").contains("a code or a password is still good"));
    log.away(false);
    guest.verify(&verifying, PASSWORD).await.expect(200);

    guest.post("/auth/password/forgot", json!({"email": "ada@example.org"})).await.expect(202);
    let resetting = code(&world, "ada@example.org", "Another password").await;
    let reset = async |new: &str| {
        guest.post("/auth/password/reset", json!({"code": resetting, "new_password": new})).await
    };
    log.away(true);
    reset(OTHER).await.refused(503, "LOG_UNAVAILABLE");
    log.away(false);
    // Written, and nobody knows.
    log.next("account-", [Fault::WrittenThenAway]);
    reset(OTHER).await.refused(503, "LOG_UNAVAILABLE");
    log.away(false);
    // The code was good for this password, and is for no other.
    reset("a third password").await.refused(409, "CODE_NOT_VALID");
    reset(OTHER).await.expect(200);
    reset(OTHER).await.refused(409, "CODE_NOT_VALID");
    assert_eq!(count(&world, "PasswordChanged").await, 1);
    guest.log_in("ada@example.org", OTHER).await.expect(200);
    node.stop().await;
}
