//! What is sold: a venue with seats and a floor, and an event in each.

use std::time::Duration;

use domain::{EventId, TierId, UserId};
use infra::auth::Role;
use infra::clock::{Clock, SystemClock};
use infra::ids;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::DemoError;
use super::client::{Ask, Client};
use super::target::Target;

/// How long buyers, and those who get an offer, have to pay: short, so that holds die in sight.
const HOLD_TTL_S: u32 = 5;
const OFFER_TTL_S: u32 = 5;
const SEATS_IN_ROW: u32 = 40;
const DAYS_AHEAD_S: u64 = 60 * 86_400;

/// An event on sale, with one tier.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnSale {
    pub(super) event: EventId,
    pub(super) tier: TierId,
    pub(super) places: u32,
}

/// Everything on sale.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) seated: OnSale,
    pub(super) standing: OnSale,
    /// A token that may read the log.
    pub(super) auditor: String,
    /// Where in the log the sale begins.
    pub(super) position: u64,
}

impl OnSale {
    /// The name of one of its seats.
    pub(super) fn seat(&self, number: u32) -> String {
        let number = number % self.places;
        format!("Stalls-{}-{}", number / SEATS_IN_ROW + 1, number % SEATS_IN_ROW + 1)
    }
}

impl Stage {
    /// Sets up a venue and two events that share `places`, and opens the sale.
    pub(super) async fn set(
        client: &Client,
        target: &Target,
        places: u32,
    ) -> Result<Self, DemoError> {
        let organizer = UserId::from_u128(ids::time_ordered(SystemClock.now()));
        let hour = Duration::from_secs(3600);
        let roles = [Role::Organizer, Role::Auditor];
        let token = target.keys().issue(organizer, &roles, hour)?;
        let (seats, floor) = (places.div_ceil(2), (places / 2).max(1));
        let venue = json!({
            "name": "Demo Hall", "address": "1 Main Street", "city": "Berlin", "country": "DE",
            "latitude": 52.52, "longitude": 13.405,
            "sections": [
                {"name": "Stalls", "kind": "seated", "rows": rows(seats)},
                {"name": "Floor", "kind": "standing", "capacity": floor},
            ],
        });
        let venue = post(client, &token, "create venue", "/venues", Some(venue)).await?;
        let on_sale = async |name: &str, section: &str, price: u32, places: u32| {
            let starts_at = SystemClock.now().plus_s(DAYS_AHEAD_S);
            let event = json!({
                "name": name, "venue_id": venue["venue_id"], "event_type": "concert",
                "starts_at": starts_at, "ends_at": starts_at.plus_s(3 * 3600),
                "tiers": [{"name": section, "price": price, "currency": "EUR", "section": section}],
                "hold_ttl_seconds": HOLD_TTL_S, "waitlist_offer_seconds": OFFER_TTL_S,
            });
            let event = post(client, &token, "draft event", "/events", Some(event)).await?;
            let found: OnSale = OnSale {
                event: id(&event["event_id"])?,
                tier: id(&event["tiers"][0]["tier_id"])?,
                places,
            };
            let path = format!("/events/{}/publish", found.event);
            post(client, &token, "publish event", &path, None).await?;
            Ok::<_, DemoError>(found)
        };
        let seated = on_sale("Demo: the seated night", "Stalls", 6_500, seats).await?;
        let standing = on_sale("Demo: the standing night", "Floor", 4_500, floor).await?;
        let position = venue["position"].as_u64().unwrap_or(0);
        Ok(Self { seated, standing, auditor: token.clone(), position })
    }

    /// Both events.
    pub(super) fn events(&self) -> [OnSale; 2] {
        [self.seated, self.standing]
    }
}

fn rows(seats: u32) -> Vec<Value> {
    let rows = 0..seats.div_ceil(SEATS_IN_ROW);
    let in_row = |row: u32| SEATS_IN_ROW.min(seats - row * SEATS_IN_ROW);
    rows.map(|row| json!({"label": (row + 1).to_string(), "seats": in_row(row)})).collect()
}

async fn post(
    client: &Client,
    token: &str,
    command: &'static str,
    path: &str,
    body: Option<Value>,
) -> Result<Value, DemoError> {
    client.must(Ask { command, method: Method::POST, path, token, key: None, body }).await
}

fn id<T: DeserializeOwned>(value: &Value) -> Result<T, DemoError> {
    serde_json::from_value(value.clone()).map_err(|_| DemoError::Refused {
        doing: "draft event",
        status: 201,
        code: "without an id".to_owned(),
    })
}
