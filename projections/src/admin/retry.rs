//! POST /admin/projections/{name}/retry

use axum::extract::State;
use domain::administration::ViewRetryOrdered;
use infra::http::{Json, Path, Problem};

use super::orders::{Ordering, WhyQuery};
use super::{AdminState, not_found, unavailable};
use crate::{Retried, RetryError};

/// Applies a view's parked records in order again, after what was wrong with them was mended.
#[utoipa::path(
    post,
    path = "/api/v1/admin/projections/{name}/retry",
    operation_id = "retry_projection",
    tag = "admin",
    params(("name" = String, Path, description = "The projection, e.g. bookings"), WhyQuery),
    responses(
        (status = 200, description = "What became of what was parked", body = Retried),
        (status = 404, description = "PROJECTION_NOT_FOUND"),
        (status = 422, description = "INVALID: the reason is no word"),
        (status = 503, description = "VIEWS_UNAVAILABLE, LOG_UNAVAILABLE"),
    ),
    security(("bearer" = []))
)]
pub(super) async fn retry(
    State(state): State<AdminState>,
    who: Ordering,
    Path(name): Path<String>,
) -> Result<Json<Retried>, Problem> {
    let view = state.projections.known_view(&name).map_err(|known| not_found(&name, &known))?;
    let view = view.to_owned();
    state.order(who, |operator| ViewRetryOrdered { view, operator }.into()).await?;
    match state.projections.retry(&name).await {
        Ok(retried) => Ok(Json(retried)),
        Err(RetryError::Unknown { known }) => Err(not_found(&name, &known)),
        Err(error) => Err(unavailable(&error)),
    }
}
