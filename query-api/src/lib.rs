//! Everything that is read: live availability kept in memory, and one file per query endpoint over
//! the views. Nothing here writes to the log or to a view.

mod browsing;
mod cache;
mod endpoints;
mod freshness;
mod live;
mod problems;
mod state;

pub use cache::CacheLimits;
pub use live::{Live, LiveLimits, LiveStats};
pub use problems::CODES;
pub use state::{QueryState, Sources};

use axum::Router;
use axum::routing::{get, post};
use endpoints::{
    audit_proof, audit_records, availability, booking, check_availability, event, events,
    my_bookings, seats, stream, venue, venues, waitlist_position,
};
use utoipa::OpenApi;

/// Every query endpoint, under `/api/v1`.
pub fn router(state: QueryState) -> Router {
    // Whole paths: nesting would have every request's path written anew.
    Router::new()
        .route("/api/v1/venues", get(venues::list_venues))
        .route("/api/v1/venues/{venue_id}", get(venue::get_venue))
        .route("/api/v1/events", get(events::list_events))
        .route("/api/v1/events/{event_id}", get(event::get_event))
        .route("/api/v1/events/{event_id}/availability", get(availability::get_availability))
        .route("/api/v1/events/{event_id}/seats", get(seats::get_seats))
        .route("/api/v1/events/{event_id}/stream", get(stream::get_stream))
        .route("/api/v1/bookings/check-availability", post(check_availability::check_availability))
        .route("/api/v1/bookings/{booking_id}", get(booking::get_booking))
        .route("/api/v1/users/me/bookings", get(my_bookings::list_my_bookings))
        .route("/api/v1/waitlist/position", get(waitlist_position::get_position))
        .route("/api/v1/audit/records", get(audit_records::list_records))
        .route("/api/v1/audit/proof/{event_id}", get(audit_proof::get_proof))
        .route("/internal/audit/records", get(audit_records::list_records_internally))
        .with_state(state)
}

/// What the query endpoints take and give, for the API document.
pub fn api() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(paths(
    venues::list_venues,
    venue::get_venue,
    events::list_events,
    event::get_event,
    availability::get_availability,
    seats::get_seats,
    stream::get_stream,
    check_availability::check_availability,
    booking::get_booking,
    my_bookings::list_my_bookings,
    waitlist_position::get_position,
    audit_records::list_records,
    audit_records::list_records_internally,
    audit_proof::get_proof,
))]
struct Document;
