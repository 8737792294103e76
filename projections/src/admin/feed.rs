//! GET /admin/feed, POST /admin/feed/replay

use axum::extract::State;
use axum::http::StatusCode;
use domain::administration::FeedReplayOrdered;
use infra::http::{Json, Problem};
use infra::log::Position;
use serde::Deserialize;
use utoipa::ToSchema;

use super::orders::{Ordering, WhyQuery};
use super::{AdminState, FEED_AHEAD, NO_FEED, unavailable};
use crate::feed::{FeedStatus, ReplayError, Replayed};

/// How far the feed is behind the log, and what it could not tell.
#[utoipa::path(
    get,
    path = "/api/v1/admin/feed",
    operation_id = "show_feed",
    tag = "admin",
    responses(
        (status = 200, description = "How far it is", body = FeedStatus),
        (status = 404, description = "FEED_NOT_FOUND"),
        (status = 503, description = "VIEWS_UNAVAILABLE"),
    ),
    security(("bearer" = []))
)]
pub(super) async fn show(State(state): State<AdminState>) -> Result<Json<FeedStatus>, Problem> {
    has_feed(&state)?;
    let status = state.projections.feed_status().await;
    status.map(Json).map_err(|error| unavailable(&error))
}

/// What is to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// Everything after this position; 0 for all there is.
    from: u64,
}

/// Sends everything after a position again, with the same ids. Readers have it within seconds; the
/// answer does not wait for that.
#[utoipa::path(
    post,
    path = "/api/v1/admin/feed/replay",
    operation_id = "replay_feed",
    tag = "admin",
    request_body = Replay,
    params(WhyQuery),
    responses(
        (status = 202, description = "It is sent again", body = Replayed),
        (status = 404, description = "FEED_NOT_FOUND"),
        (status = 409, description = "FEED_NOT_THERE_YET"),
        (status = 503, description = "VIEWS_UNAVAILABLE, LOG_UNAVAILABLE"),
    ),
    security(("bearer" = []))
)]
pub(super) async fn replay(
    State(state): State<AdminState>,
    who: Ordering,
    Json(Replay { from }): Json<Replay>,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    has_feed(&state)?;
    state.order(who, |operator| FeedReplayOrdered { from, operator }.into()).await?;
    match state.projections.replay_feed(Position(from)).await {
        Ok(replayed) => {
            let Replayed { from, position } = replayed;
            tracing::info!(from, position, "the feed is sent again");
            Ok((StatusCode::ACCEPTED, Json(replayed)))
        }
        Err(ReplayError::Ahead { position }) => {
            let detail = format!(
                "The feed is at position {position}: only what was sent can be sent again."
            );
            Err(Problem::new(StatusCode::CONFLICT, FEED_AHEAD, detail))
        }
        Err(error) => Err(unavailable(&error)),
    }
}

fn has_feed(state: &AdminState) -> Result<(), Problem> {
    let detail = "There is no feed: name brokers with kafka_brokers (EVENTLY_KAFKA_BROKERS).";
    let none = || Problem::new(StatusCode::NOT_FOUND, NO_FEED, detail);
    state.projections.feed().map(|_| ()).ok_or_else(none)
}
