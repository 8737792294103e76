//! Who goes and would leave others behind: events without an organizer, everybody without an admin.

use command_api::AccountError;
use domain::StoredFact as _;
use domain::administration::{ErasureGround, Fact};
use infra::auth::Role;
use serde_json::json;

use super::{Guest, Member, count};
use crate::support::{Answer, Call, Client, Node, Sale, Terms, World, venue_body};

async fn forget(guest: &Guest, member: &Member) -> Answer {
    guest.ask_as("DELETE", "/users/me", None, Some(&member.access), None).await
}

/// Somebody who may sell, as their account says, in front of the API.
async fn organizer(world: &World, node: &Node, guest: &Guest) -> (Member, Client) {
    let ada = guest.join(world, "ada@example.org", "Ada").await;
    let admin = world.person(node, &[Role::Admin]);
    let body = json!({"grant": ["organizer"], "reason": "why"});
    admin.send(&Call::post(format!("/admin/users/{}/roles", ada.user), &body)).await.expect(200);
    let ada = Member::of(&guest.refresh(&ada.refresh).await.expect(200));
    let client = world.somebody(node, ada.user, &[Role::Organizer]);
    (ada, client)
}

/// An event of theirs, on sale.
async fn sale(world: &World, organizer: &Client, terms: Terms) -> Sale {
    let venue = organizer.send(&Call::post("/venues", &venue_body())).await.expect(201);
    let body = terms.body(world, &venue.text("venue_id"));
    let drafted = organizer.send(&Call::post("/events", &body)).await.expect(201);
    let event = drafted.text("event_id");
    organizer.send(&Call::order(format!("/events/{event}/publish"))).await.expect(200);
    let floor = drafted.json()["tiers"][0]["tier_id"].as_str().unwrap().to_owned();
    Sale { organizer: organizer.clone(), event: event.parse().unwrap(), floor, terms: body }
}

#[tokio::test]
async fn an_organizer_goes_when_no_event_of_theirs_is_left_behind() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let (ada, client) = organizer(&world, &node, &guest).await;
    // One that is over, one of another, and one that nobody knows of: no reason to stay.
    let over = Terms { starts_in_s: 60, ..Terms::default() };
    sale(&world, &client, over).await;
    world.sale(&node, Terms::default()).await;
    let draft = client.send(&Call::post("/venues", &venue_body())).await.expect(201);
    let draft = Terms::default().body(&world, &draft.text("venue_id"));
    client.send(&Call::post("/events", &draft)).await.expect(201);
    let ahead = sale(&world, &client, Terms::default()).await;
    world.clock.skip_s(60 + 7_200);
    let ada = Member::of(&guest.refresh(&ada.refresh).await.expect(200));

    let refused = forget(&guest, &ada).await.refused(409, "EVENTS_NOT_OVER").json();
    assert_eq!(refused["details"], json!({"count": 1, "event_ids": [ahead.event]}), "{refused}");
    // Also when they may sell no more.
    let admin = world.person(&node, &[Role::Admin]);
    let body = json!({"revoke": ["organizer"], "reason": "why"});
    let roles = format!("/admin/users/{}/roles", ada.user);
    admin.send(&Call::post(roles, &body)).await.expect(200);
    let ada = Member::of(&guest.refresh(&ada.refresh).await.expect(200));
    forget(&guest, &ada).await.refused(409, "EVENTS_NOT_OVER");
    assert_eq!(
        (count(&world, "AccountErased").await, &world.vault.store().erasing().await.unwrap()[..]),
        (0, &[][..])
    );
    guest.me(&ada).await.expect(200);

    world.somebody(&node, ada.user, &[Role::Organizer]).send(&ahead.call_off()).await.expect(200);
    forget(&guest, &ada).await.expect(204);
    node.stop().await;
}

#[tokio::test]
async fn the_operator_lets_events_go_on_without_their_organizer_and_admins_look_after_them() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let (ada, client) = organizer(&world, &node, &guest).await;
    let sale = sale(&world, &client, Terms::default()).await;
    let buyer = world.buyer(&node);
    let accounts = world.accounts(world.log.clone());
    let erase = async |leave| accounts.erase_by_order(ada.user, ErasureGround::Law, leave).await;
    let refused = erase(false).await;
    assert!(
        matches!(&refused, Err(AccountError::EventsNotOver(events)) if *events == [sale.event]),
        "{refused:?}"
    );
    assert_eq!(
        (count(&world, "ErasureOrdered").await, count(&world, "AccountErased").await),
        (0, 0)
    );
    erase(true).await.unwrap();
    let records = world.story().await.records;
    let order = records.iter().find(|record| &*record.kind == "ErasureOrdered").unwrap();
    let order = Fact::decode(&order.kind, order.version, &order.data).unwrap();
    let Fact::ErasureOrdered(order) = order else { panic!("{order:?}") };
    assert_eq!(order.events, [sale.event]);

    buyer.hold(&sale.reserve(1)).await;
    let admin = world.person(&node, &[Role::Admin]);
    let path = format!("/events/{}?reason=no%20organizer", sale.event);
    admin.send(&Call::put(&*path, &sale.terms)).await.expect(200);
    admin.send(&Call::delete(path)).await.expect(200);
    node.stop().await;
}

/// The only two there are.
async fn two_admins(world: &World, guest: &Guest) -> [Member; 2] {
    let admin = async |name: &str| {
        let member = guest.join(world, &format!("{name}@example.org"), name).await;
        world.accounts(world.log.clone()).make_admin(member.user, "why").await.unwrap();
        Member::of(&guest.refresh(&member.refresh).await.expect(200))
    };
    [admin("ada").await, admin("bob").await]
}

/// Takes from somebody what makes them an admin.
async fn revoke(guest: &Guest, by: &Member, whose: &Member) -> Answer {
    let body = json!({"revoke": ["admin"], "reason": "why"});
    let path = format!("/admin/users/{}/roles", whose.user);
    guest.ask_as("POST", &path, Some(body), Some(&by.access), None).await
}

#[tokio::test]
async fn of_two_admins_who_leave_at_once_one_stays() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let [ada, bob] = two_admins(&world, &guest).await;
    let (ada, bob) = tokio::join!(revoke(&guest, &ada, &ada), forget(&guest, &bob));
    let mut statuses = [ada.status.as_u16(), bob.status.as_u16()];
    statuses.sort_unstable();
    assert!(matches!(statuses, [200 | 204, 409]), "{statuses:?}");
    node.stop().await;
}

#[tokio::test]
async fn the_last_admin_stays_one_until_there_is_another() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let [ada, bob] = &two_admins(&world, &guest).await;
    revoke(&guest, ada, bob).await.expect(200);
    let orders = count(&world, "RolesOrdered").await;
    revoke(&guest, ada, ada).await.refused(409, "LAST_ADMIN");
    forget(&guest, ada).await.refused(409, "LAST_ADMIN");
    assert_eq!(
        (count(&world, "RolesOrdered").await, count(&world, "AccountErased").await),
        (orders, 0)
    );

    world.accounts(world.log.clone()).make_admin(bob.user, "why").await.unwrap();
    forget(&guest, ada).await.expect(204);
    // Who was erased is none any more.
    let bob = Member::of(&guest.refresh(&bob.refresh).await.expect(200));
    revoke(&guest, &bob, &bob).await.refused(409, "LAST_ADMIN");
    node.stop().await;
}
