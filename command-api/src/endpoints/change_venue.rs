//! `PUT /venues/{venue_id}` (CT-1). Events on sale keep what they sell.

use axum::extract::State;
use domain::VenueId;
use domain::venue::Command;
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument, Query};

use super::as_admin::ReasonQuery;
use super::venue_body::{VenueAnswer, VenueBody};
use crate::state::{Asked, CommandState};

/// Change a venue
///
/// Replaces all that is known of it. Published events keep their seats and places; a draft has to
/// fit the venue when it is published.
#[utoipa::path(
    put, path = "/api/v1/venues/{venue_id}", tag = "venues", request_body = VenueBody,
    params(
        ("venue_id" = String, Path, description = "`ven_...`"),
        ReasonQuery,
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key and body: the first answer again"),
    ),
    responses(
        (status = 200, description = "It is changed", body = VenueAnswer),
        (status = 403, description = "FORBIDDEN: for its organizer and admins",
            body = ProblemDocument),
        (status = 404, description = "VENUE_NOT_FOUND, ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn change_venue(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Path(venue): Path<VenueId>,
    Query(why): Query<ReasonQuery>,
    Json(body): Json<VenueBody>,
) -> Result<AtPosition<Json<VenueAnswer>>, Problem> {
    let asked = Asked::new(&state, caller, key, "change-venue", &(venue, &body))?;
    let (by, as_admin) = (asked.user(), asked.with_anothers());
    let (profile, request) = (body.profile()?, asked.request.clone());
    state.order_venue_changed(&asked, venue, why).await?;
    let command = Command::Change { venue, by, as_admin, profile, request };
    let (position, answer) = state.venue(venue, command, asked).await?;
    Ok(AtPosition(position, Json(answer)))
}
