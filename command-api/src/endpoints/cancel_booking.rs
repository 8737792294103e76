//! `DELETE /bookings/{booking_id}`: gives a hold or a confirmed booking back (BK-3, BK-9).

use axum::extract::State;
use domain::inventory::{Cancelled, Command, Fact};
use domain::{BookingId, EventId};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument, Query};
use infra::log::Position;
use infra::shapes::{BookingStatus, Refund, RefundStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::as_admin::ReasonQuery;
use crate::booking::unexpected;
use crate::state::{Asked, CommandState};

/// A booking that was given back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelledBody {
    #[schema(value_type = String)]
    booking_id: BookingId,
    reference: String,
    #[schema(value_type = String)]
    event_id: EventId,
    status: BookingStatus,
    refund: Refund,
    /// Where in the log the command is.
    position: u64,
}

impl CancelledBody {
    fn of(fact: &Cancelled, position: Position) -> Self {
        let owed = fact.refund_minor > 0;
        let status = if owed { RefundStatus::Pending } else { RefundStatus::None };
        let refund = Refund { amount: fact.refund_minor, currency: fact.currency, status };
        Self {
            booking_id: fact.booking,
            reference: fact.booking.reference(),
            event_id: fact.booking.event,
            status: BookingStatus::Cancelled,
            refund,
            position: position.0,
        }
    }
}

/// Cancel a booking
///
/// A hold is released at no cost; a confirmed booking is paid back by the event's refund policy.
#[utoipa::path(
    delete, path = "/api/v1/bookings/{booking_id}", tag = "bookings",
    params(
        ("booking_id" = String, Path, description = "`bkg_...`"),
        ReasonQuery,
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key: the first answer again, for at least 24 hours; \
            remembered per person and event"),
    ),
    responses(
        (status = 200, description = "It is cancelled", body = CancelledBody),
        (status = 404, description = "BOOKING_NOT_FOUND, ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "ALREADY_CANCELLED, HOLD_EXPIRED, PAYMENT_IN_PROGRESS, \
            EVENT_ENDED", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn cancel_booking(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Path(booking): Path<BookingId>,
    Query(why): Query<ReasonQuery>,
) -> Result<AtPosition<Json<CancelledBody>>, Problem> {
    let asked = Asked::new(&state, caller, key, "cancel", &booking)?;
    let (user, as_admin, request) = (asked.user(), asked.with_anothers(), asked.request.clone());
    state.order_booking_cancelled(&asked, booking, why).await?;
    let command = Command::Cancel { booking, user, as_admin, request };
    let done = state.inventory(booking.event, command, asked.origin).await?;
    let (fact, position) = state.outcome(booking.event, done).await?;
    let Fact::Cancelled(fact) = &fact else { return Err(unexpected()) };
    Ok(AtPosition(position, Json(CancelledBody::of(fact, position))))
}
