//! `PUT /events/{event_id}`: changes an event; what is on sale follows (CT-2).

use axum::extract::State;
use domain::EventId;
use domain::event::{Command, Event, Status, Terms, Tier};
use domain::inventory;
use infra::auth::Caller;
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument, Query};

use super::as_admin::ReasonQuery;
use super::event_body::{EventAnswer, EventBody};
use crate::refusal;
use crate::runtime::{Failure, Origin};
use crate::state::{Asked, CommandState};

/// Change an event
///
/// Replaces all that is said about it. Of a published event, tiers can be added, their prices,
/// windows and capacities changed (down to what is sold or held); a tier stays in its section, and
/// its seats stay as they are. A section has room for as many as the venue says now, or as the
/// event's tiers had there before, whichever is more: what was published fits, whatever became of
/// the venue. Whoever buys in the moment of the change keeps what they bought: a capacity that was
/// lowered below it is then what they bought, as the event's availability says.
#[utoipa::path(
    put, path = "/api/v1/events/{event_id}", tag = "events", request_body = EventBody,
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ReasonQuery,
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key and body: the first answer again"),
    ),
    responses(
        (status = 200, description = "It is changed", body = EventAnswer),
        (status = 403, description = "FORBIDDEN: for its organizer and admins",
            body = ProblemDocument),
        (status = 404, description = "EVENT_NOT_FOUND, ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "CAPACITY_BELOW_SOLD, ALREADY_CANCELLED, EVENT_STARTED",
            body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_WAITING, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn change_event(
    State(state): State<CommandState>,
    caller: Caller,
    key: IdempotencyKey,
    Path(event): Path<EventId>,
    Query(why): Query<ReasonQuery>,
    Json(body): Json<EventBody>,
) -> Result<AtPosition<Json<EventAnswer>>, Problem> {
    let asked = Asked::new(&state, caller, key, "change-event", &(event, &body))?;
    if let Some((position, answer)) = state.event_before(event, &asked).await? {
        return Ok(AtPosition(position, Json(answer)));
    }
    let before = state.event_now(event).await?;
    let asker = asked.asker();
    before.let_touch(&asker).map_err(|refusal| refusal::event(Failure::Refused(refusal)))?;
    let sections = state.sections(body.venue_id()).await?;
    let terms = body.terms(&before.sections(&sections), before.terms.as_ref())?;
    if before.status == Status::Published {
        check_stock(&state, event, before, &terms).await?;
    }
    state.order_event_changed(&asked, event, why).await?;
    let terms = Box::new(terms);
    let command = Command::Change { event, caller: asker, terms, sections };
    let (position, answer) = state.event(event, command, asked).await?;
    Ok(AtPosition(position, Json(answer)))
}

/// Refuses to lower a capacity below what is sold or held, before anything is changed. Whoever buys
/// between this and the change keeps what they bought: the inventory sees to that. So there may be
/// more bought than the event says; to leave a capacity as it is lowers nothing.
async fn check_stock(
    state: &CommandState,
    event: EventId,
    before: Event,
    terms: &Terms,
) -> Result<(), Problem> {
    let had = |tier: &Tier| {
        let mut tiers = before.terms.iter().flat_map(|terms| &terms.tiers);
        tiers.find(|old| old.tier == tier.tier).map(|old| old.stock.capacity())
    };
    let mut lowered = terms.clone();
    lowered.tiers.retain(|tier| had(tier).is_some_and(|had| tier.stock.capacity() < had));
    let mut after = before;
    after.terms = Some(lowered);
    let Some(plan) = after.plan() else { return Ok(()) };
    let command = inventory::Command::CheckPlan { plan };
    state.inventory(event, command, Origin::system()).await.map(|_| ())
}
