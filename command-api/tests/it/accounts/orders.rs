//! What admins and operators order is written down first, with who and why.

use command_api::AccountError;
use domain::administration::{ErasureGround, Fact, MasterKeyRotationOrdered};
use domain::{BookingId, EventId, StoredFact as _, UserId};
use infra::auth::Role;
use infra::identity::{Field, VaultError};
use infra::log::Record;
use serde_json::json;

use super::{Guest, count};
use crate::support::{Call, Fault, FaultyLog, Sale, Terms, World, cancel, venue_body};

/// Of all orders, in the order of the log.
async fn orders(world: &World) -> Vec<(Fact, Record)> {
    let records = world.story().await.records;
    let orders = records.into_iter().filter(|record| record.stream.starts_with("admin-"));
    orders.map(|it| (Fact::decode(&it.kind, it.version, &it.data).unwrap(), it)).collect()
}

/// Every kind of thing of another's that an admin does something with: call, order and what comes of it.
async fn deeds(world: &World, sale: &Sale) -> Vec<(Call, &'static str, &'static str)> {
    let theirs = sale.organizer.hold(&sale.reserve(1)).await;
    let venue = sale.organizer.send(&Call::post("/venues", &venue_body())).await.expect(201);
    let venue = venue.text("venue_id");
    let draft = Terms::default().body(world, &venue);
    let draft = sale.organizer.send(&Call::post("/events", &draft)).await.expect(201);
    let draft = draft.text("event_id");
    let event = format!("/events/{}", sale.event);
    let deed = |call: Call, order, comes| (call, order, comes);
    vec![
        deed(cancel(&theirs), "BookingCancellationOrdered", "Cancelled"),
        deed(
            Call::put(format!("/venues/{venue}"), &venue_body()),
            "VenueChangeOrdered",
            "VenueChanged",
        ),
        deed(
            Call::order(format!("/events/{draft}/publish")),
            "EventPublicationOrdered",
            "EventPublished",
        ),
        deed(Call::put(&*event, &sale.terms), "EventChangeOrdered", "EventChanged"),
        deed(Call::delete(event), "EventCancellationOrdered", "EventCancelled"),
    ]
}

#[tokio::test]
async fn what_an_admin_does_with_what_is_anothers_stands_in_the_log_before_it_is_done() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms::default()).await;
    let admin = world.person(&node, &[Role::Admin]);
    let owner = sale.organizer.user;
    for (call, kind, comes) in deeds(&world, &sale).await {
        let (before, orders_before) = (count(&world, comes).await, orders(&world).await.len());
        // Not without a reason, nor with one that says nothing.
        admin.send(&call).await.refused(422, "INVALID");
        admin.send(&call.clone().because("%20")).await.refused(422, "INVALID");
        assert_eq!(
            (count(&world, comes).await, orders(&world).await.len()),
            (before, orders_before)
        );
        let call = call.clone().because("Ada%20Lovelace%20phoned").key(kind);
        let first = admin.send(&call).await.expect(200);
        assert_eq!(admin.send(&call).await.expect(200).body, first.body, "{kind}");
        let orders = orders(&world).await;
        assert_eq!(orders.len(), orders_before + 1, "{kind}");
        let (order, record) = orders.last().unwrap();
        assert_eq!(
            (order.kind(), order.by(), order.person()),
            (kind, Some(admin.user), Some(owner))
        );
        let done = world.story().await.records;
        let done = done.iter().rfind(|record| &*record.kind == comes).unwrap();
        assert!(record.position < done.position, "{kind}");
        // Why is sealed with the key of the one whose it is, and opened with it.
        let (whose, reason) = order.reason().unwrap();
        assert_eq!(whose, owner);
        let key = world.vault.person(owner).await.unwrap();
        assert_eq!(*key.open_text(Field::Reason, reason).unwrap(), "Ada Lovelace phoned");
        let data = String::from_utf8_lossy(&record.data);
        assert!(!data.contains("Lovelace"), "{data}");
    }
    node.stop().await;
}

#[tokio::test]
async fn nothing_is_ordered_of_ones_own_nor_of_what_is_not_there() {
    let world = World::new();
    let node = world.start().await;
    let mut sale = world.sale(&node, Terms::default()).await;
    // Whoever has an event may be an admin too, and needs no reason.
    let owner = sale.organizer.user;
    sale.organizer = world.somebody(&node, owner, &[Role::Organizer, Role::Admin]);
    for (call, ..) in deeds(&world, &sale).await {
        sale.organizer.send(&call).await.expect(200);
    }
    let admin = world.person(&node, &[Role::Admin]);
    let nothing = EventId::from_u128(7);
    let call = Call::delete(format!("/events/{nothing}")).because("why");
    admin.send(&call).await.refused(404, "EVENT_NOT_FOUND");
    let booking = BookingId { event: sale.event, number: 7 };
    admin
        .send(&cancel(&booking.to_string()).because("why"))
        .await
        .refused(404, "BOOKING_NOT_FOUND");
    // Nor by who is no admin.
    let other = world.organizer(&node);
    other.send(&sale.call_off().because("why")).await.refused(403, "FORBIDDEN");
    assert_eq!(orders(&world).await, []);
    node.stop().await;
}

#[tokio::test]
async fn what_an_admin_said_of_who_is_erased_nobody_reads_any_more() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms::default()).await;
    let admin = world.person(&node, &[Role::Admin]);
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let buyer = world.somebody(&node, ada.user, &[Role::Attendee]);
    let booking = buyer.hold(&sale.reserve(1)).await;
    admin.send(&cancel(&booking).because("Lovelace%20phoned")).await.expect(200);
    let kept = buyer.hold(&sale.reserve(1)).await;
    buyer.pay(&kept, "tok_success").await.expect(200);
    world.until_settled().await;

    // They have it in their export.
    let export = guest.ask_as("GET", "/users/me/export", None, Some(&ada.access), None).await;
    let export = export.expect(200).json();
    assert_eq!(export["role_changes"][0]["reason"], "Lovelace phoned", "{export}");
    guest.ask_as("DELETE", "/users/me", None, Some(&ada.access), None).await.expect(204);
    let order = orders(&world).await.pop().unwrap().0;
    let (whose, _) = order.reason().unwrap();
    assert_eq!(whose, ada.user);
    assert!(matches!(world.vault.person(whose).await, Err(VaultError::Erased)));

    // What is done with what they left is still told why, by the one who does it.
    admin.send(&cancel(&kept).because("asked%20by%20letter")).await.expect(200);
    let order = orders(&world).await.pop().unwrap().0;
    assert_eq!((order.person(), order.by()), (None, Some(admin.user)));
    let (whose, reason) = order.reason().unwrap();
    assert_eq!(whose, admin.user);
    let key = world.vault.person(whose).await.unwrap();
    assert_eq!(*key.open_text(Field::Reason, reason).unwrap(), "asked by letter");
    node.stop().await;
}

#[tokio::test]
async fn nothing_is_done_that_could_not_be_written_down() {
    let world = World::new();
    let log = FaultyLog::new(world.log.clone());
    let node = world.start_on(log.clone(), "wake.json").await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let sale = world.sale(&node, Terms::default()).await;
    let admin = world.person(&node, &[Role::Admin]);
    let token = world.keys.issue(admin.user, &[Role::Admin], infra::auth::ACCESS_TTL).unwrap();
    let roles = format!("/admin/users/{}/roles", ada.user);
    let grant = json!({"grant": ["organizer"], "reason": "why"});
    let deeds = deeds(&world, &sale).await;
    let before = world.story().await.records.len();

    log.refuse("admin");
    let answer = guest.ask_as("POST", &roles, Some(grant.clone()), Some(&token), None).await;
    answer.refused(503, "LOG_UNAVAILABLE");
    for (call, ..) in &deeds {
        admin.send(&call.clone().because("why")).await.refused(503, "LOG_UNAVAILABLE");
    }
    assert_eq!(world.story().await.records.len(), before);
    log.refuse("");
    let answer = guest.ask_as("POST", &roles, Some(grant), Some(&token), None).await;
    answer.expect(200);
    for (call, ..) in &deeds {
        admin.send(&call.clone().because("why")).await.expect(200);
    }
    let kinds: Vec<_> = orders(&world).await.iter().map(|(fact, _)| fact.kind()).collect();
    let expected: Vec<_> = deeds.iter().map(|(_, order, _)| *order).collect();
    assert_eq!(kinds, [&["RolesOrdered"], &expected[..]].concat());
    node.stop().await;
}

#[tokio::test]
async fn nobody_is_erased_by_an_order_that_could_not_be_written_down() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let log = FaultyLog::new(world.log.clone());
    let accounts = world.accounts(log.clone());
    log.refuse("admin");
    let refused = accounts.erase_by_order(ada.user, ErasureGround::Law, false).await;
    assert!(matches!(refused, Err(AccountError::LogUnwritable(_))));
    assert_eq!(count(&world, "AccountErased").await, 0);
    assert_eq!(world.vault.store().erasing().await.unwrap(), []);
    guest.me(&ada).await.expect(200);
    log.refuse("");
    let erased = accounts.erase_by_order(ada.user, ErasureGround::Law, false).await.unwrap();
    let orders = orders(&world).await;
    let [(Fact::ErasureOrdered(fact), order)] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!((fact.ground, &fact.reason), (Some(ErasureGround::Law), &None));
    assert!(order.position < erased);
    node.stop().await;
}

#[tokio::test]
async fn an_order_of_which_nobody_knows_whether_it_was_written_is_written_once() {
    let world = World::new();
    for fault in [Fault::WrittenUnknown, Fault::LostUnknown] {
        let log = FaultyLog::new(world.log.clone());
        log.next("admin", [fault]);
        let order = MasterKeyRotationOrdered {}.into();
        command_api::write_down(log.clone(), world.clock.clone(), order).await.unwrap();
        assert!(log.is_spent());
    }
    assert_eq!(count(&world, "MasterKeyRotationOrdered").await, 2);
}

#[tokio::test]
async fn who_gives_roles_and_why_stands_in_a_stream_of_its_own() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ada = guest.join(&world, "ada@example.org", "Ada").await;
    let admin = UserId::from_u128(5);
    let token = world.keys.issue(admin, &[Role::Admin], infra::auth::ACCESS_TTL).unwrap();
    let roles = format!("/admin/users/{}/roles", ada.user);
    let grant = json!({"grant": ["organizer"], "reason": "Runs the Lovelace nights"});
    for _ in 0..2 {
        let body = Some(grant.clone());
        guest.ask_as("POST", &roles, body, Some(&token), Some("k")).await.expect(200);
    }
    let orders = orders(&world).await;
    let [(Fact::RolesOrdered(order), record)] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!((order.user, order.by), (ada.user, Some(admin)));
    assert_eq!((&*order.grant, &*order.revoke), (&[Role::Organizer][..], &[][..]));
    assert_eq!(*record.stream, *format!("admin-{}", ada.user));
    assert!(!String::from_utf8_lossy(&record.data).contains("Lovelace"));
    let key = world.vault.person(ada.user).await.unwrap();
    let reason = key.open_text(Field::Reason, &order.reason).unwrap();
    assert_eq!(*reason, "Runs the Lovelace nights");
    node.stop().await;
}
