//! `POST /events/{event_id}/publish`: opens the inventory (CT-2).

use axum::extract::State;
use domain::EventId;
use domain::event::Command;
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument, Query};

use super::as_admin::ReasonQuery;
use super::event_body::EventAnswer;
use crate::state::{Asked, CommandState};

/// Publish an event
///
/// Everybody sees it, and can buy once the sale of a tier opens.
#[utoipa::path(
    post, path = "/api/v1/events/{event_id}/publish", tag = "events",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ReasonQuery,
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key: the first answer again"),
    ),
    responses(
        (status = 200, description = "It is published", body = EventAnswer),
        (status = 403, description = "FORBIDDEN: for its organizer and admins",
            body = ProblemDocument),
        (status = 404, description = "EVENT_NOT_FOUND, ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "ALREADY_PUBLISHED, ALREADY_CANCELLED, EVENT_STARTED",
            body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn publish_event(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Path(event): Path<EventId>,
    Query(why): Query<ReasonQuery>,
) -> Result<AtPosition<Json<EventAnswer>>, Problem> {
    let asked = Asked::new(&state, caller, key, "publish-event", &event)?;
    state.order_event_published(&asked, event, why).await?;
    let command = Command::Publish { event, caller: asked.asker() };
    let (position, answer) = state.event(event, command, asked).await?;
    Ok(AtPosition(position, Json(answer)))
}
