//! `POST /bookings/confirm`: charges for a hold and makes tickets of it (BK-2, PM-3).

use axum::extract::State;
use domain::inventory::{
    BookingSnapshot, BookingStatus, Command, Fact, PaymentFailure, PaymentStarted, RefundDue,
};
use domain::{BookingId, PaymentId, Time};
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Problem, ProblemDocument, carried};
use infra::payment::Charge;
use infra::shapes::{Booking, HistoryEntry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::booking::{self, unexpected};
use crate::payments::{Charged, Ticket};
use crate::refusal::problem;
use crate::runtime::{Origin, record_id};
use crate::state::{Asked, CommandState};

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
        description = "The same key and body: the first answer again, for at least 24 hours; \
            remembered per person and event")),
    responses(
        (status = 200, description = "It is paid and has tickets", body = Booking),
        (status = 404, description = "BOOKING_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "HOLD_EXPIRED, PAYMENT_DECLINED, PAYMENT_FAILED, \
            PAYMENT_IN_PROGRESS, ALREADY_CONFIRMED, ALREADY_CANCELLED, EVENT_CANCELLED, \
            EVENT_ENDED", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "PAYMENT_PENDING, PAYMENT_UNAVAILABLE, TOO_MANY_WAITING, \
            LOG_UNAVAILABLE, HISTORY_DAMAGED", body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn confirm(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<ConfirmBody>,
) -> Result<Answer, Problem> {
    if body.payment_token.is_empty() || body.payment_token.len() > 500 {
        return Err(Problem::invalid("payment_token", "must have 1 to 500 bytes"));
    }
    let asked = Asked::new(&state, caller, key, "confirm", &body)?;
    // A task of its own: whoever started a payment and went away finds it carried to its end.
    let paying = pay(state.clone(), body.booking_id, body.payment_token, asked);
    state.0.saga.tasks.spawn(carried(paying)).await.unwrap_or_else(|_| Err(unexpected()))
}

async fn pay(
    state: CommandState,
    id: BookingId,
    token: String,
    asked: Asked,
) -> Result<Answer, Problem> {
    let payment = PaymentId::from_u128(infra::ids::time_ordered(state.0.clock.now()));
    let (user, request) = (asked.user(), asked.request.clone());
    let has_key = request.is_some();
    let saga = state.0.saga.clone();
    // From before anybody can know of the payment: whoever meets it finds that it is under way.
    let ticket = saga.ticket(payment).ok_or_else(unexpected)?;
    let mut has_waited = false;
    loop {
        let request = request.clone();
        let command = Command::StartPayment { booking: id, user, payment, request };
        let done = state.inventory(id.event, command, asked.origin.clone()).await?;
        let snapshot = done.seen.booking.ok_or_else(unexpected)?;
        let payment = match (done.facts.first(), done.seen.done_at) {
            (Some(Fact::PaymentStarted(started)), _) => {
                return charge(&state, ticket, started, token, asked.origin, has_key).await;
            }
            (Some(Fact::Confirmed(_)), _) => None,
            (_, Some(revision)) => paid_by(&state, &snapshot, revision).await?,
            _ => return Err(unexpected()),
        };
        if let Some(answer) = outcome(&state, &snapshot, payment).await? {
            return Ok(answer);
        }
        // Whoever asked first waits for the provider, so whoever asks the same meanwhile does, too.
        match payment {
            Some(payment) if !has_waited => saga.until_ended(payment).await,
            _ => return Err(pending(has_key)),
        }
        has_waited = true;
    }
}

async fn charge(
    state: &CommandState,
    ticket: Ticket,
    started: &PaymentStarted,
    token: String,
    origin: Origin,
    has_key: bool,
) -> Result<Answer, Problem> {
    let PaymentStarted { booking: id, payment, amount_minor, currency, .. } = *started;
    let charge = Charge { payment, amount_minor, currency, token };
    // Settling is a command of its own, because of the record that says that the payment started.
    let origin = origin.because_of(record_id(origin.id, 0));
    let settled = match state.0.saga.charge(ticket, id, charge, origin).await {
        Charged::Settled(outcome) => (*outcome).map_err(crate::refusal::inventory)?,
        Charged::Pending => return Err(pending(has_key)),
        Charged::ProviderAway => {
            let detail = "The payment provider cannot be reached. Nothing was charged, the hold \
                          goes on until its deadline; try again with a new Idempotency-Key.";
            return Err(problem("PAYMENT_UNAVAILABLE", detail).retry_after_s(5));
        }
    };
    let snapshot = settled.seen.booking.ok_or_else(unexpected)?;
    outcome(state, &snapshot, Some(payment)).await?.ok_or_else(|| pending(has_key))
}

/// The payment, if it took one, that a request which was carried out before began.
async fn paid_by(
    state: &CommandState,
    snapshot: &BookingSnapshot,
    revision: u64,
) -> Result<Option<PaymentId>, Problem> {
    match state.stored(snapshot.booking.event, revision).await?.fact {
        Fact::Confirmed(fact) => Ok(fact.payment),
        Fact::PaymentStarted(fact) => Ok(Some(fact.payment)),
        _ => Err(unexpected()),
    }
}

/// What became of a payment, as the booking's facts tell it, so that it is the same whoever settled
/// it, and whatever happened to the booking since; nothing if it is not known yet.
async fn outcome(
    state: &CommandState,
    snapshot: &BookingSnapshot,
    payment: Option<PaymentId>,
) -> Result<Option<Answer>, Problem> {
    let now = state.0.clock.now();
    let mut history = vec![];
    let mut refused = None;
    for stored in state.story(snapshot.booking, &snapshot.story).await? {
        history.push(HistoryEntry { kind: stored.kind.to_string(), at: stored.at });
        match &stored.fact {
            Fact::Confirmed(fact) if fact.payment == payment => {
                let answer = booking::confirmed(fact, history, stored.position);
                return Ok(Some(AtPosition(stored.position, Json(answer))));
            }
            Fact::PaymentFailed(fact) if Some(fact.payment) == payment => {
                refused.get_or_insert_with(|| failed(fact.reason, snapshot.expires_at, now));
            }
            Fact::RefundDue(fact) if Some(fact.payment) == payment => {
                refused.get_or_insert_with(|| too_late(fact, snapshot));
            }
            _ => {}
        }
    }
    refused.map_or(Ok(None), Err)
}

fn pending(has_key: bool) -> Problem {
    let then = match has_key {
        true => "ask again with the same Idempotency-Key",
        false => "look at the booking for what became of it",
    };
    let detail = format!(
        "The payment provider has not answered. The payment comes to its end without you: {then}."
    );
    problem("PAYMENT_PENDING", detail).retry_after_s(5)
}

fn failed(reason: PaymentFailure, expires_at: Time, now: Time) -> Problem {
    let (code, what) = match reason {
        PaymentFailure::Declined => ("PAYMENT_DECLINED", "The payment was declined"),
        PaymentFailure::NeverArrived => ("PAYMENT_FAILED", "The payment never arrived"),
    };
    let then = match now < expires_at {
        true => "Try again before the hold dies, with a new Idempotency-Key",
        false => "The hold died: reserve again",
    };
    problem(code, format!("{what}; nothing was charged. {then}."))
        .details(json!({"expires_at": expires_at}))
}

/// The money came when the booking was gone.
fn too_late(owed: &RefundDue, snapshot: &BookingSnapshot) -> Problem {
    if snapshot.status == BookingStatus::Cancelled {
        let detail = "The booking was cancelled; what was paid is paid back.";
        return problem("ALREADY_CANCELLED", detail);
    }
    let detail = "The hold died before the payment arrived, and its places are gone. What was \
                  charged is paid back.";
    let details = json!({"expired_at": snapshot.expires_at, "refund": owed.amount_minor});
    problem("HOLD_EXPIRED", detail).details(details)
}
