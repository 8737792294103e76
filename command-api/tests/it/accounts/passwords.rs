//! `PUT /users/me/password`, `POST /auth/password/forgot` and `/reset`.

use domain::account::FAILURES_TO_LOCK;
use serde_json::json;

use super::{Guest, Member, PASSWORD, code, count, mails};
use crate::support::World;

const OTHER: &str = "another long password";

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_other_devices_are_logged_out() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let phone = Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        let path = "/users/me/password";
        guest.ask_as("PUT", path, Some(body), Some(&ada.access), Some("k")).await
    };
    change(PASSWORD, "short").await.refused(422, "INVALID");
    change("wrong password", OTHER).await.refused(401, "LOGIN_REFUSED");
    let here = Member::of(&change(PASSWORD, OTHER).await.expect(200));
    for member in [&ada, &phone] {
        guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
    }
    guest.refresh(&here.refresh).await.expect(200);
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    guest.log_in("ada@example.org", OTHER).await.expect(200);
    // The same request again changes nothing, another under its key is refused.
    change(PASSWORD, OTHER).await.expect(200);
    change(OTHER, PASSWORD).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
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
    let verify = guest.post("/auth/email/verify", json!({"code": code})).await;
    verify.refused(409, "CODE_NOT_VALID");
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
async fn a_code_is_valid_for_half_an_hour() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.register("ada@example.org", "Ada", PASSWORD).await.expect(202);
    let code = code(&world, "ada@example.org", "Your address").await;
    world.clock.skip_s(30 * 60);
    let late = guest.post("/auth/email/verify", json!({"code": code})).await;
    late.refused(409, "CODE_NOT_VALID");
    node.stop().await;
}
