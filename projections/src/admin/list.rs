//! GET /admin/projections

use axum::extract::State;
use infra::http::{Json, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AdminState, unavailable};
use crate::Status;

/// Every projection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Projections {
    items: Vec<Status>,
}

/// How far every view is behind the log, and what it could not apply.
#[utoipa::path(
    get,
    path = "/api/v1/admin/projections",
    operation_id = "list_projections",
    tag = "admin",
    responses(
        (status = 200, description = "How far each is", body = Projections),
        (status = 503, description = "VIEWS_UNAVAILABLE"),
    ),
    security(("bearer" = []))
)]
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Projections>, Problem> {
    let items = state.projections.status().await.map_err(|error| unavailable(&error))?;
    Ok(Json(Projections { items }))
}
