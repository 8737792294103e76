//! `POST /auth/login`, `/auth/refresh`, `/auth/logout`.

use domain::UserId;
use infra::auth::Role;
use serde_json::json;

use super::{Guest, Member, PASSWORD};
use crate::support::World;

#[tokio::test]
async fn a_refresh_token_is_spent_by_its_use_and_stolen_if_it_comes_back() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let first = guest.join(&world, "ada@example.org", "Ada").await;
    let elsewhere = Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
    let second = Member::of(&guest.refresh(&first.refresh).await.expect(200));
    assert_ne!(second.refresh, first.refresh);
    guest.me(&second).await.expect(200);
    let third = Member::of(&guest.refresh(&second.refresh).await.expect(200));
    // Whoever stole the first tries it; the family ends, and another device goes on.
    guest.refresh(&first.refresh).await.refused(401, "SESSION_OVER");
    guest.refresh(&third.refresh).await.refused(401, "SESSION_OVER");
    guest.refresh(&elsewhere.refresh).await.expect(200);
    guest.refresh("").await.refused(401, "SESSION_OVER");
    guest.refresh(&third.access).await.refused(401, "SESSION_OVER");
    node.stop().await;
}

#[tokio::test]
async fn a_session_ends_after_seven_days_without_use() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = guest.join(&world, "ada@example.org", "Ada").await;
    world.clock.skip_s(7 * 86_400 - 60);
    let member = Member::of(&guest.refresh(&member.refresh).await.expect(200));
    world.clock.skip_s(7 * 86_400 - 60);
    let member = Member::of(&guest.refresh(&member.refresh).await.expect(200));
    world.clock.skip_s(7 * 86_400);
    guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
    node.stop().await;
}

#[tokio::test]
async fn an_access_token_is_valid_for_a_quarter_of_an_hour() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = guest.join(&world, "ada@example.org", "Ada").await;
    world.clock.skip_s(890);
    guest.me(&member).await.expect(200);
    world.clock.skip_s(11);
    guest.me(&member).await.refused(401, "UNAUTHORIZED");
    node.stop().await;
}

#[tokio::test]
async fn one_device_logs_out_or_all_of_them() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    guest.join(&world, "ada@example.org", "Ada").await;
    let device = async || Member::of(&guest.log_in("ada@example.org", PASSWORD).await.expect(200));
    let (phone, tablet, desk) = (device().await, device().await, device().await);
    let out = async |member: &Member, everywhere: bool| {
        let body = json!({"refresh_token": member.refresh, "everywhere": everywhere});
        guest.post("/auth/logout", body).await.expect(204)
    };
    out(&phone, false).await;
    out(&phone, false).await;
    guest.refresh(&phone.refresh).await.refused(401, "SESSION_OVER");
    let desk = Member::of(&guest.refresh(&desk.refresh).await.expect(200));
    out(&desk, true).await;
    for member in [&tablet, &desk] {
        guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
    }
    // A token of a session that is over ends no other.
    let other = device().await;
    out(&phone, true).await;
    guest.refresh(&other.refresh).await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn a_token_of_the_operator_needs_no_account() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ttl = std::time::Duration::from_secs(60);
    let access = world.keys.issue(UserId::from_u128(9), &[Role::Admin], ttl).unwrap();
    let nobody = Member { user: UserId::from_u128(9), access, refresh: String::new() };
    guest.me(&nobody).await.refused(404, "ACCOUNT_NOT_FOUND");
    guest.ask("GET", "/users/me", None).await.refused(401, "UNAUTHORIZED");
    node.stop().await;
}
