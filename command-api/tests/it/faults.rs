//! A log that loses answers, goes away, or is written by somebody else first.

use std::sync::Arc;
use std::time::Duration;

use domain::event::Event;
use domain::{Aggregate, EventId, UserId};
use infra::clock::Clock;
use infra::log::{Expected, Log, NewRecord};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{
    Call, Client, Fault, FaultyLog, Node, Sale, Terms, World, cancel, confirm, eventually,
    venue_body,
};

const INVENTORY: &str = "inventory-";

/// A node on a log that fails when told to, and one that does not.
struct Stage {
    world: World,
    log: Arc<FaultyLog>,
    node: Node,
    other: Node,
    sale: Sale,
    buyer: Client,
}

impl Stage {
    async fn new(terms: Terms) -> Self {
        let world = World::new();
        let log = FaultyLog::new(world.open_log());
        let node = world.start_on(log.clone(), "wake.json").await;
        let other = world.start_on(world.open_log(), "other.json").await;
        let sale = world.sale(&node, terms).await;
        let buyer = world.buyer(&node);
        Self { world, log, node, other, sale, buyer }
    }

    /// Everything told was true, and the faults came about.
    async fn end(self) {
        assert!(self.log.is_spent());
        self.world.until_settled().await;
        self.world.verify(&self.node).await;
        self.world.verify(&self.other).await.agrees_with(&self.world.provider).await;
        self.other.stop().await;
        self.node.stop().await;
    }

    /// Somebody else buys a ticket through another node.
    fn rival(&self) -> Fault {
        Fault::before(self.buys_elsewhere())
    }

    fn buys_elsewhere(&self) -> impl Future<Output = ()> + Send + use<> {
        let (rival, reserve) = (self.world.buyer(&self.other), self.sale.reserve(1));
        async move {
            rival.send(&reserve).await;
        }
    }
}

#[tokio::test]
async fn every_command_survives_a_lost_answer_a_lost_append_and_a_rival() {
    let stage = Stage::new(Terms { places: 100, ..Terms::default() }).await;
    let (sale, buyer) = (&stage.sale, &stage.buyer);
    let fault = |number: usize| match number % 4 {
        0 => Fault::WrittenUnknown,
        1 => Fault::LostUnknown,
        2 => stage.rival(),
        // In a row: nobody knows, then it was somebody else.
        _ => Fault::before(async {}),
    };
    for number in 0..4 {
        let arrange = || stage.log.next(INVENTORY, [fault(number)]);
        arrange();
        let booking = buyer.hold(&sale.reserve(1).key(format!("reserve-{number}"))).await;
        // A payment is two appends: that it starts, and how it ends.
        stage.log.next(INVENTORY, [fault(number), fault(number)]);
        let paid = confirm(&booking, "tok_success").key(format!("pay-{number}"));
        buyer.send(&paid).await.expect(200);
        arrange();
        buyer.send(&cancel(&booking).key(format!("cancel-{number}"))).await.expect(200);
    }
    stage.world.until_kind("Refunded", 4).await;
    stage.end().await;
}

#[tokio::test]
async fn waiting_survives_them_too() {
    let stage = Stage::new(Terms { places: 1, ..Terms::default() }).await;
    stage.world.buyer(&stage.other).hold(&stage.sale.reserve(1)).await;
    for (number, fault) in [Fault::WrittenUnknown, Fault::LostUnknown].into_iter().enumerate() {
        stage.log.next(INVENTORY, [fault]);
        let join = stage.sale.join(1).key(format!("join-{number}"));
        stage.buyer.send(&join).await.expect(201);
        stage.log.next(INVENTORY, [Fault::WrittenUnknown]);
        let leave = stage.sale.leave().key(format!("leave-{number}"));
        stage.buyer.send(&leave).await.expect(200);
    }
    stage.end().await;
}

#[tokio::test]
async fn venues_and_events_survive_them_too() {
    let stage = Stage::new(Terms::default()).await;
    let organizer = stage.world.organizer(&stage.node);
    for fault in [|| Fault::WrittenUnknown, || Fault::LostUnknown] {
        stage.log.next("venue-", [fault()]);
        let venue = organizer.send(&Call::post("/venues", &venue_body())).await.expect(201);
        stage.log.next("event-", [fault()]);
        let mut terms = stage.sale.terms.clone();
        terms["venue_id"] = json!(venue.text("venue_id"));
        let event = organizer.send(&Call::post("/events", &terms)).await.expect(201);
        let path = format!("/events/{}", event.text("event_id"));
        for call in [Call::order(format!("{path}/publish")), Call::delete(path)] {
            stage.log.next("event-", [fault()]);
            organizer.send(&call).await.expect(200);
        }
    }
    assert_eq!(stage.world.story().await.kind("EventCancelled"), 2);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_on_a_log_that_loses_every_other_answer() {
    let stage = Stage::new(Terms { places: 61, ..Terms::default() }).await;
    // The first key of a day is nothing that can be taken back.
    stage.buyer.hold(&stage.sale.reserve(1).key("first")).await;
    let loads = stage.log.loads();
    for _ in 0..15 {
        let rival = stage.rival();
        stage.log.next(INVENTORY, [Fault::WrittenUnknown, Fault::LostUnknown, rival]);
    }
    let mut racing = JoinSet::new();
    for number in 0..120 {
        let client = stage.world.buyer(&stage.node);
        let reserve = stage.sale.reserve(1).key(format!("k{number}"));
        racing.spawn(async move {
            let (one, two) = tokio::join!(client.send(&reserve), client.send(&reserve));
            assert_eq!(one.status, two.status);
            if one.status.is_success() {
                assert_eq!(one.body, two.body);
                return;
            }
            one.refused(409, "INSUFFICIENT_SEATS");
        });
    }
    while let Some(ended) = racing.join_next().await {
        ended.unwrap();
    }
    assert_eq!(stage.log.loads(), loads, "what the rival wrote was read, and nothing else");
    // The batches may have been fewer than the faults.
    while !stage.log.is_spent() {
        stage.sale.organizer.send(&stage.sale.resize(200)).await.expect(200);
        let client = stage.world.buyer(&stage.node);
        client.hold(&stage.sale.reserve(1)).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn the_rival_who_is_first_gets_the_last_place() {
    let stage = Stage::new(Terms { places: 1, seats: 2, ..Terms::default() }).await;
    let (sale, buyer) = (&stage.sale, &stage.buyer);
    stage.log.next(INVENTORY, [stage.rival()]);
    buyer.send(&sale.reserve(1)).await.refused(409, "INSUFFICIENT_SEATS");
    let (rival, seats) = (stage.world.buyer(&stage.other), sale.seats(&["A-1-1"]));
    stage.log.next(
        INVENTORY,
        [Fault::before(async move {
            rival.hold(&seats).await;
        })],
    );
    buyer.send(&sale.seats(&["A-1-2", "A-1-1"])).await.refused(409, "SEAT_TAKEN");
    stage.end().await;
}

/// A log that has lost a sale would sell the same place again.
#[tokio::test]
async fn nothing_is_decided_on_a_stream_with_a_gap() {
    let stage = Stage::new(Terms { places: 1, ..Terms::default() }).await;
    stage.buyer.hold(&stage.sale.reserve(1)).await;
    let lossy = FaultyLog::new(stage.world.open_log());
    lossy.lose(1);
    let node = stage.world.start_on(lossy, "lossy.json").await;
    let late = stage.world.buyer(&node);
    late.send(&stage.sale.reserve(1)).await.refused(503, "LOG_UNAVAILABLE");
    node.stop().await;
    stage.end().await;
}

/// Somebody who is late every time is told so in the end, and keeps nobody else waiting for ever.
#[tokio::test]
async fn whoever_is_late_five_hundred_times_is_told_to_come_again() {
    const MOST: usize = 500;
    let stage = Stage::new(Terms { places: 1_000, ..Terms::default() }).await;
    let before = stage.log.appends();
    stage.log.next(INVENTORY, (0..MOST).map(|_| stage.rival()));
    stage.buyer.send(&stage.sale.reserve(1).key("late")).await.refused(503, "TOO_MANY_WAITING");
    assert_eq!(stage.log.appends() - before, MOST);
    assert!(stage.log.is_spent());
    // Nothing was done, and now it is.
    stage.buyer.send(&stage.sale.reserve(1).key("late")).await.expect(201);
    assert_eq!(stage.log.appends() - before, MOST + 1);
    stage.end().await;
}

/// Another node that is always quicker than a large batch keeps nobody from buying here.
#[tokio::test]
async fn whoever_is_late_decides_on_less_until_they_are_first() {
    let stage = Stage::new(Terms { places: 1_000, ..Terms::default() }).await;
    let stream = domain::inventory::stream(stage.sale.event);
    stage.log.block(stream);
    let before = stage.log.appends();
    let mut buying = JoinSet::new();
    let mut buy = || {
        let (buyer, reserve) = (stage.world.buyer(&stage.node), stage.sale.reserve(1));
        buying.spawn(async move { buyer.send(&reserve).await });
    };
    buy();
    eventually(async || stage.log.appends() > before).await;
    (0..8).for_each(|_| buy());
    eventually(async || stage.node.waiting() == 8).await;
    let many = std::iter::repeat_with(|| Fault::before_many(stage.buys_elsewhere()));
    stage.log.next(INVENTORY, many.take(600));
    stage.log.unblock();
    while let Some(answer) = buying.join_next().await {
        answer.unwrap().expect(201);
    }
    stage.log.nothing_next();
    stage.end().await;
}

#[tokio::test]
async fn the_same_key_at_two_nodes_is_one_booking() {
    let stage = Stage::new(Terms::default()).await;
    let call = stage.sale.reserve(1).key("both");
    let roles = [infra::auth::Role::Attendee];
    let there = stage.world.somebody(&stage.other, stage.buyer.user, &roles);
    let (sent, answered) = tokio::sync::oneshot::channel();
    let again = call.clone();
    stage.log.next(
        INVENTORY,
        [Fault::before(async move {
            sent.send(there.send(&again).await).unwrap();
        })],
    );
    let here = stage.buyer.send(&call).await.expect(201);
    assert_eq!(here.body, answered.await.unwrap().expect(201).body);
    assert_eq!(stage.world.story().await.kind("Reserved"), 1);
    stage.end().await;
}

#[tokio::test]
async fn while_the_log_is_away_nothing_is_sold_and_then_all_goes_on_by_itself() {
    let stage = Stage::new(Terms { hold_s: 2, ..Terms::default() }).await;
    let (sale, buyer) = (&stage.sale, &stage.buyer);
    let booking = buyer.hold(&sale.reserve(1)).await;
    stage.log.away(true);
    let calls = [
        sale.reserve(1).key("reserve"),
        confirm(&booking, "tok_success").key("confirm"),
        cancel(&booking).key("cancel"),
        sale.join(1).key("join"),
        sale.leave().key("leave"),
    ];
    for call in &calls {
        buyer.send(call).await.refused(503, "LOG_UNAVAILABLE");
    }
    let organizer = &sale.organizer;
    let publish = Call::order(format!("/events/{}/publish", sale.event));
    for call in [Call::post("/venues", &venue_body()), sale.resize(60), publish, sale.call_off()] {
        organizer.send(&call).await.refused(503, "LOG_UNAVAILABLE");
    }
    let until = stage.world.story().await.booking(booking.parse().unwrap()).expires_at;
    // Its deadline comes while nothing can be written.
    stage.world.clock.skip_s(3);
    assert!(infra::clock::Clock::now(&*stage.world.clock) > until);
    stage.log.away(false);
    buyer.send(&calls[0]).await.expect(201);
    buyer.send(&calls[1]).await.refused(409, "HOLD_EXPIRED");
    stage.world.until_kind("Expired", 1).await;
    assert_eq!(stage.world.provider.ledger().await.unwrap().charges, []);
    stage.end().await;
}

#[tokio::test]
async fn what_is_due_while_the_log_is_away_is_done_when_it_is_back() {
    let stage = Stage::new(Terms { hold_s: 1, ..Terms::default() }).await;
    // Only the node with the broken log looks after the inventory.
    let Stage { world, log, node, other, sale, buyer } = stage;
    other.stop().await;
    buyer.hold(&sale.reserve(1)).await;
    let before = log.appends();
    log.away(true);
    eventually(async || log.appends() > before).await;
    log.away(false);
    world.until_kind("Expired", 1).await;
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn a_log_that_is_away_is_asked_ever_more_rarely_for_what_is_due() {
    let stage = Stage::new(Terms { hold_s: 600, ..Terms::default() }).await;
    let Stage { world, log, node, other, sale, buyer } = stage;
    other.stop().await;
    buyer.hold(&sale.reserve(1)).await;
    log.away(true);
    // From here on nobody waits: time goes by where nothing else is to be done.
    world.clock.stand_still();
    tokio::time::pause();
    world.clock.skip_s(601);
    eventually(async || log.pauses().len() >= 4).await;
    let pauses_s: Vec<_> = log.pauses()[..4].iter().map(Duration::as_secs_f64).collect();
    for (pause_s, expected_s) in pauses_s.iter().zip([0.5, 1.0, 2.0, 2.0]) {
        assert!((pause_s - expected_s).abs() < 0.01, "{pauses_s:?}");
    }
    tokio::time::resume();
    log.away(false);
    world.until_kind("Expired", 1).await;
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn an_answer_lost_together_with_the_log_is_found_again() {
    let stage = Stage::new(Terms { hold_s: 600, ..Terms::default() }).await;
    let (sale, buyer) = (&stage.sale, &stage.buyer);
    let reserve = sale.reserve(1).key("reserve");
    stage.log.next(INVENTORY, [Fault::WrittenThenAway]);
    buyer.send(&reserve).await.refused(503, "LOG_UNAVAILABLE");
    stage.log.away(false);
    let booking = buyer.hold(&reserve).await;
    assert_eq!(stage.world.story().await.kind("Reserved"), 1);

    // The money is there, the booking is confirmed, and nobody could say so.
    let pay = confirm(&booking, "tok_success").key("pay");
    stage.log.next(INVENTORY, [Fault::before(async {}), Fault::WrittenThenAway]);
    let paying = tokio::spawn({
        let (buyer, pay) = (buyer.clone(), pay.clone());
        async move { buyer.send(&pay).await }
    });
    stage.world.until_kind("Confirmed", 1).await;
    stage.log.away(false);
    let paid = paying.await.unwrap().expect(200);
    assert_eq!(buyer.send(&pay).await.expect(200).body, paid.body);

    let cancel = cancel(&booking).key("cancel");
    stage.log.next(INVENTORY, [Fault::WrittenThenAway]);
    buyer.send(&cancel).await.refused(503, "LOG_UNAVAILABLE");
    stage.log.away(false);
    buyer.send(&cancel).await.expect(200);
    stage.world.until_kind("Refunded", 1).await;
    stage.end().await;
}

/// As left behind by a process that ended between an event's fact and its inventory's, or by one
/// that knows more.
async fn leave(world: &World, event: EventId, kind: &'static str, data: serde_json::Value) {
    let record = NewRecord {
        id: Uuid::from_u128(event.as_u128() + 1),
        kind: kind.into(),
        version: 1,
        at: world.clock.now(),
        metadata: "{}".into(),
        data: data.to_string().into(),
    };
    world.log.append(&Event::stream(event), Expected::Any, vec![record]).await.unwrap();
}

#[tokio::test]
async fn an_event_that_cannot_be_read_keeps_no_other_from_being_followed() {
    let world = World::new();
    let node = world.start().await;
    let strange = world.sale(&node, Terms::default()).await;
    let sale = world.sale(&node, Terms::default()).await;
    world.buyer(&node).hold(&sale.reserve(1)).await;
    leave(&world, strange.event, "EventMovedToTheMoon", json!({})).await;
    let by = UserId::from_u128(1);
    leave(&world, sale.event, "EventCancelled", json!({"event": sale.event, "by": by})).await;
    world.until_kind("InventoryClosed", 1).await;
    world.until_kind("Cancelled", 1).await;
    node.stop().await;
    // What could not be followed is not forgotten, and still in nobody's way.
    let wake = std::fs::read_to_string(world.folder.path().join("wake.json")).unwrap();
    assert!(wake.contains(&strange.event.to_string()), "{wake}");
    let node = world.start().await;
    let third = world.sale(&node, Terms::default()).await;
    leave(&world, third.event, "EventCancelled", json!({"event": third.event, "by": by})).await;
    world.until_kind("InventoryClosed", 2).await;
    node.stop().await;
}
