//! `DELETE /waitlist/leave`: wait no longer, or give an offer back (WL-1).

use axum::extract::State;
use domain::inventory::{Command, Fact};
use domain::{EventId, WaitlistId};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument, Query};
use infra::shapes::WaitlistStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::booking::unexpected;
use crate::state::{Asked, CommandState};

/// Whose waitlist.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaveQuery {
    #[param(value_type = String)]
    event_id: EventId,
}

/// A place in the waitlist that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftBody {
    #[schema(value_type = String)]
    waitlist_id: WaitlistId,
    #[schema(value_type = String)]
    event_id: EventId,
    status: WaitlistStatus,
}

/// Leave the waitlist
///
/// An offer that was not confirmed is given back and goes to the next in line.
#[utoipa::path(
    delete, path = "/api/v1/waitlist/leave", tag = "waitlist",
    params(LeaveQuery, ("Idempotency-Key" = Option<String>, Header,
        description = "The same key: the first answer again, for at least 24 hours; \
            remembered per person and event")),
    responses(
        (status = 200, description = "You do not wait any more", body = LeftBody),
        (status = 404, description = "NOT_WAITING, EVENT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "PAYMENT_IN_PROGRESS", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn leave_waitlist(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Query(LeaveQuery { event_id }): Query<LeaveQuery>,
) -> Result<AtPosition<Json<LeftBody>>, Problem> {
    let asked = Asked::new(&state, caller, key, "leave-waitlist", &event_id)?;
    let command = Command::LeaveWaitlist { user: asked.user(), request: asked.request.clone() };
    let done = state.inventory(event_id, command, asked.origin).await?;
    let (fact, position) = state.outcome(event_id, done).await?;
    let waitlist_id = match &fact {
        Fact::WaitlistLeft(fact) => fact.waitlist,
        Fact::Cancelled(fact) => fact.waitlist.ok_or_else(unexpected)?,
        _ => return Err(unexpected()),
    };
    let status = WaitlistStatus::Left;
    Ok(AtPosition(position, Json(LeftBody { waitlist_id, event_id, status })))
}
