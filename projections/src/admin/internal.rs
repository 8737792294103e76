//! The same for services: under `/internal`, by service key.

use axum::extract::State;
use axum::http::StatusCode;
use infra::http::{Json, Path, Problem};

use super::AdminState;
use super::list::Projections;
use super::orders::{Ordering, WhyQuery};
use super::rebuild::Began;
use crate::Retried;

/// How far every view is behind the log, for monitors.
#[utoipa::path(
    get,
    path = "/internal/projections",
    operation_id = "internal_list_projections",
    tag = "internal",
    responses(
        (status = 200, description = "How far each is", body = Projections),
        (status = 503, description = "VIEWS_UNAVAILABLE"),
    )
)]
pub(super) async fn list(state: State<AdminState>) -> Result<Json<Projections>, Problem> {
    super::list::list(state).await
}

/// Builds a view again from the log, as after a deployment that changes it.
#[utoipa::path(
    post,
    path = "/internal/projections/{name}/rebuild",
    operation_id = "internal_rebuild_projection",
    tag = "internal",
    params(("name" = String, Path, description = "The projection, e.g. bookings"), WhyQuery),
    responses(
        (status = 202, description = "It is being built again", body = Began),
        (status = 404, description = "PROJECTION_NOT_FOUND"),
        (status = 409, description = "REBUILD_RUNNING"),
        (status = 422, description = "INVALID: the reason is no word"),
        (status = 503, description = "VIEWS_UNAVAILABLE, LOG_UNAVAILABLE"),
    )
)]
pub(super) async fn rebuild(
    state: State<AdminState>,
    who: Ordering,
    name: Path<String>,
) -> Result<(StatusCode, Json<Began>), Problem> {
    super::rebuild::rebuild(state, who, name).await
}

/// Applies a view's parked records in order again.
#[utoipa::path(
    post,
    path = "/internal/projections/{name}/retry",
    operation_id = "internal_retry_projection",
    tag = "internal",
    params(("name" = String, Path, description = "The projection, e.g. bookings"), WhyQuery),
    responses(
        (status = 200, description = "What became of what was parked", body = Retried),
        (status = 404, description = "PROJECTION_NOT_FOUND"),
        (status = 422, description = "INVALID: the reason is no word"),
        (status = 503, description = "VIEWS_UNAVAILABLE, LOG_UNAVAILABLE"),
    )
)]
pub(super) async fn retry(
    state: State<AdminState>,
    who: Ordering,
    name: Path<String>,
) -> Result<Json<Retried>, Problem> {
    super::retry::retry(state, who, name).await
}
