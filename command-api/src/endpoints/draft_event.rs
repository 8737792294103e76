//! `POST /events`: sets an event up as a draft (CT-2).

use axum::extract::State;
use axum::http::StatusCode;
use domain::EventId;
use domain::event::{Command, Event};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument};

use super::event_body::{EventAnswer, EventBody};
use crate::state::{Asked, CommandState};

/// Set up an event
///
/// It is a draft that only its organizer sees until it is published.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "events", request_body = EventBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: the first answer again")),
    responses(
        (status = 201, description = "It is set up", body = EventAnswer),
        (status = 403, description = "FORBIDDEN: for organizers and admins",
            body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED", body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn draft_event(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<EventBody>,
) -> Result<(StatusCode, AtPosition<Json<EventAnswer>>), Problem> {
    let asked = Asked::new(&state, caller, key, "draft-event", &body)?;
    let event = state.new_id::<Event>(&asked, "draft-event", EventId::from_u128).await?;
    if let Some((position, answer)) = state.event_before(event, &asked).await? {
        return Ok((StatusCode::CREATED, AtPosition(position, Json(answer))));
    }
    let sections = state.sections(body.venue_id()).await?;
    let terms = Box::new(body.terms(&sections, None)?);
    let command = Command::Draft { event, caller: asked.asker(), terms, sections };
    let (position, answer) = state.event(event, command, asked).await?;
    Ok((StatusCode::CREATED, AtPosition(position, Json(answer))))
}
