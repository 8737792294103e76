//! `POST /bookings/confirm`: charges for a hold and makes tickets of it (BK-2, PM-3).

use axum::extract::State;
use domain::inventory::{
    BookingSnapshot, BookingStatus, Command, Fact, PaymentFailure, PaymentStage, PaymentStarted,
};
use domain::{BookingId, PaymentId};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument};
use infra::log::Position;
use infra::payment::Charge;
use infra::shapes::{Booking, HistoryEntry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::booking::{self, unexpected};
use crate::payments::Charged;
use crate::refusal::problem;
use crate::runtime::Origin;
use crate::state::{Asked, BUYERS, CommandState};

/// What to confirm, and what pays for it.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmBody {
    #[schema(value_type = String)]
    booking_id: BookingId,
    /// What the payment provider gave for the card; `tok_success` with the mock provider.
    payment_token: String,
}

type Answer = AtPosition<Json<Booking>>;

/// Pay for a hold
///
/// Charges the token and confirms the booking. If the provider does not answer in time the payment
/// goes on without you: ask again with the same Idempotency-Key.
#[utoipa::path(
    post, path = "/api/v1/bookings/confirm", tag = "bookings", request_body = ConfirmBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: the first answer again, for at least 24 hours")),
    responses(
        (status = 200, description = "It is paid and has tickets", body = Booking),
        (status = 404, description = "BOOKING_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "HOLD_EXPIRED, PAYMENT_DECLINED, PAYMENT_FAILED, \
            PAYMENT_IN_PROGRESS, ALREADY_CONFIRMED, ALREADY_CANCELLED", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "PAYMENT_PENDING, PAYMENT_UNAVAILABLE, TOO_MANY_WAITING, \
            LOG_UNAVAILABLE", body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn confirm(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<ConfirmBody>,
) -> Result<Answer, Problem> {
    caller.require(BUYERS)?;
    if body.payment_token.is_empty() || body.payment_token.len() > 500 {
        return Err(Problem::invalid("payment_token", "must have 1 to 500 bytes"));
    }
    let asked = Asked::new(caller, key, "confirm", &body)?;
    let id = body.booking_id;
    let payment = PaymentId::from_u128(infra::ids::time_ordered(state.0.clock.now()));
    let (user, request) = (asked.user(), asked.request.clone());
    let command = Command::StartPayment { booking: id, user, payment, request };
    let done = state.inventory(id.event, command, asked.origin.clone()).await?;
    let snapshot = done.seen.booking.ok_or_else(unexpected)?;
    match (done.facts.first(), done.seen.done_at) {
        (Some(Fact::PaymentStarted(started)), _) => {
            charge(&state, started, body.payment_token, asked.origin).await
        }
        (Some(Fact::Confirmed(_)), _) => tickets(&state, &snapshot, done.position).await,
        (_, Some(revision)) => again(&state, &snapshot, revision).await,
        _ => Err(unexpected()),
    }
}

async fn charge(
    state: &CommandState,
    started: &PaymentStarted,
    token: String,
    origin: Origin,
) -> Result<Answer, Problem> {
    let PaymentStarted { booking: id, payment, amount_minor, currency, .. } = *started;
    let charge = Charge { payment, amount_minor, currency, token };
    // Settling is a command of its own, with record ids of its own.
    let origin = Origin { id: Origin::system().id, ..origin };
    let settled = match state.0.saga.charge(id, charge, origin).await {
        Charged::Settled(outcome) => (*outcome).map_err(crate::refusal::inventory)?,
        Charged::Pending => return Err(pending()),
        Charged::ProviderAway => {
            let detail = "The payment provider cannot be reached. Nothing was charged, the hold \
                          goes on until its deadline; try again with a new Idempotency-Key.";
            return Err(problem("PAYMENT_UNAVAILABLE", detail).retry_after_s(5));
        }
    };
    let snapshot = settled.seen.booking.ok_or_else(unexpected)?;
    match settled.facts.last() {
        Some(Fact::Confirmed(_)) => tickets(state, &snapshot, settled.position).await,
        _ => Err(refused(&snapshot)),
    }
}

/// The answer to a request that was carried out before.
async fn again(
    state: &CommandState,
    snapshot: &BookingSnapshot,
    revision: u64,
) -> Result<Answer, Problem> {
    let stored = state.stored(snapshot.booking.event, revision).await?;
    match stored.fact {
        Fact::Confirmed(_) => tickets(state, snapshot, stored.position).await,
        Fact::PaymentStarted(started) => match snapshot.payment {
            Some((payment, PaymentStage::Started)) if payment == started.payment => Err(pending()),
            _ => Err(refused(snapshot)),
        },
        _ => Err(unexpected()),
    }
}

/// The confirmed booking, as it was right after it was confirmed.
async fn tickets(
    state: &CommandState,
    snapshot: &BookingSnapshot,
    position: Position,
) -> Result<Answer, Problem> {
    let mut history = vec![];
    for stored in state.story(snapshot.booking, &snapshot.story).await? {
        history.push(HistoryEntry { kind: stored.kind.to_string(), at: stored.at });
        if let Fact::Confirmed(fact) = &stored.fact {
            let answer = booking::confirmed(fact, history, position);
            return Ok(AtPosition(position, Json(answer)));
        }
    }
    Err(unexpected())
}

fn pending() -> Problem {
    let detail = "The payment provider has not answered. The payment comes to its end without you: \
                  ask again with the same Idempotency-Key.";
    problem("PAYMENT_PENDING", detail).retry_after_s(5)
}

/// Why a payment made no tickets.
fn refused(snapshot: &BookingSnapshot) -> Problem {
    let expires_at = snapshot.expires_at;
    match (snapshot.payment.map(|(_, stage)| stage), snapshot.status) {
        (Some(PaymentStage::Failed(PaymentFailure::Declined)), _) => {
            let detail = "The payment was declined. Try another one before the hold dies, with a \
                          new Idempotency-Key.";
            problem("PAYMENT_DECLINED", detail).details(json!({"expires_at": expires_at}))
        }
        (Some(PaymentStage::Failed(PaymentFailure::NeverArrived)), _) => {
            let detail = "The payment never arrived; nothing was charged. Try again before the \
                          hold dies, with a new Idempotency-Key.";
            problem("PAYMENT_FAILED", detail).details(json!({"expires_at": expires_at}))
        }
        (_, BookingStatus::Cancelled) => {
            problem("ALREADY_CANCELLED", "The booking was cancelled; what was paid is paid back.")
        }
        _ => {
            let detail = "The hold died before the payment arrived, and its places are gone. What \
                          was charged is paid back.";
            let details = json!({"expired_at": expires_at, "refund": snapshot.total_minor});
            problem("HOLD_EXPIRED", detail).details(details)
        }
    }
}
