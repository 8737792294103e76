//! `POST /events/{event_id}/publish`: opens the inventory (CT-2).

use axum::extract::State;
use domain::EventId;
use domain::event::Command;
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument, Query};

use super::as_admin::ReasonQuery;
use super::event_body::EventAnswer;
use crate::refusal;
use crate::runtime::Failure;
use crate::state::{Asked, CommandState};

/// Publish an event
///
/// Everybody sees it, and can buy once the sale of a tier opens. It has to fit its venue as that is
/// now; if the venue was changed since, the draft has to be changed first.
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
        (status = 409,
            description = "ALREADY_PUBLISHED, ALREADY_CANCELLED, EVENT_STARTED, VENUE_CHANGED",
            body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
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
    if let Some((position, answer)) = state.event_before(event, &asked).await? {
        return Ok(AtPosition(position, Json(answer)));
    }
    let asker = asked.asker();
    let before = state.event_now(event).await?;
    before.let_touch(&asker).map_err(|refusal| refusal::event(Failure::Refused(refusal)))?;
    let sections = match &before.terms {
        Some(terms) => state.sections(terms.venue).await?,
        None => vec![],
    };
    state.order_event_published(&asked, event, why).await?;
    let command = Command::Publish { event, caller: asker, sections };
    let (position, answer) = state.event(event, command, asked).await?;
    Ok(AtPosition(position, Json(answer)))
}
