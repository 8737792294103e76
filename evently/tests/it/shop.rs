//! A sale to try things on: an event with a few places, and people who buy them.

use axum::body::Bytes;
use domain::UserId;
use infra::auth::Role;
use infra::http::promise::Answered;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;

/// A server with one published event of a single tier.
pub(crate) struct Shop<'a> {
    server: &'a Server,
    client: Client,
    /// `evt_...`
    pub(crate) event: String,
    /// `tier_...`
    pub(crate) tier: String,
}

pub(crate) fn user(number: u128) -> UserId {
    UserId::from_u128(number)
}

impl<'a> Shop<'a> {
    /// Publishes an event with `places` to stand.
    pub(crate) async fn open(server: &'a Server, places: u32) -> Self {
        let (event, tier) = (String::new(), String::new());
        let mut shop = Self { server, client: Client::new(), event, tier };
        let venue = json!({
            "name": "Arena", "address": "Main Street 1", "city": "Berlin", "country": "DE",
            "sections": [{"name": "Floor", "kind": "standing", "capacity": places}],
        });
        let organizer = [Role::Organizer];
        let venue = shop.ask(Method::POST, "/venues", 1, &organizer).json(&venue);
        let venue = answer(venue, 201).await;
        let event = json!({
            "name": "Night", "venue_id": venue["venue_id"], "event_type": "concert",
            "starts_at": "2040-06-01T19:30:00Z", "ends_at": "2040-06-01T22:30:00Z",
            "tiers": [{"name": "Floor", "price": 4500, "currency": "EUR", "section": "Floor"}],
        });
        let event = shop.ask(Method::POST, "/events", 1, &organizer).json(&event);
        let event = answer(event, 201).await;
        shop.event = event["event_id"].as_str().unwrap().to_owned();
        shop.tier = event["tiers"][0]["tier_id"].as_str().unwrap().to_owned();
        let publish = format!("/events/{}/publish", shop.event);
        answer(shop.ask(Method::POST, &publish, 1, &organizer), 200).await;
        shop
    }

    /// A request of someone with these roles to `path` below `/api/v1`.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        number: u128,
        roles: &[Role],
    ) -> RequestBuilder {
        let token = self.server.token(user(number), roles);
        let url = self.server.url(&format!("/api/v1{path}"));
        self.client.request(method, url).bearer_auth(token)
    }

    /// Someone holds places; the booking's id.
    pub(crate) async fn reserve(&self, number: u128, quantity: u32) -> String {
        let body = json!({"event_id": self.event, "tier_id": self.tier, "quantity": quantity});
        let ask = self.ask(Method::POST, "/bookings/reserve", number, &[Role::Attendee]);
        let booking = answer(ask.json(&body), 201).await;
        booking["booking_id"].as_str().unwrap().to_owned()
    }

    /// They pay.
    pub(crate) async fn confirm(&self, number: u128, booking: &str) {
        let body = json!({"booking_id": booking, "payment_token": "tok_success"});
        let ask = self.ask(Method::POST, "/bookings/confirm", number, &[Role::Attendee]);
        answer(ask.json(&body), 200).await;
    }

    /// They buy a ticket.
    pub(crate) async fn sell(&self, number: u128) {
        let booking = self.reserve(number, 1).await;
        self.confirm(number, &booking).await;
    }
}

/// The body of the answer, which has to have this status.
pub(crate) async fn answer(request: RequestBuilder, status: u16) -> Value {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let method = request.method().clone();
    let response = client.execute(request).await.unwrap();
    let (found, _, body) = read(&method, response).await.unwrap();
    assert_eq!(found, status, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

/// Status, headers and body of an answer, which has to be as the API document says.
pub(crate) async fn read(
    method: &Method,
    response: Response,
) -> reqwest::Result<(StatusCode, HeaderMap, Bytes)> {
    let (status, headers) = (response.status(), response.headers().clone());
    let path = response.url().path().to_owned();
    let body = response.bytes().await?;
    Answered {
        method: method.as_str(),
        path: &path,
        status: status.as_u16(),
        content_type: headers.get("content-type").map_or("", |kind| kind.to_str().unwrap()),
        headers: &headers,
        body: &body,
    }
    .is_as_promised();
    Ok((status, headers, body))
}
