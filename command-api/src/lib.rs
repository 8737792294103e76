//! Commands: decided by the domain, made durable by the log, answered with a position.

mod booking;
mod endpoints;
mod followup;
mod payments;
mod refusal;
mod runtime;
mod state;

pub use refusal::CODES;
pub use runtime::{LostEnd, followed_to};
pub use state::{CommandApi, CommandSettings, CommandState, Parts, StartError};

use axum::Router;
use axum::middleware::map_request;
use axum::routing::{delete, post, put};
use utoipa::OpenApi as _;

/// The largest body of a request of a buyer, in bytes: a thousand seats and their names.
const MAX_BUYER_BODY_BYTES: usize = 64 * 1024;

/// The command endpoints, all under `/api/v1`.
pub fn router(state: CommandState) -> Router {
    organizers().merge(buyers()).with_state(state)
}

fn organizers() -> Router<CommandState> {
    use endpoints as e;
    Router::new()
        .route("/api/v1/venues", post(e::create_venue::create_venue))
        .route("/api/v1/venues/{venue_id}", put(e::change_venue::change_venue))
        .route("/api/v1/events", post(e::draft_event::draft_event))
        .route(
            "/api/v1/events/{event_id}",
            put(e::change_event::change_event).delete(e::cancel_event::cancel_event),
        )
        .route("/api/v1/events/{event_id}/publish", post(e::publish_event::publish_event))
}

/// There are many more buyers, and what they ask for is small: more is not even read.
fn buyers() -> Router<CommandState> {
    use endpoints as e;
    let small = |request| async { infra::http::with_body_within(request, MAX_BUYER_BODY_BYTES) };
    Router::new()
        .route("/api/v1/bookings/reserve", post(e::reserve::reserve))
        .route("/api/v1/bookings/confirm", post(e::confirm::confirm))
        .route("/api/v1/bookings/{booking_id}", delete(e::cancel_booking::cancel_booking))
        .route("/api/v1/waitlist/join", post(e::join_waitlist::join_waitlist))
        .route("/api/v1/waitlist/leave", delete(e::leave_waitlist::leave_waitlist))
        .route_layer(map_request(small))
}

/// The API document's part on commands.
pub fn api() -> utoipa::openapi::OpenApi {
    endpoints::Document::openapi()
}
