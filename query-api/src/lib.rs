//! Everything that is read: live availability kept in memory, and one file per query endpoint over
//! the views. Nothing here writes to the log or to a view.

mod endpoints;
mod freshness;
mod live;
mod problems;
mod state;

pub use live::{Live, LiveLimits, LiveStats};
pub use problems::CODES;
pub use state::{QueryState, Sources};

use axum::Router;
use axum::routing::{get, post};
use endpoints::{availability, check_availability, seats, stream};
use utoipa::OpenApi;

/// Every query endpoint, under `/api/v1`.
pub fn router(state: QueryState) -> Router {
    let api = Router::new()
        .route("/events/{id}/availability", get(availability::get_availability))
        .route("/events/{id}/seats", get(seats::get_seats))
        .route("/events/{id}/stream", get(stream::get_stream))
        .route("/bookings/check-availability", post(check_availability::check_availability));
    Router::new().nest("/api/v1", api).with_state(state)
}

/// What the query endpoints take and give, for the API document.
pub fn api() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(paths(
    availability::get_availability,
    seats::get_seats,
    stream::get_stream,
    check_availability::check_availability,
))]
struct Document;
