//! Events to buy tickets for.

use domain::EventId;
use infra::clock::Clock;
use serde_json::{Value, json};

use super::{Answer, Call, Client, Node, World};

/// What differs between the events of tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Places on the floor.
    pub(crate) places: u32,
    /// Seats in row `A-1`; none if 0.
    pub(crate) seats: u32,
    /// In minor units.
    pub(crate) price: i64,
    pub(crate) hold_s: u32,
    pub(crate) offer_s: u32,
    /// How far away the event is.
    pub(crate) starts_in_s: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            places: 50,
            seats: 0,
            price: 2_500,
            hold_s: 300,
            offer_s: 600,
            starts_in_s: 30 * 86_400,
        }
    }
}

/// A published event.
#[derive(Clone)]
pub(crate) struct Sale {
    pub(crate) organizer: Client,
    pub(crate) event: EventId,
    /// The tier of the floor.
    pub(crate) floor: String,
    /// What was said about the event when it was set up.
    pub(crate) terms: Value,
}

pub(crate) fn venue_body() -> Value {
    json!({
        "name": "Arena", "address": "1 Long Street", "city": "Graz", "country": "AT",
        "sections": [
            {"name": "F", "kind": "standing", "capacity": 100_000},
            {"name": "A", "kind": "seated", "rows": [
                {"label": "1", "seats": 50, "accessible": ["1"]},
                {"label": "2", "seats": ["a", "b"]},
            ]},
        ],
    })
}

impl Terms {
    pub(crate) fn body(&self, world: &World, venue: &str) -> Value {
        let starts_at = world.clock.now().plus_s(self.starts_in_s);
        let mut tiers = vec![json!({
            "name": "Floor", "price": self.price, "currency": "EUR", "capacity": self.places,
        })];
        if self.seats > 0 {
            tiers.push(
                json!({"name": "Seats", "price": self.price, "currency": "EUR", "section": "A"}),
            );
        }
        json!({
            "name": "Concert", "event_type": "concert", "venue_id": venue,
            "starts_at": starts_at, "ends_at": starts_at.plus_s(7_200), "tiers": tiers,
            "hold_ttl_seconds": self.hold_s, "waitlist_offer_seconds": self.offer_s,
        })
    }
}

impl World {
    /// Sets an event up and publishes it.
    pub(crate) async fn sale(&self, node: &Node, terms: Terms) -> Sale {
        let organizer = self.organizer(node);
        let mut venue = venue_body();
        if terms.seats > 0 {
            venue["sections"][1]["rows"] = json!([{"label": "1", "seats": terms.seats}]);
        }
        let venue = organizer.send(&Call::post("/venues", &venue)).await.expect(201);
        let body = terms.body(self, &venue.text("venue_id"));
        let drafted = organizer.send(&Call::post("/events", &body)).await.expect(201);
        let event = drafted.text("event_id");
        let published = Call::order(format!("/events/{event}/publish"));
        organizer.send(&published).await.expect(200);
        let floor = drafted.json()["tiers"][0]["tier_id"].as_str().unwrap().to_owned();
        Sale { organizer, event: event.parse().unwrap(), floor, terms: body }
    }
}

impl Sale {
    pub(crate) fn reserve(&self, quantity: u32) -> Call {
        let body = json!({"event_id": self.event, "tier_id": self.floor, "quantity": quantity});
        Call::post("/bookings/reserve", &body)
    }

    pub(crate) fn seats(&self, names: &[&str]) -> Call {
        Call::post("/bookings/reserve", &json!({"event_id": self.event, "seats": names}))
    }

    pub(crate) fn join(&self, quantity: u32) -> Call {
        let body = json!({"event_id": self.event, "tier_id": self.floor, "quantity": quantity});
        Call::post("/waitlist/join", &body)
    }

    pub(crate) fn leave(&self) -> Call {
        Call::delete(format!("/waitlist/leave?event_id={}", self.event))
    }

    /// The event with another capacity of the floor.
    pub(crate) fn resize(&self, places: u32) -> Call {
        let mut body = self.terms.clone();
        body["tiers"][0]["capacity"] = places.into();
        Call::put(format!("/events/{}", self.event), &body)
    }

    pub(crate) fn call_off(&self) -> Call {
        Call::delete(format!("/events/{}", self.event))
    }
}

pub(crate) fn confirm(booking: &str, token: &str) -> Call {
    Call::post("/bookings/confirm", &json!({"booking_id": booking, "payment_token": token}))
}

pub(crate) fn cancel(booking: &str) -> Call {
    Call::delete(format!("/bookings/{booking}"))
}

impl Client {
    /// Holds places and says which booking it is.
    pub(crate) async fn hold(&self, call: &Call) -> String {
        self.send(call).await.expect(201).text("booking_id")
    }

    pub(crate) async fn pay(&self, booking: &str, token: &str) -> Answer {
        self.send(&confirm(booking, token)).await
    }
}
