//! `GET /audit/records`: the log itself, by event, booking, person, time and position (AU-1).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{BookingId, EventId, Time, UserId};
use infra::http::{Cursor, Json, Limit, MinPosition, Page, Problem, ProblemDocument, Query};
use infra::identity::Reasons;
use infra::log::Position;
use infra::shapes::AuditRecord;
use serde::Deserialize;
use sqlx::types::chrono::{DateTime, Utc};
use utoipa::IntoParams;

use super::at_row;
use crate::QueryState;
use crate::freshness::View;
use crate::problems;

const LIST: &str = "records";
const LIST_BY_TIME: &str = "records-by-time";

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListRecords {
    /// Of the event and its inventory.
    #[param(value_type = Option<String>)]
    event_id: Option<EventId>,
    /// Of the booking.
    #[param(value_type = Option<String>)]
    booking_id: Option<BookingId>,
    /// Of what the person did, or what was done for them.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// Decided then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Decided before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
    /// After this position of the log.
    after: Option<u64>,
    /// Records on a page.
    #[serde(default)]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Records for auditors and admins, in the order of the log; with `from` or `to` in the order of
/// their time. Without a filter but `after` the log itself is read, to its end; with one, as far
/// as the view `audit` is. What an admin gave as a reason for what they did to others is sealed in the
/// record and stands opened beside it.
#[utoipa::path(
    get,
    path = "/api/v1/audit/records",
    tag = "audit",
    params(
        ListRecords,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "In the order of the log", body = Page<AuditRecord>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "LOG_UNAVAILABLE, DATABASE_UNAVAILABLE"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn list_records(
    State(state): State<QueryState>,
    Query(query): Query<ListRecords>,
    MinPosition(min): MinPosition,
) -> Result<Response, Problem> {
    let reasons = state.sources.reasons.clone();
    page(&state, query, min, &reasons).await
}

/// The page of records that is asked for, with what of their reasons is opened.
async fn page(
    state: &QueryState,
    query: ListRecords,
    min: Option<u64>,
    reasons: &Reasons,
) -> Result<Response, Problem> {
    let limit = query.limit.items()?;
    if query.is_whole_log() {
        state.live.at_least(min).await?;
        let mut page = whole_log(state, &query, limit).await?;
        reasons.open(&mut page.items).await;
        return Ok(Json(page).into_response());
    }
    let by_time = query.from.is_some() || query.to.is_some();
    let after = query.after(by_time)?;
    state.views.at_least(View::Audit, min).await?;
    let mut places = match query.event() {
        Ok(event) => find(state, &query, event, by_time, after, limit).await?,
        Err(Contradiction) => vec![],
    };
    let more = super::cut(&mut places, limit);
    let upto = places.first().and_then(|place| place.upto);
    let last = places.last().filter(|_| more);
    let next_cursor = last.map(|place| place.cursor(by_time));
    let mut items = read(state, &runs(places)).await?;
    reasons.open(&mut items).await;
    Ok((at_row(upto), Json(Page { items, next_cursor })).into_response())
}

/// The same for services, as one that keeps a copy of the log elsewhere. No reason is opened: what is copied
/// outlives the keys.
#[utoipa::path(
    get,
    path = "/internal/audit/records",
    tag = "internal",
    params(
        ListRecords,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "In the order of the log", body = Page<AuditRecord>),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "LOG_UNAVAILABLE, DATABASE_UNAVAILABLE"),
    )
)]
pub(crate) async fn list_records_internally(
    State(state): State<QueryState>,
    Query(query): Query<ListRecords>,
    MinPosition(min): MinPosition,
) -> Result<Response, Problem> {
    page(&state, query, min, &Reasons::default()).await
}

/// The log itself, from where the query says.
async fn whole_log(
    state: &QueryState,
    query: &ListRecords,
    limit: usize,
) -> Result<Page<AuditRecord>, Problem> {
    let (_, after) = query.after(false)?;
    let records = state.sources.log.read_all(Position(after), limit + 1).await;
    let mut records = records.map_err(|error| problems::log(&error))?;
    let more = super::cut(&mut records, limit);
    let last = records.last().filter(|_| more);
    let next_cursor = last.map(|record| Cursor::new(LIST, &record.position));
    let items = records.into_iter().map(AuditRecord::from).collect();
    Ok(Page { items, next_cursor })
}

impl ListRecords {
    fn is_whole_log(&self) -> bool {
        self.event_id.is_none()
            && self.booking_id.is_none()
            && self.user_id.is_none()
            && self.from.is_none()
            && self.to.is_none()
    }
}

/// The query asks for a booking of one event, and for another event.
struct Contradiction;

impl ListRecords {
    /// Of which event, if of one. A booking names its own.
    fn event(&self) -> Result<Option<EventId>, Contradiction> {
        match (self.event_id, self.booking_id) {
            (Some(event), Some(booking)) if booking.event != event => Err(Contradiction),
            (event, booking) => Ok(event.or(booking.map(|booking| booking.event))),
        }
    }

    /// Behind which time, if the order is that of time, and position the page begins.
    fn after(&self, by_time: bool) -> Result<(Option<Time>, u64), Problem> {
        let after = self.after.unwrap_or(0);
        let Some(cursor) = &self.cursor else { return Ok((None, after)) };
        if by_time {
            let (time, position): (Time, u64) = cursor.place(LIST_BY_TIME)?;
            return Ok((Some(time), position));
        }
        let position: u64 = cursor.place(LIST)?;
        Ok((None, position.max(after)))
    }
}

/// Where a record is.
struct Place {
    position: i64,
    stream: String,
    revision: i64,
    at: DateTime<Utc>,
    upto: Option<i64>,
}

impl Place {
    fn cursor(&self, by_time: bool) -> Cursor {
        let position = self.position.cast_unsigned();
        if by_time {
            return Cursor::new(LIST_BY_TIME, &(Time::from(self.at), position));
        }
        Cursor::new(LIST, &position)
    }
}

/// Where the records are, up to one more than `limit`.
async fn find(
    state: &QueryState,
    query: &ListRecords,
    event: Option<EventId>,
    by_time: bool,
    (after_time, after): (Option<Time>, u64),
    limit: usize,
) -> Result<Vec<Place>, Problem> {
    let event = event.map(EventId::as_uuid);
    let booking = query.booking_id.map(|booking| booking.number.cast_signed());
    let user = query.user_id.map(UserId::as_uuid);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let places = if by_time {
        // In the order of the log, a range of time late in it would be searched from its start.
        let after_position = i64::try_from(query.after.unwrap_or(0)).unwrap_or(i64::MAX);
        sqlx::query_as!(
            Place,
            r#"SELECT position, stream, revision, at,
                  (SELECT position FROM projection.checkpoint WHERE name = 'audit') AS upto
               FROM audit.record
               WHERE position > $1
                  AND ($2::uuid IS NULL OR event_id = $2)
                  AND ($3::bigint IS NULL OR booking_number = $3)
                  AND ($4::uuid IS NULL OR user_id = $4 OR actor_id = $4)
                  AND ($5::timestamptz IS NULL OR at >= $5)
                  AND ($6::timestamptz IS NULL OR at < $6)
                  AND ($7::timestamptz IS NULL OR at >= $7 AND (at, position) > ($7, $8))
               ORDER BY at, position
               LIMIT $9"#,
            after_position,
            event,
            booking,
            user,
            query.from.map(Time::as_chrono),
            query.to.map(Time::as_chrono),
            after_time.map(Time::as_chrono) as Option<DateTime<Utc>>,
            after,
            super::one_more(limit),
        )
        .fetch_all(&state.sources.pool)
        .await
    } else {
        sqlx::query_as!(
            Place,
            r#"SELECT position, stream, revision, at,
                  (SELECT position FROM projection.checkpoint WHERE name = 'audit') AS upto
               FROM audit.record
               WHERE position > $1
                  AND ($2::uuid IS NULL OR event_id = $2)
                  AND ($3::bigint IS NULL OR booking_number = $3)
                  AND ($4::uuid IS NULL OR user_id = $4 OR actor_id = $4)
               ORDER BY position
               LIMIT $5"#,
            after,
            event,
            booking,
            user,
            super::one_more(limit),
        )
        .fetch_all(&state.sources.pool)
        .await
    };
    places.map_err(|error| state.views.failure(error))
}

/// Records that stand one after the other in a stream.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    stream: String,
    from: u64,
    count: usize,
}

fn runs(places: Vec<Place>) -> Vec<Run> {
    let mut runs: Vec<Run> = vec![];
    for Place { stream, revision, .. } in places {
        let revision = revision.cast_unsigned();
        match runs.last_mut() {
            Some(run) if run.stream == stream && run.from + run.count as u64 == revision => {
                run.count += 1;
            }
            _ => runs.push(Run { stream, from: revision, count: 1 }),
        }
    }
    runs
}

async fn read(state: &QueryState, runs: &[Run]) -> Result<Vec<AuditRecord>, Problem> {
    let mut records = vec![];
    for Run { stream, from, count } in runs {
        let run = state.sources.log.read_stream_as_is(stream, *from, *count).await;
        let run = run.map_err(|error| problems::log(&error))?;
        records.extend(run.into_iter().map(AuditRecord::from));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        let places = [("a", 3), ("a", 4), ("b", 5), ("a", 6), ("a", 8)];
        let place = |(stream, revision): (&str, i64)| Place {
            position: revision,
            stream: stream.into(),
            revision,
            at: DateTime::default(),
            upto: None,
        };
        let runs = runs(places.into_iter().map(place).collect());
        let run = |stream: &str, from, count| Run { stream: stream.into(), from, count };
        assert_eq!(runs, [run("a", 3, 2), run("b", 5, 1), run("a", 6, 1), run("a", 8, 1)]);
    }
}
