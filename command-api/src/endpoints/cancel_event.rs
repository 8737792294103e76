//! `DELETE /events/{event_id}`: calls an event off; everybody is paid back in full (CT-2).

use axum::extract::State;
use domain::EventId;
use domain::event::Command;
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument, Query};

use super::as_admin::ReasonQuery;
use super::event_body::EventAnswer;
use crate::state::{Asked, CommandState};

/// Cancel an event
///
/// Nothing is sold any more; every booking is cancelled and paid back in full.
#[utoipa::path(
    delete, path = "/api/v1/events/{event_id}", tag = "events",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ReasonQuery,
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key: the first answer again"),
    ),
    responses(
        (status = 200, description = "It is cancelled", body = EventAnswer),
        (status = 403, description = "FORBIDDEN: for its organizer and admins",
            body = ProblemDocument),
        (status = 404, description = "EVENT_NOT_FOUND, ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "ALREADY_CANCELLED, EVENT_STARTED", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn cancel_event(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Path(event): Path<EventId>,
    Query(why): Query<ReasonQuery>,
) -> Result<AtPosition<Json<EventAnswer>>, Problem> {
    let asked = Asked::new(&state, caller, key, "cancel-event", &event)?;
    state.order_event_cancelled(&asked, event, why).await?;
    let command = Command::Cancel { event, caller: asked.asker() };
    let (position, answer) = state.event(event, command, asked).await?;
    Ok(AtPosition(position, Json(answer)))
}
