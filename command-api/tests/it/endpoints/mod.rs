//! Every command endpoint: does it, does it twice, unknown id, not yours, and what it refuses.

mod bookings;
mod edges;
mod events;
mod first_answers;
mod sections;
mod tiers;
mod values;
mod venues;
mod waitlist;

use infra::auth::Role;
use serde_json::json;

use crate::support::{Call, Client, Node, Sale, Terms, World, cancel, confirm, venue_body};

/// Something of everything, so that every endpoint has something to do.
struct Stage {
    world: World,
    node: Node,
    sale: Sale,
    /// Has a hold, and a place in the waitlist of `full`.
    buyer: Client,
    hold: String,
    /// Sold out.
    full: Sale,
    venue: String,
    draft: String,
    organizer: Client,
}

/// A command endpoint with a request that succeeds, and who may send it.
struct Endpoint {
    call: Call,
    /// Something else to ask of the same endpoint, if there is a body to ask it with.
    other: Option<Call>,
    by: Client,
    roles: &'static [Role],
}

const BUYERS: &[Role] = &[Role::Attendee, Role::Organizer, Role::Admin, Role::BoxOffice];
const ORGANIZERS: &[Role] = &[Role::Organizer, Role::Admin];

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let node = world.start().await;
        let sale = world.sale(&node, Terms { seats: 10, ..Terms::default() }).await;
        let full = world.sale(&node, Terms { places: 2, ..Terms::default() }).await;
        world.buyer(&node).hold(&full.reserve(2)).await;
        let buyer = world.buyer(&node);
        let hold = buyer.hold(&sale.reserve(1)).await;
        buyer.send(&full.join(1)).await.expect(201);
        let organizer = sale.organizer.clone();
        let venue = organizer.send(&Call::post("/venues", &venue_body())).await.expect(201);
        let venue = venue.text("venue_id");
        let terms = Terms { seats: 10, ..Terms::default() }.body(&world, &venue);
        let draft = organizer.send(&Call::post("/events", &terms)).await.expect(201);
        let draft = draft.text("event_id");
        Self { world, node, sale, buyer, hold, full, venue, draft, organizer }
    }

    /// All of them, in an order in which all succeed.
    fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint =
            |by: &Client, roles, call, other| Endpoint { call, other, by: by.clone(), roles };
        let organizer = |call, other| endpoint(&self.organizer, ORGANIZERS, call, other);
        let buyer = |call, other| endpoint(&self.buyer, BUYERS, call, other);
        let terms = Terms { seats: 10, ..Terms::default() }.body(&self.world, &self.venue);
        let dearer = Terms { price: 9_900, seats: 10, ..Terms::default() };
        let dearer = dearer.body(&self.world, &self.venue);
        let mut venue = venue_body();
        venue["name"] = json!("Another");
        let (put_venue, put_draft) =
            (format!("/venues/{}", self.venue), format!("/events/{}", self.draft));
        let two = self.sale.seats(&["A-1-2", "A-1-3"]);
        vec![
            organizer(Call::post("/venues", &venue_body()), Some(Call::post("/venues", &venue))),
            organizer(Call::put(&put_venue, &venue_body()), Some(Call::put(&put_venue, &venue))),
            organizer(Call::post("/events", &terms), Some(Call::post("/events", &dearer))),
            organizer(Call::put(&put_draft, &terms), Some(Call::put(&put_draft, &dearer))),
            organizer(Call::order(format!("{put_draft}/publish")), None),
            buyer(two, Some(self.sale.seats(&["A-1-2", "A-1-4"]))),
            buyer(self.sale.reserve(2), Some(self.sale.reserve(1))),
            buyer(confirm(&self.hold, "tok_success"), Some(confirm(&self.hold, "tok_declined"))),
            buyer(cancel(&self.hold), None),
            buyer(self.full.leave(), None),
            buyer(self.full.join(1), Some(self.full.join(2))),
            organizer(Call::delete(put_draft), None),
        ]
    }
}
