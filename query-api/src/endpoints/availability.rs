//! `GET /events/{id}/availability`: how much of an event is left, now or as of an earlier moment
//! (CT-4). Needs the log alone.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use domain::{EventId, Time};
use infra::http::{MinPosition, POSITION_HEADER, Path, Problem, ProblemDocument, Query};
use infra::log::Position;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use crate::QueryState;
use crate::live::availability::AvailabilityDocument;
use crate::live::load::AsOf;
use crate::problems;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Of which moment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Moment {
    /// A position of the log, or a time (RFC 3339); absent: now. Both have to be past.
    #[param(value_type = Option<String>, example = "2027-06-01T19:30:00Z")]
    as_of: Option<String>,
}

/// How much of an event is left.
#[utoipa::path(
    get,
    path = "/api/v1/events/{event_id}/availability",
    tag = "events",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
        Moment,
    ),
    responses(
        (status = 200, description = "As it was at `position`", body = AvailabilityDocument<'static>),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "EVENT_NOT_FOUND: no such event, or it is not published (as of then)"),
        (status = 422, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "LOG_UNAVAILABLE, HISTORY_DAMAGED"),
    ),
)]
pub(crate) async fn get_availability(
    State(state): State<QueryState>,
    Path(event): Path<EventId>,
    Query(moment): Query<Moment>,
    MinPosition(min): MinPosition,
) -> Result<Response, Problem> {
    let live = &state.live;
    live.at_least(min).await?;
    if let Some(moment) = moment.as_of {
        let moment = past(&state, &moment).await?;
        let then = live.as_of(event, moment).await?;
        return Ok(answer(Some(then.position()), then.json()));
    }
    // Before the answer: what is taken in meanwhile may be in it, never the other way round.
    let position = live.position();
    Ok(answer(position, live.availability(event).await?.json()))
}

fn answer(position: Option<Position>, json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Some(position) = position {
        response.headers_mut().insert(POSITION_HEADER, HeaderValue::from(position.0));
    }
    response
}

/// A moment that has been: what is still to come may turn out in any way.
async fn past(state: &QueryState, text: &str) -> Result<AsOf, Problem> {
    let ahead = || Problem::invalid("as_of", "must not be ahead of the present");
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let position = Position(u64::from_str(text).map_err(|_| ahead())?);
        let head = state.sources.log.head().await.map_err(|error| problems::log(&error))?;
        return if position <= head { Ok(AsOf::Position(position)) } else { Err(ahead()) };
    }
    let expected = |_| {
        Problem::malformed(
            "as_of must be a position, or a time like 2027-06-01T19:30:00Z (RFC 3339)",
        )
        .details(json!({"field": "as_of"}))
    };
    let time = Time::from_str(text).map_err(expected)?;
    if time <= state.sources.clock.now() { Ok(AsOf::Time(time)) } else { Err(ahead()) }
}
