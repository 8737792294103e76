//! What admins and operators order is written down first, with who and why.

use command_api::AccountError;
use domain::administration::{
    self, BookingCancellationOrdered, EventCancellationOrdered, Fact, MasterKeyRotationOrdered,
};
use domain::{StoredFact as _, UserId};
use infra::auth::Role;
use infra::log::Record;
use serde_json::json;

use super::{Guest, count};
use crate::support::{Call, Fault, FaultyLog, Terms, World, cancel};

/// Of all orders, in the order of the log.
async fn orders(world: &World) -> Vec<(Fact, Record)> {
    let records = world.story().await.records;
    let orders = records.into_iter().filter(|record| record.stream.starts_with("admin-"));
    orders
        .map(|it| (administration::Fact::decode(&it.kind, it.version, &it.data).unwrap(), it))
        .collect()
}

#[tokio::test]
async fn what_an_admin_does_with_what_is_anothers_stands_in_the_log_before_it_is_done() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms::default()).await;
    let owner = world.buyer(&node);
    let (mine, theirs) = (owner.hold(&sale.reserve(1)).await, owner.hold(&sale.reserve(1)).await);
    owner.send(&cancel(&mine)).await.expect(200);
    assert_eq!(orders(&world).await, []);

    let admin = world.person(&node, &[Role::Admin]);
    let why = "?reason=Ada%20Lovelace%20phoned";
    let call = Call::delete(format!("/bookings/{theirs}{why}")).key("it");
    let first = admin.send(&call).await.expect(200);
    assert_eq!(admin.send(&call).await.expect(200).body, first.body);
    let event = Call::delete(format!("/events/{}", sale.event)).key("all");
    admin.send(&event).await.expect(200);
    admin.send(&event).await.expect(200);

    let orders = orders(&world).await;
    let [(Fact::BookingCancellationOrdered(one), at), (Fact::EventCancellationOrdered(all), _)] =
        &orders[..]
    else {
        panic!("{orders:?}")
    };
    let BookingCancellationOrdered { booking, by, reason, request } = one;
    assert_eq!((booking.to_string(), *by), (theirs, admin.user));
    // What stands for the key, which may be anything.
    let key = &request.as_ref().unwrap().key;
    assert!(key.len() == 33 && key.starts_with('h'), "{key}");
    // Who may read it does, and nobody else.
    let key = world.vault.person(admin.user).await.unwrap();
    let reason = key.open_text(infra::identity::Field::Reason, reason.as_ref().unwrap());
    assert_eq!(*reason.unwrap(), "Ada Lovelace phoned");
    assert!(!String::from_utf8_lossy(&at.data).contains("Lovelace"));
    let EventCancellationOrdered { event, by, reason, .. } = all;
    assert_eq!((*event, *by, reason), (sale.event, admin.user, &None));
    let cancelled = world.story().await.records;
    let cancelled = cancelled.iter().filter(|record| &*record.kind == "Cancelled").nth(1);
    assert!(at.position < cancelled.unwrap().position);
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
    let theirs = world.buyer(&node).hold(&sale.reserve(1)).await;
    let admin = world.person(&node, &[Role::Admin]);
    let token = world.keys.issue(admin.user, &[Role::Admin], infra::auth::ACCESS_TTL).unwrap();
    let roles = format!("/admin/users/{}/roles", ada.user);
    let grant = json!({"grant": ["organizer"], "reason": "why"});
    let event = Call::delete(format!("/events/{}", sale.event));

    log.refuse("admin");
    let answer = guest.ask_as("POST", &roles, Some(grant.clone()), Some(&token), None).await;
    answer.refused(503, "LOG_UNAVAILABLE");
    admin.send(&cancel(&theirs)).await.refused(503, "LOG_UNAVAILABLE");
    admin.send(&event).await.refused(503, "LOG_UNAVAILABLE");
    for kind in ["RoleGranted", "Cancelled", "EventCancelled"] {
        assert_eq!(count(&world, kind).await, 0, "{kind}");
    }
    log.refuse("");
    let answer = guest.ask_as("POST", &roles, Some(grant), Some(&token), None).await;
    answer.expect(200);
    admin.send(&cancel(&theirs)).await.expect(200);
    admin.send(&event).await.expect(200);
    let kinds: Vec<_> = orders(&world).await.iter().map(|(fact, _)| fact.kind()).collect();
    assert_eq!(kinds, ["RolesOrdered", "BookingCancellationOrdered", "EventCancellationOrdered"]);
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
    let refused = accounts.erase_by_order(ada.user, Some("a letter")).await;
    assert!(matches!(refused, Err(AccountError::LogUnwritable(_))));
    assert_eq!(count(&world, "AccountErased").await, 0);
    assert_eq!(world.vault.store().erasing().await.unwrap(), []);
    guest.me(&ada).await.expect(200);
    log.refuse("");
    let erased = accounts.erase_by_order(ada.user, Some("a letter")).await.unwrap();
    let orders = orders(&world).await;
    let [(Fact::ErasureOrdered(_), order)] = &orders[..] else { panic!("{orders:?}") };
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
        command_api::write_down(log.clone(), world.clock.clone(), order, None).await.unwrap();
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
    let reason = key.open_text(infra::identity::Field::Reason, &order.reason).unwrap();
    assert_eq!(*reason, "Runs the Lovelace nights");
    node.stop().await;
}
