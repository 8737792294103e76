//! Those who guess passwords and addresses (AC-2).

use domain::account::{FAILURES_TO_LOCK, LOCK_S};
use infra::log::{Log as _, Position};
use serde_json::{Value, json};

use super::{Guest, PASSWORD, count};
use crate::support::{Answer, World};

/// What a client can tell answers apart by.
fn visible(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut body = answer.json();
    let body_of = body.as_object_mut().unwrap();
    body_of.remove("request_id");
    body_of.remove("timestamp");
    let headers = answer.headers.keys().map(ToString::to_string).collect();
    (answer.status.as_u16(), body, headers)
}

#[tokio::test]
async fn five_wrong_passwords_lock_and_the_answer_does_not_tell() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.join(&world, "ada@example.org", "Ada").await;
    guest.register("bob@example.org", "Bob", PASSWORD).await.expect(202);
    let unknown = guest.log_in("eve@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    let no_address = guest.log_in("eve", PASSWORD).await;
    let unverified = guest.log_in("bob@example.org", PASSWORD).await;
    for _ in 0..FAILURES_TO_LOCK {
        let wrong = guest.log_in("ada@example.org", "wrong password").await;
        assert_eq!(visible(&wrong), visible(&unknown));
    }
    let locked = guest.log_in("ada@example.org", PASSWORD).await;
    for other in [no_address, unverified, locked] {
        assert_eq!(visible(&other), visible(&unknown));
    }
    assert_eq!(count(&world, "AccountLocked").await, 1);
    world.clock.skip_s(LOCK_S - 30);
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    world.clock.skip_s(31);
    guest.log_in("ada@example.org", PASSWORD).await.expect(200);
    // Who logs in before the fifth failure has all tries again.
    for _ in 0..2 {
        for _ in 1..FAILURES_TO_LOCK {
            guest.log_in("ada@example.org", "wrong password").await.expect(401);
        }
        guest.log_in("ada@example.org", PASSWORD).await.expect(200);
    }
    node.stop().await;
}

#[tokio::test]
async fn the_log_grows_as_much_whether_an_address_is_known_or_not() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.join(&world, "ada@example.org", "Ada").await;
    guest.register("bob@example.org", "Bob", PASSWORD).await.expect(202);
    let head = async || world.log.head().await.unwrap().0;
    for (email, password, tries) in [
        ("eve", PASSWORD, 1),
        ("eve@example.org", PASSWORD, FAILURES_TO_LOCK + 1),
        // Nobody has shown that it is theirs.
        ("bob@example.org", PASSWORD, 1),
        // The last but one locks the account.
        ("ada@example.org", "wrong password", FAILURES_TO_LOCK + 1),
        ("ada@example.org", PASSWORD, 1),
    ] {
        for number in 1..=tries {
            let before = head().await;
            guest.log_in(email, password).await.refused(401, "LOGIN_REFUSED");
            assert_eq!(head().await - before, 1, "{email} {number}");
        }
    }
    for email in ["eve@example.org", "eve@example.org", "bob@example.org", "ada@example.org"] {
        let before = head().await;
        guest.register(email, "Eve", PASSWORD).await.expect(202);
        // One after the other, for each address alike.
        let written = world.log.read_all(Position(before), 9).await.unwrap();
        assert!(written.len() == 2 && written[0].stream != written[1].stream, "{email}");
        let before = head().await;
        guest.post("/auth/password/forgot", json!({"email": email})).await.expect(202);
        assert_eq!(head().await, before, "{email}");
    }
    node.stop().await;
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_count_than_one_after_the_other() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.join(&world, "ada@example.org", "Ada").await;
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..200 {
        let guest = guest.again();
        guesses.spawn(async move {
            loop {
                let guess = format!("guess number {number}");
                let answer = guest.log_in("ada@example.org", &guess).await;
                if answer.status != 503 {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(answer) = guesses.join_next().await {
        answer.unwrap().refused(401, "LOGIN_REFUSED");
    }
    // The last one is the lock.
    assert_eq!(count(&world, "LoginFailed").await, FAILURES_TO_LOCK as usize - 1);
    assert_eq!(count(&world, "AccountLocked").await, 1);
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    node.stop().await;
}

#[tokio::test]
async fn a_stolen_access_token_does_not_help_to_guess_the_password() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let change = async |current: &str| {
        let body = json!({"current_password": current, "new_password": "password of eve"});
        guest.ask_as("PUT", "/users/me/password", Some(body), Some(&ada.access), None).await
    };
    for _ in 0..FAILURES_TO_LOCK {
        change("wrong password").await.refused(401, "LOGIN_REFUSED");
    }
    change(PASSWORD).await.refused(401, "LOGIN_REFUSED");
    assert_eq!(count(&world, "PasswordChanged").await, 0);
    node.stop().await;
}
