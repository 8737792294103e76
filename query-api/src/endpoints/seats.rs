//! `GET /events/{id}/seats`: the seat map with the state of every seat (CT-4). Needs the log alone.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use domain::EventId;
use infra::http::{MinPosition, POSITION_HEADER, Path, Problem, ProblemDocument};
use infra::log::Position;

use crate::QueryState;
use crate::live::seats::SeatMap;

/// The form of the document. Another one gets another number, because the tag of a map that did
/// not change has to change with it.
const FORM: u32 = 1;

/// The seat map with the state of every seat; without tiers for an event that sells no seats.
#[utoipa::path(
    get,
    path = "/api/v1/events/{event_id}/seats",
    tag = "events",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of a map at hand"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "Every seat with its state", body = SeatMap<'static>, headers(
            ("ETag" = String, description = "Changes when a seat does"))),
        (status = 304, description = "No seat changed", headers(
            ("ETag" = String, description = "The one at hand"))),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "EVENT_NOT_FOUND"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "LOG_UNAVAILABLE, HISTORY_DAMAGED"),
    ),
)]
pub(crate) async fn get_seats(
    State(state): State<QueryState>,
    Path(event): Path<EventId>,
    MinPosition(min): MinPosition,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.live.at_least(min).await?;
    let position = state.live.position();
    let version = state.live.availability(event).await?.seats_version();
    if is_known(&headers, &tag(version)) {
        return Ok(answer(StatusCode::NOT_MODIFIED, position, version, Body::empty()));
    }
    let snapshot = state.live.snapshot(event).await?;
    let version = snapshot.availability.seats_version();
    let mut response = answer(StatusCode::OK, position, version, Body::from(snapshot.map));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn answer(
    status: StatusCode,
    position: Option<Position>,
    version: Position,
    body: Body,
) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag(version)) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(position) = position {
        headers.insert(POSITION_HEADER, HeaderValue::from(position.0));
    }
    response
}

/// A strong tag: the document is a function of the log up to the last change of a seat.
fn tag(version: Position) -> String {
    format!("\"{FORM}-{version}\"")
}

/// Whether the client has the map with this tag (RFC 9110, 13.1.2: compared weakly).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_map_is_recognised_among_several() {
        let known = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_NONE_MATCH, HeaderValue::from_static(value));
            }
            is_known(&headers, &tag(Position(7)))
        };
        assert!(known(&["\"1-7\""]) && known(&["W/\"1-7\""]) && known(&["*"]));
        assert!(known(&["\"a\", \"1-7\""]) && known(&["\"a\"", "\"1-7\""]));
        assert!(!known(&[]) && !known(&["\"1-8\""]) && !known(&["1-7"]) && !known(&["\"2-7\""]));
    }
}
