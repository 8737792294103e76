//! `POST /admin/users/{id}/roles`.

use domain::UserId;
use infra::auth::Role;
use serde_json::json;

use super::{Guest, Member, count};
use crate::support::World;

#[tokio::test]
async fn roles_are_granted_by_admins_and_in_force_with_the_next_token() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let ttl = std::time::Duration::from_secs(600);
    let admin = UserId::from_u128(5);
    let token = |roles: &[Role]| world.keys.issue(admin, roles, ttl).unwrap();
    let path = format!("/admin/users/{}/roles", ada.user);
    let grant = json!({"grant": ["organizer"], "reason": "Runs the Lovelace nights"});
    let change = async |path: &str, body: &serde_json::Value, token: &str| {
        guest.ask_as("POST", path, Some(body.clone()), Some(token), Some("k")).await
    };
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        change(&path, &grant, &token(&[role])).await.refused(403, "FORBIDDEN");
    }
    let nobody = format!("/admin/users/{}/roles", UserId::from_u128(6));
    let as_admin = token(&[Role::Admin]);
    change(&nobody, &grant, &as_admin).await.refused(404, "ACCOUNT_NOT_FOUND");
    for wrong in [
        json!({"grant": [], "reason": "why"}),
        json!({"grant": ["admin"], "reason": " "}),
        json!({"grant": ["admin"], "revoke": ["admin"], "reason": "why"}),
    ] {
        change(&path, &wrong, &as_admin).await.refused(422, "INVALID");
    }
    let granted = change(&path, &grant, &as_admin).await.expect(200);
    assert_eq!(granted.json()["roles"], json!(["attendee", "organizer"]));
    assert_eq!(change(&path, &grant, &as_admin).await.expect(200).body, granted.body);
    let other = json!({"grant": ["auditor"], "reason": "Runs the Lovelace nights"});
    change(&path, &other, &as_admin).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(count(&world, "RoleGranted").await, 1);

    let next = Member::of(&guest.refresh(&ada.refresh).await.expect(200));
    let mine = crate::support::venue_body();
    let add = async |member: &Member| {
        guest.ask_as("POST", "/venues", Some(mine.clone()), Some(&member.access), None).await
    };
    add(&ada).await.refused(403, "FORBIDDEN");
    add(&next).await.expect(201);

    // Who did it stands in the fact, why can be read by who may, and by nobody in the log.
    let story = world.story().await;
    let fact = story.records.iter().find(|record| &*record.kind == "RoleGranted").unwrap();
    let fact = String::from_utf8(fact.data.to_vec()).unwrap();
    assert!(fact.contains(&admin.to_string()) && !fact.contains("Lovelace"), "{fact}");
    let export = guest.ask_as("GET", "/users/me/export", None, Some(&next.access), None).await;
    let export = export.expect(200).json();
    assert_eq!(export["role_changes"][0]["reason"], "Runs the Lovelace nights");
    node.stop().await;
}
