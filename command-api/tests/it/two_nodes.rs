//! Two nodes on one log: correct by the expected revision alone.

use crate::races::{last_fifty, race};
use crate::support::{Terms, World, cancel, confirm};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_sell_the_same_event_at_once() {
    let world = World::new();
    let one = world.start_on(world.open_log(), "one.json").await;
    let two = world.start_on(world.open_log(), "two.json").await;
    let sale = world.sale(&one, last_fifty()).await;
    race(&world, &[&one, &two], sale.clone()).await;
    world.verify(&one).await;
    world.verify(&two).await.agrees_with(&world.provider).await;
    // Both go on.
    let more = sale.resize(40);
    sale.organizer.send(&more).await.expect(200);
    for node in [&one, &two] {
        world.buyer(node).send(&sale.leave()).await.refused(404, "NOT_WAITING");
        let other = world.sale(node, Terms::default()).await;
        world.buyer(node).hold(&other.reserve(1)).await;
    }
    two.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn what_one_node_did_the_other_knows() {
    let world = World::new();
    let one = world.start_on(world.open_log(), "one.json").await;
    let two = world.start_on(world.open_log(), "two.json").await;
    let sale = world.sale(&one, Terms { places: 2, ..Terms::default() }).await;
    let here = world.buyer(&one);
    let there = world.somebody(&two, here.user, &[infra::auth::Role::Attendee]);
    // The other one looks at the inventory before anything happens.
    there.send(&sale.leave()).await.refused(404, "NOT_WAITING");

    let call = sale.reserve(2).key("mine");
    let held = here.send(&call).await.expect(201);
    let booking = held.text("booking_id");
    assert_eq!(there.send(&call).await.expect(201).body, held.body);
    world.buyer(&two).send(&sale.reserve(1)).await.refused(409, "INSUFFICIENT_SEATS");
    // What refuses there is known to be over here, and the other way round.
    let paid = there.send(&confirm(&booking, "tok_success").key("pay")).await.expect(200);
    let again = here.send(&confirm(&booking, "tok_success").key("pay")).await.expect(200);
    assert_eq!(again.body, paid.body);
    here.send(&cancel(&booking).key("back")).await.expect(200);
    there.send(&cancel(&booking)).await.refused(409, "ALREADY_CANCELLED");
    let sold_there = there.hold(&sale.reserve(2)).await;
    here.send(&sale.reserve(1)).await.refused(409, "INSUFFICIENT_SEATS");
    there.send(&cancel(&sold_there)).await.expect(200);
    here.send(&sale.reserve(2).key("again")).await.expect(201);
    there.send(&sale.reserve(2).key("again")).await.expect(201);
    world.verify(&one).await;
    world.verify(&two).await;
    two.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn a_node_finishes_what_another_left_behind() {
    let mut world = World::new();
    world.settings.idle = std::time::Duration::from_secs(3_600);
    let living = world.start_on(world.open_log(), "living.json").await;
    let dying = world.start_doomed("dying.json").await;
    let sale = world.sale(&living, Terms { hold_s: 1, ..Terms::default() }).await;
    // Both look after the inventory.
    world.buyer(&living).send(&sale.leave()).await.refused(404, "NOT_WAITING");
    let booking = world.buyer(dying.node()).hold(&sale.reserve(1)).await;
    drop(dying);
    let records = world.until_kind("Expired", 1).await;
    let story = world.story().await;
    let hold = story.booking(booking.parse().unwrap());
    let expired = records.iter().find(|record| &*record.kind == "Expired").unwrap();
    assert!(expired.at.ms_since(hold.expires_at) <= 1_500, "{} {}", expired.at, hold.expires_at);
    world.verify(&living).await;
    living.stop().await;
}
