//! What an event sells of its venue, whatever becomes of either (BK-5, CT-2).

use bytes::Bytes;
use domain::StoredFact as _;
use domain::event::{EventChanged, Fact, Stock};
use infra::log::{Expected, Log, NewRecord};
use serde_json::{Value, json};

use crate::support::{Answer, Call, Client, Node, Terms, World, venue_body};

/// An event in a venue with room for 200 to stand, and 20 seats.
struct Stage {
    world: World,
    node: Node,
    organizer: Client,
    /// Where the venue is changed.
    venue: String,
    /// Where the event is changed.
    event: String,
    body: Value,
}

fn venue(sections: &Value) -> Value {
    let mut venue = venue_body();
    venue["sections"] = sections.clone();
    venue
}

fn standing(capacity: u32) -> Value {
    json!({"name": "Floor", "kind": "standing", "capacity": capacity})
}

fn seats(count: u32) -> Value {
    json!({"name": "A", "kind": "seated", "rows": [{"label": "1", "seats": count}]})
}

fn tier(name: &str, section: &str) -> Value {
    json!({"name": name, "price": 1_000, "currency": "EUR", "section": section})
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let node = world.start().await;
        let organizer = world.organizer(&node);
        let added = venue(&json!([standing(200), seats(20)]));
        let added = organizer.send(&Call::post("/venues", &added)).await.expect(201);
        let venue = added.text("venue_id");
        let mut body = Terms::default().body(&world, &venue);
        body["tiers"] = json!([tier("Standing", "Floor"), tier("Stalls", "A")]);
        let drafted = organizer.send(&Call::post("/events", &body)).await.expect(201);
        let event = format!("/events/{}", drafted.text("event_id"));
        Self { world, node, organizer, venue: format!("/venues/{venue}"), event, body }
    }

    async fn publish(&self) -> Answer {
        self.organizer.send(&Call::order(format!("{}/publish", self.event))).await
    }

    async fn rebuild(&self, sections: &Value) {
        self.organizer.send(&Call::put(&self.venue, &venue(sections))).await.expect(200);
    }

    /// Changes one place of what was said first.
    async fn change(&self, pointer: &str, value: Value) -> Answer {
        let mut body = self.body.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match body.pointer_mut(parent).unwrap() {
            Value::Array(elements) => elements.push(value),
            place => place[name] = value,
        }
        self.organizer.send(&Call::put(&self.event, &body)).await
    }

    fn reserve(&self, member: &str, value: &Value) -> Call {
        let event = self.event.rsplit_once('/').unwrap().1;
        let mut body = json!({"event_id": event, member: value});
        if member == "tier_id" {
            body["quantity"] = json!(3);
        }
        Call::post("/bookings/reserve", &body)
    }

    async fn end(self) {
        self.world.verify(&self.node).await;
        self.node.stop().await;
    }
}

#[track_caller]
fn wrong(answer: Answer, field: &str) {
    assert_eq!(answer.refused(422, "INVALID").json()["details"]["field"], field);
}

#[tokio::test]
async fn a_published_tier_stays_in_its_section() {
    let stage = Stage::new().await;
    stage.publish().await.expect(200);
    // Else the floor's 200 places could be sold once more, by another tier.
    let left = json!({"name": "Standing", "price": 1_000, "currency": "EUR", "capacity": 200});
    let mut body = stage.body.clone();
    body["tiers"] = json!([left, tier("Stalls", "A"), tier("Floor", "Floor")]);
    wrong(stage.organizer.send(&Call::put(&stage.event, &body)).await, "tiers[0].section");
    wrong(stage.change("/tiers/-", tier("More", "Floor")).await, "tiers");
    stage.end().await;
}

#[tokio::test]
async fn a_draft_that_does_not_fit_its_venue_any_more_is_not_published() {
    let stage = Stage::new().await;
    stage.rebuild(&json!([standing(200), seats(3)])).await;
    let refused = stage.publish().await.refused(409, "VENUE_CHANGED");
    assert_eq!(refused.json()["details"]["field"], "tiers[1].section");
    let buyer = stage.world.buyer(&stage.node);
    let last = stage.reserve("seats", &json!(["A-1-20"]));
    buyer.send(&last).await.refused(404, "EVENT_NOT_FOUND");
    stage.rebuild(&json!([standing(5), seats(3)])).await;
    let published = Call::order(format!("{}/publish", stage.event)).key("publish");
    stage.change("/name", json!("Small concert")).await.expect(200);
    let first = stage.organizer.send(&published).await.expect(200);
    buyer.send(&last).await.refused(404, "SEAT_NOT_FOUND");
    buyer.send(&stage.reserve("seats", &json!(["A-1-3"]))).await.expect(201);
    // What was done stays done.
    stage.rebuild(&json!([])).await;
    assert_eq!(stage.organizer.send(&published).await.expect(200).body, first.body);
    stage.publish().await.refused(409, "ALREADY_PUBLISHED");
    stage.end().await;
}

#[tokio::test]
async fn what_is_on_sale_stays_so_in_a_venue_that_shrank() {
    let stage = Stage::new().await;
    let published = stage.publish().await.expect(200).json();
    let buyer = stage.world.buyer(&stage.node);
    buyer.hold(&stage.reserve("tier_id", &published["tiers"][0]["tier_id"])).await;
    for sections in [
        json!([standing(5), seats(1)]),
        json!([{"name": "B", "kind": "box", "capacity": 9}]),
        json!([{"name": "A", "kind": "standing", "capacity": 9}]),
    ] {
        stage.rebuild(&sections).await;
        let renamed = stage.change("/name", json!("Renamed")).await.expect(200).json();
        assert_eq!(renamed["tiers"], published["tiers"]);
        let mut told = published.clone();
        for member in ["event_id", "status", "position"] {
            told.as_object_mut().unwrap().remove(member);
        }
        stage.organizer.send(&Call::put(&stage.event, &told)).await.expect(200);
        wrong(stage.change("/tiers/0/capacity", json!(201)).await, "tiers");
    }
    wrong(stage.change("/tiers/-", tier("More", "Floor")).await, "tiers[2].section");
    let lower = stage.change("/tiers/0/capacity", json!(2)).await;
    lower.refused(409, "CAPACITY_BELOW_SOLD");
    stage.change("/tiers/0/capacity", json!(3)).await.expect(200);
    wrong(stage.change("/tiers/0/capacity", json!(4)).await, "tiers");
    buyer.send(&stage.reserve("seats", &json!(["A-1-20"]))).await.expect(201);
    stage.end().await;
}

#[tokio::test]
async fn an_event_into_whose_change_somebody_bought_can_stay_as_it_is() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 10, ..Terms::default() }).await;
    world.buyer(&node).hold(&sale.reserve(6)).await;
    // Another node had found all of them free.
    let story = world.story().await;
    let record = story.records.iter().find(|it| &*it.kind == "EventDrafted").unwrap();
    let Ok(Fact::EventDrafted(drafted)) = Fact::decode(&record.kind, record.version, &record.data)
    else {
        panic!("no draft")
    };
    let (event, by, mut terms) = (drafted.event, drafted.organizer, drafted.terms);
    terms.tiers[0].stock = Stock::Counted { capacity: 5, section: None };
    let fact = Fact::from(EventChanged { event, by, terms, request: None });
    let new = NewRecord {
        id: uuid::Uuid::from_u128(infra::ids::random_u128()),
        kind: fact.kind().into(),
        version: fact.version(),
        at: record.at,
        metadata: record.metadata.clone(),
        data: Bytes::from(fact.encode()),
    };
    world.log.append(&record.stream, Expected::Any, vec![new]).await.unwrap();
    sale.organizer.send(&sale.resize(5)).await.expect(200);
    let lower = sale.organizer.send(&sale.resize(4)).await.refused(409, "CAPACITY_BELOW_SOLD");
    assert_eq!(lower.json()["details"]["held"], 6);
    world.verify(&node).await;
    node.stop().await;
}
