//! `POST /bookings/check-availability`: whether so many places are left (CT-4). Changes nothing.

use axum::extract::State;
use domain::event::MAX_LIMIT;
use domain::{EventId, TierId};
use infra::http::{Json, MinPosition, POSITION_HEADER, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::QueryState;
use crate::problems::TIER_NOT_FOUND;

/// What is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckAvailability {
    /// Of which event.
    #[schema(value_type = String)]
    event_id: EventId,
    /// Of which tier; absent: of whichever can serve them in one booking.
    #[schema(value_type = Option<String>)]
    tier_id: Option<TierId>,
    /// Places, 1 to 1000.
    #[schema(minimum = 1)]
    quantity: i64,
}

/// Whether a reservation would be accepted now, as far as that does not depend on who asks; others
/// may be quicker.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AvailabilityChecked {
    /// Whether so many can be reserved in one booking.
    available: bool,
    /// How many are left, of the tier or of all together.
    available_seats: u64,
    /// If they cannot: the code with which a reservation is refused, e.g. `LIMIT_PER_BOOKING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Whether so many places can be reserved.
#[utoipa::path(
    post,
    path = "/api/v1/bookings/check-availability",
    tag = "bookings",
    params(
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    request_body = CheckAvailability,
    responses(
        (status = 200, description = "Whether there are so many now", body = AvailabilityChecked),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "EVENT_NOT_FOUND, TIER_NOT_FOUND"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "LOG_UNAVAILABLE, HISTORY_DAMAGED"),
    ),
)]
pub(crate) async fn check_availability(
    State(state): State<QueryState>,
    MinPosition(min): MinPosition,
    Json(wanted): Json<CheckAvailability>,
) -> Result<impl axum::response::IntoResponse, Problem> {
    let quantity = u64::try_from(wanted.quantity).ok();
    let quantity = quantity.filter(|quantity| (1..=u64::from(MAX_LIMIT)).contains(quantity));
    let quantity = quantity.ok_or_else(|| {
        let problem = format!("must be a whole number from 1 to {MAX_LIMIT}");
        Problem::invalid("quantity", &problem)
    })?;
    state.live.at_least(min).await?;
    let position = state.live.position();
    let stock = state.live.availability(wanted.event_id).await?;
    let available_seats = stock
        .available(wanted.tier_id)
        .ok_or_else(|| Problem::not_found(TIER_NOT_FOUND, "tier of this event"))?;
    let reason = stock.refusal(wanted.tier_id, quantity, state.sources.clock.now());
    let available = reason.is_none();
    let position = position.map(|position| [(POSITION_HEADER, position.0)]);
    Ok((position, Json(AvailabilityChecked { available, available_seats, reason })))
}
