//! HTTP handlers that do nothing: the most that axum gives on this machine.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use domain::{EventId, TierId};
use serde::{Deserialize, Serialize};

/// The body of a reservation by tier and quantity.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// At which event.
    pub event_id: EventId,
    /// Of which tier.
    pub tier_id: TierId,
    /// How many places.
    pub quantity: u32,
}

/// Parses a reservation and answers with the same as JSON, under the product's path.
pub fn echo(path: &str) -> Router {
    Router::new().route(path, post(async |Json(body): Json<Reserve>| Json(body)))
}

/// Answers with these bytes, under the product's path.
pub fn constant(path: &str, body: Bytes) -> Router {
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body).into_response() }
    };
    Router::new().route(path, get(answer))
}
