//! Payments: never "paid and nothing", never both (PM-3).

use std::time::Duration;

use domain::inventory::{BookingStatus, PaymentStage};
use futures::future::join_all;
use infra::payment::{LedgerRefund, PaymentStatus};

use crate::support::{
    Client, FarProvider, FaultyLog, Line, Node, Sale, Story, Terms, World, confirm, eventually,
};

/// Longer than the provider is given to report on a charge.
const IMPATIENT_S: u64 = 40;

const LONG: Terms = Terms {
    places: 10,
    seats: 0,
    price: 2_500,
    hold_s: 600,
    offer_s: 600,
    starts_in_s: 30 * 86_400,
};

async fn stage(world: &World, terms: Terms) -> (Node, Sale, Client, String) {
    let node = world.start().await;
    let sale = world.sale(&node, terms).await;
    let buyer = world.buyer(&node);
    let booking = buyer.hold(&sale.reserve(1)).await;
    (node, sale, buyer, booking)
}

async fn end(world: &World, node: Node) -> Story {
    world.until_settled().await;
    let story = world.verify(&node).await;
    story.agrees_with(&world.provider).await;
    node.stop().await;
    story
}

async fn refunds(world: &World) -> Vec<LedgerRefund> {
    world.provider.ledger().await.unwrap().refunds
}

#[tokio::test]
async fn a_declined_payment_leaves_the_hold_and_its_answer_stays() {
    let world = World::new();
    let (node, _, buyer, booking) = stage(&world, LONG).await;
    let declined = confirm(&booking, "tok_declined").key("one");
    let other = confirm(&booking, "tok_of_nobody").key("two");
    let good = confirm(&booking, "tok_success").key("three");
    buyer.send(&declined).await.refused(409, "PAYMENT_DECLINED");
    buyer.send(&other).await.refused(409, "PAYMENT_DECLINED");
    buyer.send(&declined).await.refused(409, "PAYMENT_DECLINED");
    buyer.send(&good).await.expect(200);
    buyer.send(&declined).await.refused(409, "PAYMENT_DECLINED");
    buyer.send(&other).await.refused(409, "PAYMENT_DECLINED");
    end(&world, node).await;
}

#[tokio::test]
async fn a_payment_that_never_arrived_fails_and_another_can_follow() {
    let world = World::new();
    let (node, _, buyer, booking) = stage(&world, LONG).await;
    let lost = confirm(&booking, "tok_timeout").key("lost");
    let same_key = "ask again with the same Idempotency-Key";
    for _ in 0..2 {
        let pending = buyer.send(&lost).await.refused(503, "PAYMENT_PENDING");
        assert!(pending.text("detail").contains(same_key), "{}", pending.text("detail"));
    }
    let next = confirm(&booking, "tok_success").key("next");
    buyer.send(&next).await.refused(409, "PAYMENT_IN_PROGRESS");
    let cancel = crate::support::cancel(&booking);
    buyer.send(&cancel).await.refused(409, "PAYMENT_IN_PROGRESS");
    world.clock.skip_s(IMPATIENT_S);
    world.until_kind("PaymentFailed", 1).await;
    let failed = buyer.send(&lost).await.refused(409, "PAYMENT_FAILED").text("detail");
    assert!(failed.contains("Try again before the hold dies"), "{failed}");
    buyer.send(&next).await.expect(200);
    world.clock.skip_s(600);
    let failed = buyer.send(&lost).await.refused(409, "PAYMENT_FAILED").text("detail");
    assert!(failed.contains("reserve again"), "{failed}");
    end(&world, node).await;
}

/// Whoever clicks twice gets one answer twice.
#[tokio::test]
async fn who_asks_the_same_while_the_provider_is_asked_waits_too() {
    let world = World::answering_within(Duration::from_millis(500));
    let (node, _, buyer, booking) = stage(&world, LONG).await;
    let call = confirm(&booking, "tok_success").key("pay");
    let answers = join_all((0..5).map(|_| buyer.send(&call))).await;
    for answer in answers {
        assert_eq!(answer.expect(200).text("status"), "confirmed");
    }
    assert_eq!(world.story().await.kind("PaymentStarted"), 1);
    end(&world, node).await;
}

#[tokio::test]
async fn a_late_payment_confirms_by_itself() {
    let world = World::new();
    let (node, _, buyer, booking) = stage(&world, LONG).await;
    let late = confirm(&booking, "tok_late").key("late");
    buyer.send(&late).await.refused(503, "PAYMENT_PENDING");
    world.until_kind("Confirmed", 1).await;
    let answer = buyer.send(&late).await.expect(200);
    assert_eq!(answer.text("status"), "confirmed");
    end(&world, node).await;
}

#[tokio::test]
async fn a_slow_provider_holds_up_nobody_else() {
    let mut world = World::answering_within(Duration::from_secs(3_600));
    world.settings.charge_timeout = Duration::from_secs(3);
    let (node, sale, buyer, booking) = stage(&world, LONG).await;
    let paying = tokio::spawn({
        let (buyer, call) = (buyer.clone(), confirm(&booking, "tok_timeout"));
        async move { buyer.send(&call).await }
    });
    world.until_kind("PaymentStarted", 1).await;
    for _ in 0..5 {
        let other = world.buyer(&node);
        let quick = other.hold(&sale.reserve(1)).await;
        other.pay(&quick, "tok_success").await.expect(200);
    }
    assert!(!paying.is_finished());
    let pending = paying.await.unwrap().refused(503, "PAYMENT_PENDING").text("detail");
    assert!(!pending.contains("Idempotency-Key"), "nobody sent one: {pending}");
    world.clock.skip_s(IMPATIENT_S);
    end(&world, node).await;
}

/// A payment that arrives when the hold has been dead for long.
async fn pay_too_late(world: &World, buyer: &Client, booking: &str) {
    let late = confirm(booking, "tok_late").key("late");
    buyer.send(&late).await.refused(503, "PAYMENT_PENDING");
    world.until_kind("Expired", 1).await;
    world.until_settled().await;
}

#[tokio::test]
async fn money_after_the_hold_died_gets_the_same_places_if_they_are_free() {
    let world = World::answering_within(Duration::from_millis(1_500));
    let (node, _, buyer, booking) = stage(&world, Terms { hold_s: 1, ..LONG }).await;
    pay_too_late(&world, &buyer, &booking).await;
    let answer = buyer.send(&confirm(&booking, "tok_late").key("late")).await.expect(200);
    assert_eq!(answer.json()["history"][3]["type"], "Reinstated");
    assert_eq!(refunds(&world).await, []);
    end(&world, node).await;
}

#[tokio::test]
async fn money_after_the_hold_died_is_paid_back_once_if_they_are_not() {
    let mut world = World::answering_within(Duration::from_millis(1_500));
    // Nothing but what has to happen wakes anybody.
    world.settings.idle = Duration::from_secs(3_600);
    let terms = Terms { hold_s: 1, places: 1, ..LONG };
    let (node, sale, buyer, booking) = stage(&world, terms).await;
    world.buyer(&node).send(&sale.join(1)).await.expect(201);
    pay_too_late(&world, &buyer, &booking).await;
    let answer = buyer.send(&confirm(&booking, "tok_late").key("late")).await;
    assert_eq!(answer.refused(409, "HOLD_EXPIRED").json()["details"]["refund"], 2_500);
    let paid_back = refunds(&world).await;
    assert_eq!(paid_back.iter().map(|refund| refund.amount_minor).collect::<Vec<_>>(), [2_500]);
    let story = end(&world, node).await;
    let snapshot = story.booking(booking.parse().unwrap());
    assert_eq!(snapshot.status, BookingStatus::Expired);
    assert_eq!(snapshot.payment.unwrap().1, PaymentStage::Refunded);
    let node = world.start().await;
    end(&world, node).await;
    assert_eq!(refunds(&world).await, paid_back);
}

#[tokio::test]
async fn who_goes_away_while_paying_has_paid_all_the_same() {
    let world = World::new();
    let log = FaultyLog::new(world.log.clone());
    let node = world.start_on(log.clone(), "wake.json").await;
    let sale = world.sale(&node, LONG).await;
    let buyer = world.buyer(&node);
    let booking = buyer.hold(&sale.reserve(1)).await;
    log.block(domain::inventory::stream(sale.event));
    let before = log.appends();
    let paying = tokio::spawn(async move {
        buyer.send(&confirm(&booking, "tok_success")).await;
    });
    eventually(async || log.appends() > before).await;
    paying.abort();
    assert!(paying.await.unwrap_err().is_cancelled());
    log.unblock();
    world.until_kind("Confirmed", 1).await;
    end(&world, node).await;
}

/// A process that ends between the start of a payment and its end: the next one finishes it.
async fn stop_in_between(token: &'static str, crash: bool, wake_list: bool) -> Story {
    let mut world = World::answering_within(Duration::from_millis(700));
    world.settings.idle = Duration::from_secs(3_600);
    let node = world.start_doomed("wake.json").await;
    let sale = world.sale(node.node(), LONG).await;
    let buyer = world.buyer(node.node());
    let booking = buyer.hold(&sale.reserve(1)).await;
    let paying = tokio::spawn(async move {
        buyer.send(&confirm(&booking, token).key("pay")).await;
    });
    world.until_kind("PaymentStarted", 1).await;
    if token != "tok_timeout" {
        eventually(async || !world.provider.ledger().await.unwrap().charges.is_empty()).await;
    }
    node.end(crash).await;
    // Told something or cut off; what it was told is checked at the end.
    let _ = paying.await;
    if !wake_list {
        let _ = std::fs::remove_file(world.folder.path().join("wake.json"));
    }
    let node = world.start().await;
    world.clock.skip_s(IMPATIENT_S);
    end(&world, node).await
}

#[tokio::test]
async fn a_charge_that_was_cut_off_is_found_and_confirmed() {
    for (crash, wake_list) in [(true, true), (true, false), (false, true), (false, false)] {
        let story = stop_in_between("tok_late", crash, wake_list).await;
        assert_eq!(story.kind("Confirmed"), 1, "{crash} {wake_list}");
    }
}

#[tokio::test]
async fn a_charge_that_never_left_is_given_up() {
    for (crash, wake_list) in [(true, true), (true, false), (false, true)] {
        let story = stop_in_between("tok_timeout", crash, wake_list).await;
        assert_eq!(story.kind("PaymentFailed"), 1, "{crash} {wake_list}");
    }
}

#[tokio::test]
async fn a_provider_out_of_reach_costs_nobody_anything() {
    let world = World::new();
    let provider = FarProvider::new(world.provider.clone());
    let node = world.start_with(world.log.clone(), provider.clone(), "wake.json").await;
    let sale = world.sale(&node, LONG).await;
    let buyer = world.buyer(&node);
    let booking = buyer.hold(&sale.reserve(1)).await;
    provider.next([Line::Down]);
    let first = confirm(&booking, "tok_success").key("first");
    buyer.send(&first).await.refused(503, "PAYMENT_UNAVAILABLE");
    buyer.send(&first).await.refused(409, "PAYMENT_FAILED");
    assert_eq!(world.provider.ledger().await.unwrap().charges, []);
    // Charged, but the answer is lost, and so are the first answers to the question for it.
    provider.next([Line::Deaf, Line::Down, Line::Deaf]);
    let second = confirm(&booking, "tok_success").key("second");
    buyer.send(&second).await.refused(503, "PAYMENT_PENDING");
    world.until_kind("Confirmed", 1).await;
    buyer.send(&second).await.expect(200);
    // Paid back, but nobody says so at first.
    provider.next([Line::Down, Line::Deaf, Line::Deaf]);
    buyer.send(&crate::support::cancel(&booking)).await.expect(200);
    end(&world, node).await;
    assert_eq!(refunds(&world).await.len(), 1);
}

/// More bookings than refunds are asked for at a time.
const MANY: usize = 300;

async fn sell_many(world: &World, node: &Node) -> Sale {
    let places = u32::try_from(MANY).unwrap() + 10;
    let sale = world.sale(node, Terms { places, ..LONG }).await;
    for _ in 0..MANY {
        let buyer = world.buyer(node);
        let booking = buyer.hold(&sale.reserve(1)).await;
        buyer.pay(&booking, "tok_success").await.expect(200);
    }
    // Not paid, and so nothing is paid back.
    world.buyer(node).hold(&sale.reserve(1)).await;
    sale
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_called_off_pays_everybody_back_once() {
    let world = World::new();
    let node = world.start().await;
    let sale = sell_many(&world, &node).await;
    // One is being paid at this moment.
    let buyer = world.buyer(&node);
    let booking = buyer.hold(&sale.reserve(1)).await;
    buyer.send(&confirm(&booking, "tok_late").key("late")).await.refused(503, "PAYMENT_PENDING");
    sale.organizer.send(&sale.call_off().key("off")).await.expect(200);
    let story = end(&world, node).await;
    assert_eq!(story.kind("Cancelled"), MANY + 2);
    assert_eq!(refunds(&world).await.len(), MANY + 1);
    let charges = world.provider.ledger().await.unwrap().charges;
    assert!(charges.iter().all(|charge| charge.status == PaymentStatus::Succeeded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_go_on_after_a_crash_and_none_is_paid_twice() {
    let world = World::new();
    let node = world.start_doomed("wake.json").await;
    let sale = sell_many(&world, node.node()).await;
    sale.organizer.send(&sale.call_off()).await.expect(200);
    world.until_kind("Refunded", 20).await;
    node.end(true).await;
    let node = world.start().await;
    end(&world, node).await;
    assert_eq!(refunds(&world).await.len(), MANY);
}
