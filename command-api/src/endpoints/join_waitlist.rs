//! `POST /waitlist/join`: wait for places to return (WL-1).

use axum::extract::State;
use axum::http::StatusCode;
use domain::inventory::{Command, Fact, WaitlistJoined};
use domain::{EventId, TierId, WaitlistId};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument};
use infra::shapes::{WaitlistEntry, WaitlistStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reserve::tickets;
use crate::booking::unexpected;
use crate::state::{Asked, CommandState};

/// What to wait for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinBody {
    #[schema(value_type = String)]
    event_id: EventId,
    /// Any tier if absent.
    #[schema(value_type = Option<String>)]
    tier_id: Option<TierId>,
    /// Tickets, 1 to 1000.
    quantity: i64,
}

/// Join the waitlist
///
/// Possible when the tier, or every tier, cannot serve the quantity. What returns is offered in
/// order; an offer is a hold to confirm like any booking.
#[utoipa::path(
    post, path = "/api/v1/waitlist/join", tag = "waitlist", request_body = JoinBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: the first answer again, for at least 24 hours; \
            remembered per person and event")),
    responses(
        (status = 201, description = "You wait", body = WaitlistEntry),
        (status = 404, description = "EVENT_NOT_FOUND, TIER_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "TICKETS_AVAILABLE, ALREADY_WAITING, NEVER_ENOUGH, \
            LIMIT_PER_BOOKING, LIMIT_PER_USER, TOO_MANY_LAPSED, SALE_NOT_OPEN, SALE_CLOSED, \
            EVENT_CANCELLED, EVENT_STARTED, EVENT_ENDED", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn join_waitlist(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<JoinBody>,
) -> Result<(StatusCode, AtPosition<Json<WaitlistEntry>>), Problem> {
    let quantity = tickets(body.quantity)?;
    let asked = Asked::new(&state, caller, key, "join-waitlist", &body)?;
    let (user, request, tier) = (asked.user(), asked.request.clone(), body.tier_id);
    let waitlist = WaitlistId::from_u128(infra::ids::random_u128());
    let patience = state.0.patience;
    let command = Command::JoinWaitlist { waitlist, user, tier, quantity, patience, request };
    let done = state.inventory(body.event_id, command, asked.origin).await?;
    let (fact, position) = state.outcome(body.event_id, done).await?;
    let Fact::WaitlistJoined(fact) = &fact else { return Err(unexpected()) };
    Ok((StatusCode::CREATED, AtPosition(position, Json(waiting(fact)))))
}

fn waiting(fact: &WaitlistJoined) -> WaitlistEntry {
    WaitlistEntry {
        waitlist_id: fact.waitlist,
        event_id: fact.event,
        tier_id: fact.tier,
        quantity: fact.quantity,
        position: fact.position,
        status: WaitlistStatus::Waiting,
        booking_id: None,
        expires_at: None,
        estimated_wait_seconds: None,
    }
}
