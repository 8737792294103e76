//! `POST /bookings/reserve`: takes places out of sale while the buyer pays (BK-1).

use axum::extract::State;
use axum::http::StatusCode;
use domain::event::MAX_LIMIT;
use domain::inventory::{Command, Fact, Wanted};
use domain::{BookingId, EventId, TierId};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument};
use infra::shapes::Booking;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::booking::{self, unexpected};
use crate::state::{Asked, CommandState};

/// What to hold: a tier and a quantity, or seats by name.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReserveBody {
    #[schema(value_type = String, example = "evt_01jd2yc5f9e7kbg4v1rm0n8wq3")]
    event_id: EventId,
    /// With `quantity`; not beside `seats`.
    #[schema(value_type = Option<String>)]
    tier_id: Option<TierId>,
    /// Tickets, 1 to 1000.
    quantity: Option<i64>,
    /// Names like `A-12-7`, at most 1000.
    seats: Option<Vec<String>>,
}

impl ReserveBody {
    fn wanted(&self) -> Result<Wanted, Problem> {
        match (self.tier_id, self.quantity, &self.seats) {
            (Some(tier), Some(quantity), None) => {
                Ok(Wanted::Quantity { tier, quantity: tickets(quantity)? })
            }
            // Before the list is copied and queued: no event allows so many.
            (None, None, Some(seats)) if seats.len() > MAX_LIMIT as usize => {
                Err(Problem::invalid("seats", &format!("must be at most {MAX_LIMIT} seats")))
            }
            (None, None, Some(seats)) => Ok(Wanted::Seats(seats.clone())),
            (Some(_), None, None) => Err(Problem::invalid("quantity", "must be given")),
            (None, Some(_), None) => Err(Problem::invalid("tier_id", "must be given")),
            (None, None, None) => {
                Err(Problem::invalid("seats", "must be given, or tier_id and quantity"))
            }
            _ => Err(Problem::invalid("seats", "cannot stand beside tier_id and quantity")),
        }
    }
}

/// A number of tickets somebody asks for.
pub(super) fn tickets(quantity: i64) -> Result<u32, Problem> {
    let sane = u32::try_from(quantity).ok().filter(|quantity| (1..=MAX_LIMIT).contains(quantity));
    // No event allows more; which limit is the event's own, its inventory says.
    sane.ok_or_else(|| {
        let problem = format!("must be a whole number from 1 to {MAX_LIMIT}");
        Problem::invalid("quantity", &problem)
    })
}

/// Hold tickets
///
/// Takes places out of sale until `expires_at`. Confirm the booking before.
#[utoipa::path(
    post, path = "/api/v1/bookings/reserve", tag = "bookings", request_body = ReserveBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: the first answer again, for at least 24 hours; \
            remembered per person and event")),
    responses(
        (status = 201, description = "The places are held", body = Booking),
        (status = 404, description = "EVENT_NOT_FOUND, TIER_NOT_FOUND, SEAT_NOT_FOUND",
            body = ProblemDocument),
        (status = 409, description = "INSUFFICIENT_SEATS, SEAT_TAKEN, SALE_NOT_OPEN, SALE_CLOSED, \
            LIMIT_PER_BOOKING, LIMIT_PER_USER, TOO_MANY_HOLDS, TOO_MANY_LAPSED, EVENT_CANCELLED, \
            EVENT_STARTED, EVENT_ENDED",
            body = ProblemDocument),
        (status = 422, description = "INVALID, NOTHING_WANTED, SEAT_TWICE", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn reserve(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<ReserveBody>,
) -> Result<(StatusCode, AtPosition<Json<Booking>>), Problem> {
    let wanted = body.wanted()?;
    let asked = Asked::new(&state, caller, key, "reserve", &body)?;
    let event = body.event_id;
    let booking = BookingId { event, number: infra::ids::random_u64() };
    let (user, request) = (asked.user(), asked.request.clone());
    let patience = state.0.patience;
    let command = Command::Reserve { booking, user, wanted, patience, request };
    let done = state.inventory(event, command, asked.origin).await?;
    let (fact, position) = state.outcome(event, done).await?;
    let Fact::Reserved(fact) = &fact else { return Err(unexpected()) };
    let answer = booking::reserved(fact, position);
    Ok((StatusCode::CREATED, AtPosition(position, Json(answer))))
}
