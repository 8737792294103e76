//! Commands: decided by the domain, made durable by the log, answered with a position.

mod accounts;
mod booking;
mod endpoints;
mod followup;
mod forget;
mod payments;
mod refusal;
mod request_secret;
mod runtime;
mod state;

pub use accounts::{AccountError, Accounts, AccountsParts, NewAccount, write_down};
pub use refusal::CODES;
pub use runtime::{CLOCKS_APART, CommandStats, LostEnd, followed_to};
pub use state::{CommandApi, CommandSettings, CommandState, Parts, StartError};

use axum::Router;
use axum::routing::{delete, get, post, put};
use utoipa::OpenApi as _;

/// The command endpoints, all under `/api/v1`.
pub fn router(state: CommandState) -> Router {
    organizers().merge(buyers()).merge(persons()).with_state(state)
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

fn buyers() -> Router<CommandState> {
    use endpoints as e;
    Router::new()
        .route("/api/v1/bookings/reserve", post(e::reserve::reserve))
        .route("/api/v1/bookings/confirm", post(e::confirm::confirm))
        .route("/api/v1/bookings/{booking_id}", delete(e::cancel_booking::cancel_booking))
        .route("/api/v1/waitlist/join", post(e::join_waitlist::join_waitlist))
        .route("/api/v1/waitlist/leave", delete(e::leave_waitlist::leave_waitlist))
}

/// Everything about a person's own account, and what admins do to others'.
fn persons() -> Router<CommandState> {
    use endpoints as e;
    Router::new()
        .route("/api/v1/auth/register", post(e::register::register))
        .route("/api/v1/auth/email/verify", post(e::verify_email::verify_email))
        .route("/api/v1/auth/login", post(e::log_in::log_in))
        .route("/api/v1/auth/refresh", post(e::refresh::refresh))
        .route("/api/v1/auth/logout", post(e::log_out::log_out))
        .route("/api/v1/auth/oidc/login", get(e::oidc_login::oidc_login))
        .route("/api/v1/auth/oidc/callback", get(e::oidc_callback::oidc_callback))
        .route("/api/v1/auth/password/forgot", post(e::forgot_password::forgot_password))
        .route("/api/v1/auth/password/reset", post(e::reset_password::reset_password))
        .route(
            "/api/v1/users/me",
            get(e::profile::profile)
                .put(e::change_profile::change_profile)
                .delete(e::erase_me::erase_me),
        )
        .route("/api/v1/users/me/export", get(e::export_me::export_me))
        .route("/api/v1/users/me/password", put(e::change_password::change_password))
        .route("/api/v1/admin/users/{user_id}/roles", post(e::change_roles::change_roles))
}

/// The API document's part on commands.
pub fn api() -> utoipa::openapi::OpenApi {
    endpoints::Document::openapi()
}
