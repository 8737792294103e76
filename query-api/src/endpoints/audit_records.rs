//! `GET /audit/records`: the log itself, by event, booking, person, time and position (AU-1).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{BookingId, EventId, Time, UserId};
use infra::auth::{Caller, Role};
use infra::http::{Cursor, Json, Limit, MinPosition, Page, Problem, ProblemDocument, Query};
use infra::log::{Position, Record};
use infra::shapes::AuditRecord;
use serde::Deserialize;
use utoipa::IntoParams;

use super::at_row;
use crate::QueryState;
use crate::freshness::View;
use crate::problems;

const LIST: &str = "records";

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

/// Records in the order of the log, for auditors and admins. Without a filter but `after` the log
/// itself is read, to its end; with one, as far as the view `audit` is.
#[utoipa::path(
    get,
    path = "/api/v1/audit/records",
    tag = "audit",
    params(
        ListRecords,
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, body = Page<AuditRecord>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn list_records(
    State(state): State<QueryState>,
    caller: Caller,
    Query(query): Query<ListRecords>,
    MinPosition(min): MinPosition,
) -> Result<Response, Problem> {
    caller.require(&[Role::Auditor, Role::Admin])?;
    let limit = query.limit.items()?;
    let seen: Option<u64> = query.cursor.as_ref().map(|cursor| cursor.place(LIST)).transpose()?;
    let after = Position(query.after.max(seen).unwrap_or(0));
    let (mut records, upto) = if query.is_whole_log() {
        let records = state.sources.log.read_all(after, limit + 1).await;
        (records.map_err(|error| problems::log(&error))?, None)
    } else {
        state.views.at_least(View::Audit, min).await?;
        let (places, upto) = find(&state, &query, after, limit).await?;
        (read(&state, &places).await?, upto)
    };
    let more = super::cut(&mut records, limit);
    let last = records.last().filter(|_| more).map(|record| record.position);
    let next_cursor = last.map(|position| Cursor::new(LIST, &position));
    let items: Vec<AuditRecord> = records.into_iter().map(AuditRecord::from).collect();
    Ok((at_row(upto), Json(Page { items, next_cursor })).into_response())
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

/// Records that stand one after the other in a stream.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    stream: String,
    from: u64,
    count: usize,
}

/// Where the records are, up to one more than `limit`, and how far the view is.
async fn find(
    state: &QueryState,
    query: &ListRecords,
    after: Position,
    limit: usize,
) -> Result<(Vec<Run>, Option<i64>), Problem> {
    // A booking names its event; with another one there is nothing to find.
    let event = query.event_id.or(query.booking_id.map(|booking| booking.event));
    if query.booking_id.is_some_and(|booking| Some(booking.event) != event) {
        return Ok((vec![], None));
    }
    let rows = sqlx::query!(
        r#"SELECT stream, revision,
              (SELECT position FROM projection.checkpoint WHERE name = 'audit') AS upto
           FROM audit.record
           WHERE position > $1
              AND ($2::uuid IS NULL OR event_id = $2)
              AND ($3::bigint IS NULL OR booking_number = $3)
              AND ($4::uuid IS NULL OR user_id = $4 OR actor_id = $4)
              AND ($5::timestamptz IS NULL OR at >= $5)
              AND ($6::timestamptz IS NULL OR at < $6)
           ORDER BY position
           LIMIT $7"#,
        after.0.cast_signed(),
        event.map(EventId::as_uuid),
        query.booking_id.map(|booking| booking.number.cast_signed()),
        query.user_id.map(UserId::as_uuid),
        query.from.map(Time::as_chrono),
        query.to.map(Time::as_chrono),
        super::one_more(limit),
    );
    let rows =
        rows.fetch_all(&state.sources.pool).await.map_err(|error| state.views.failure(error))?;
    let upto = rows.first().and_then(|row| row.upto);
    let places = rows.into_iter().map(|row| (row.stream, row.revision.cast_unsigned()));
    Ok((runs(places), upto))
}

fn runs(places: impl Iterator<Item = (String, u64)>) -> Vec<Run> {
    let mut runs: Vec<Run> = vec![];
    for (stream, revision) in places {
        match runs.last_mut() {
            Some(run) if run.stream == stream && run.from + run.count as u64 == revision => {
                run.count += 1;
            }
            _ => runs.push(Run { stream, from: revision, count: 1 }),
        }
    }
    runs
}

async fn read(state: &QueryState, runs: &[Run]) -> Result<Vec<Record>, Problem> {
    let mut records = vec![];
    for Run { stream, from, count } in runs {
        let run = state.sources.log.read_stream(stream, *from, *count).await;
        records.extend(run.map_err(|error| problems::log(&error))?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        let places = [("a", 3), ("a", 4), ("b", 5), ("a", 6), ("a", 8)];
        let runs = runs(places.into_iter().map(|(stream, revision)| (stream.into(), revision)));
        let run = |stream: &str, from, count| Run { stream: stream.into(), from, count };
        assert_eq!(runs, [run("a", 3, 2), run("b", 5, 1), run("a", 6, 1), run("a", 8, 1)]);
    }
}
