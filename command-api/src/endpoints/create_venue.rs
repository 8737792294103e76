//! `POST /venues` (CT-1).

use axum::extract::State;
use axum::http::StatusCode;
use domain::VenueId;
use domain::venue::{Command, Venue};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument};

use super::venue_body::{VenueAnswer, VenueBody};
use crate::state::{Asked, CommandState};

/// Add a venue
#[utoipa::path(
    post, path = "/api/v1/venues", tag = "venues", request_body = VenueBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: the first answer again")),
    responses(
        (status = 201, description = "It is added", body = VenueAnswer),
        (status = 403, description = "FORBIDDEN: for organizers and admins",
            body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED", body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn create_venue(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<VenueBody>,
) -> Result<(StatusCode, AtPosition<Json<VenueAnswer>>), Problem> {
    let asked = Asked::new(&state, caller, key, "create-venue", &body)?;
    let venue = state.new_id::<Venue>(&asked, "create-venue", VenueId::from_u128).await?;
    let (by, profile, request) = (asked.user(), body.profile()?, asked.request.clone());
    let command = Command::Create { venue, by, profile, request };
    let (position, answer) = state.venue(venue, command, asked).await?;
    Ok((StatusCode::CREATED, AtPosition(position, Json(answer))))
}
