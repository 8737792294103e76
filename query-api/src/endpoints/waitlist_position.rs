//! `GET /waitlist/position`: the caller's place among those who wait for an event (WL-1). The entry
//! is in the view; the place is counted in memory.

use axum::extract::State;
use axum::response::IntoResponse;
use domain::{BookingId, EventId, TierId, Time, UserId, WaitlistId};
use infra::auth::Caller;
use infra::http::{Json, MinPosition, Problem, ProblemDocument, Query};
use infra::shapes::{WaitlistEntry, WaitlistStatus};
use serde::Deserialize;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};
use utoipa::IntoParams;

use super::at_row;
use crate::QueryState;
use crate::freshness::View;
use crate::problems::NOT_WAITING;

/// As the view has it.
const WAITING: &str = "waiting";

/// Of which waitlist.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichWaitlist {
    /// `evt_...`
    #[param(value_type = String)]
    event_id: EventId,
}

/// The caller's latest entry in an event's waitlist.
///
/// `estimated_wait_seconds` goes by how often something was offered so far: the time since the
/// hundredth last offer, or since the caller joined if that is longer, divided by the offers made
/// in it, for everyone up to the caller. Absent before the first offer and for an entry that does
/// not wait.
#[utoipa::path(
    get,
    path = "/api/v1/waitlist/position",
    tag = "waitlist",
    params(
        WhichWaitlist,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "Where they are in line", body = WaitlistEntry),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "NOT_WAITING"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "DATABASE_UNAVAILABLE, LOG_UNAVAILABLE"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn get_position(
    State(state): State<QueryState>,
    caller: Caller,
    Query(WhichWaitlist { event_id }): Query<WhichWaitlist>,
    MinPosition(min): MinPosition,
) -> Result<impl IntoResponse, Problem> {
    state.views.at_least(View::Waitlist, min).await?;
    state.live.at_least(min).await?;
    let mut row = read(&state, event_id, caller.user).await?;
    let mut place = None;
    if row.status == WAITING {
        let entry = WaitlistId::from_u128(row.waitlist_id.as_u128());
        place = state.live.place_in_queue(event_id, entry).await?;
        if place.is_none() {
            // It does not wait any more, which the view does not know yet.
            let now = state.live.position().map(|position| position.0);
            state.views.at_least(View::Waitlist, now).await?;
            row = read(&state, event_id, caller.user).await?;
        }
    }
    let upto = at_row(row.upto);
    Ok((upto, Json(row.entry(event_id, place.unwrap_or(0), state.sources.clock.now()))))
}

/// The person's latest entry.
async fn read(state: &QueryState, event: EventId, user: UserId) -> Result<Row, Problem> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT mine.waitlist_id, mine.tier_id, mine.quantity, mine.status, mine.booking_number,
              mine.expires_at, mine.joined_at, recent.offers AS "offers!", recent.since,
              (SELECT position FROM projection.checkpoint WHERE name = 'waitlist') AS upto
           FROM waitlist.entry AS mine, LATERAL
              (SELECT count(*) AS offers, min(offered_at) AS since FROM
                 (SELECT offer.offered_at FROM waitlist.entry AS offer
                  WHERE offer.event_id = mine.event_id AND offer.offered_at IS NOT NULL
                  ORDER BY offer.offered_at DESC LIMIT 100) AS latest) AS recent
           WHERE mine.event_id = $1 AND mine.user_id = $2
           ORDER BY mine.joined_position DESC
           LIMIT 1"#,
        event.as_uuid(),
        user.as_uuid(),
    );
    let row = row.fetch_optional(&state.sources.pool).await;
    row.map_err(|error| state.views.failure(error))?
        .ok_or_else(|| Problem::not_found(NOT_WAITING, "entry of yours in this waitlist"))
}

/// An entry of the view, and the latest offers to anybody.
struct Row {
    waitlist_id: Uuid,
    tier_id: Option<Uuid>,
    quantity: i32,
    status: String,
    booking_number: Option<i64>,
    expires_at: Option<DateTime<Utc>>,
    joined_at: DateTime<Utc>,
    offers: i64,
    since: Option<DateTime<Utc>>,
    upto: Option<i64>,
}

impl Row {
    /// The entry, with its place in the queue, 0 if it does not wait.
    fn entry(self, event: EventId, position: u32, now: Time) -> WaitlistEntry {
        let offers = u64::try_from(self.offers).unwrap_or(0);
        let joined = Time::from(self.joined_at);
        let since = self.since.map_or(joined, |since| joined.min(since.into()));
        let booking = |number: i64| BookingId { event, number: number.cast_unsigned() };
        WaitlistEntry {
            waitlist_id: WaitlistId::from_u128(self.waitlist_id.as_u128()),
            event_id: event,
            tier_id: self.tier_id.map(|tier| TierId::from_u128(tier.as_u128())),
            quantity: self.quantity.cast_unsigned(),
            position,
            status: status_named(&self.status),
            booking_id: self.booking_number.map(booking),
            expires_at: self.expires_at.map(Time::from),
            estimated_wait_seconds: estimated_wait_s(position, offers, now.ms_since(since)),
        }
    }
}

/// The status that the view calls `name`; it has no others.
fn status_named(name: &str) -> WaitlistStatus {
    match name {
        WAITING => WaitlistStatus::Waiting,
        "offered" => WaitlistStatus::Offered,
        "served" => WaitlistStatus::Served,
        _ => WaitlistStatus::Left,
    }
}

/// How long it takes until `position` offers more were made, if so many were made in so long.
fn estimated_wait_s(position: u32, offers: u64, elapsed_ms: u64) -> Option<u64> {
    if position == 0 || offers == 0 {
        return None;
    }
    let wait_ms = u128::from(elapsed_ms) * u128::from(position) / u128::from(offers);
    Some(u64::try_from(wait_ms.div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_goes_by_the_pace_of_offers() {
        assert_eq!(estimated_wait_s(3, 2, 60_000), Some(90));
        assert_eq!(estimated_wait_s(1, 100, 1), Some(0));
        assert_eq!(estimated_wait_s(1, 3, 10_000), Some(4));
        assert_eq!(estimated_wait_s(3, 0, 60_000), None);
        assert_eq!(estimated_wait_s(0, 2, 60_000), None);
        assert_eq!(estimated_wait_s(u32::MAX, 1, u64::MAX), Some(u64::MAX));
    }
}
