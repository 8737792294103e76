//! Access tokens that count no more although they are valid: here at once, elsewhere as soon as the
//! store was asked.

use std::time::Duration;

use domain::UserId;
use infra::auth::Role;
use serde_json::json;

use super::store::{Gate, gated};
use super::{Guest, Member, PASSWORD, code};
use crate::support::{Node, World};

const OTHER: &str = "another long password";

/// Another node in front of the same log and the same store.
async fn another(world: &World) -> Node {
    world.start_on(world.log.clone(), "other.json").await
}

async fn change_roles(guest: &Guest, by: &str, whose: UserId, what: &str, role: &str) -> u16 {
    let body = json!({what: [role], "reason": "why"});
    let path = format!("/admin/users/{whose}/roles");
    guest.ask_as("POST", &path, Some(body), Some(by), None).await.status.as_u16()
}

/// Somebody who joined and is an admin, as their token says.
async fn admin(world: &World, guest: &Guest, name: &str) -> Member {
    let member = guest.join(world, &format!("{name}@example.org"), name).await;
    let root = UserId::from_u128(5);
    let root = world.keys.issue(root, &[Role::Admin], Duration::from_secs(60)).unwrap();
    assert_eq!(change_roles(guest, &root, member.user, "grant", "admin").await, 200);
    Member::of(&guest.refresh(&member.refresh).await.expect(200))
}

#[tokio::test]
async fn an_admin_whose_role_is_revoked_takes_it_back_with_no_token_they_have() {
    let world = World::new();
    let (node, other) = (world.start().await, another(&world).await);
    let (guest, there) = (Guest::at(&world, &node), Guest::at(&world, &other));
    let (ada, eve) = (admin(&world, &guest, "ada").await, admin(&world, &guest, "eve").await);
    assert_eq!(change_roles(&guest, &ada.access, eve.user, "revoke", "admin").await, 200);
    // Also where nobody knows it yet but the log.
    assert_eq!(change_roles(&there, &eve.access, eve.user, "grant", "admin").await, 403);
    other.look(&world).await;
    for guest in [&guest, &there] {
        assert_eq!(change_roles(guest, &eve.access, eve.user, "grant", "admin").await, 401);
        assert_eq!(change_roles(guest, &eve.access, ada.user, "revoke", "admin").await, 401);
    }
    // She stays logged in as what she still is, and who revoked it as what they are.
    let now = Member::of(&guest.refresh(&eve.refresh).await.expect(200));
    for guest in [&guest, &there] {
        guest.me(&now).await.expect(200);
        guest.me(&ada).await.expect(200);
        assert_eq!(change_roles(guest, &now.access, eve.user, "grant", "admin").await, 403);
    }
    node.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn an_admin_who_is_erased_makes_nobody_an_admin_where_that_is_not_known_yet() {
    let world = World::new();
    let (node, other) = (world.start().await, another(&world).await);
    let (guest, there) = (Guest::at(&world, &node), Guest::at(&world, &other));
    let (ada, eve) = (admin(&world, &guest, "ada").await, admin(&world, &guest, "eve").await);
    let bob = guest.join(&world, "bob@example.org", "Bob").await;
    guest.ask_as("DELETE", "/users/me", None, Some(&eve.access), None).await.expect(204);
    assert_eq!(change_roles(&there, &eve.access, bob.user, "grant", "admin").await, 403);
    assert_eq!(change_roles(&there, &ada.access, bob.user, "grant", "admin").await, 200);
    node.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_refresh_that_saw_the_role_gives_nothing_that_outlives_its_end() {
    let (world, store) = gated();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let (ada, eve) = (admin(&world, &guest, "ada").await, admin(&world, &guest, "eve").await);
    let (owner, her, by) = (guest.again(), eve.user, ada.access.clone());
    // She is an admin when that is looked at, and none when the old token is spent.
    store.before(Gate::Rotate, async move {
        assert_eq!(change_roles(&owner, &by, her, "revoke", "admin").await, 200);
        Ok(())
    });
    let late = Member::of(&guest.refresh(&eve.refresh).await.expect(200));
    assert!(store.is_spent());
    guest.me(&late).await.refused(401, "UNAUTHORIZED");
    let now = Member::of(&guest.refresh(&late.refresh).await.expect(200));
    guest.me(&now).await.expect(200);
    node.stop().await;
}

/// Ends what others have of the account, and says who is in it then.
async fn end(world: &World, guest: &Guest, how: &str, member: &Member) -> Member {
    let log_in = async |password: &str| {
        Member::of(&guest.log_in("ada@example.org", password).await.expect(200))
    };
    match how {
        "everywhere" => {
            let body = json!({"refresh_token": member.refresh, "everywhere": true});
            guest.post("/auth/logout", body).await.expect(204);
            log_in(PASSWORD).await
        }
        "change" => {
            let body = json!({"current_password": PASSWORD, "new_password": OTHER});
            let (path, token) = ("/users/me/password", Some(&*member.access));
            let changed = guest.ask_as("PUT", path, Some(body), token, None).await;
            let here = Member::of(&changed.expect(200));
            guest.me(&here).await.expect(200);
            log_in(OTHER).await
        }
        "reset" => {
            let email = json!({"email": "ada@example.org"});
            guest.post("/auth/password/forgot", email).await.expect(202);
            let code = code(world, "ada@example.org", "Another password").await;
            let body = json!({"code": code, "new_password": OTHER});
            Member::of(&guest.post("/auth/password/reset", body).await.expect(200))
        }
        _ => {
            let next = Member::of(&guest.refresh(&member.refresh).await.expect(200));
            guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
            guest.me(&next).await.refused(401, "UNAUTHORIZED");
            log_in(PASSWORD).await
        }
    }
}

#[tokio::test]
async fn whoever_ends_the_sessions_of_others_ends_their_access_tokens_too() {
    for how in ["everywhere", "change", "reset", "replay"] {
        let world = World::new();
        // All of it within a millisecond: tokens are told apart by what they were made after.
        world.clock.stand_still();
        let (node, other) = (world.start().await, another(&world).await);
        let (guest, there) = (Guest::at(&world, &node), Guest::at(&world, &other));
        let ada = guest.join(&world, "ada@example.org", "Ada").await;
        let stolen = Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
        let bob = guest.join(&world, "bob@example.org", "Bob").await;
        let now = end(&world, &guest, how, &ada).await;
        other.look(&world).await;
        for guest in [&guest, &there] {
            for older in [&ada, &stolen] {
                guest.me(older).await.refused(401, "UNAUTHORIZED");
                let token = Some(&*older.access);
                let forget = guest.ask_as("DELETE", "/users/me", None, token, None).await;
                forget.refused(401, "UNAUTHORIZED");
            }
            guest.me(&now).await.expect(200);
            guest.me(&bob).await.expect(200);
        }
        node.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn a_device_that_logs_out_ends_nothing_of_others() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let phone = Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
    guest.post("/auth/logout", json!({"refresh_token": phone.refresh})).await.expect(204);
    guest.me(&ada).await.expect(200);
    node.stop().await;
}
