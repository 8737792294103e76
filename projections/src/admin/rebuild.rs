//! POST /admin/projections/{name}/rebuild

use axum::extract::State;
use axum::http::StatusCode;
use domain::administration::ViewRebuildOrdered;
use infra::errors::chain;
use infra::http::{Json, Path, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::orders::{Ordering, WhyQuery};
use super::{AdminState, RUNNING, not_found, unavailable};
use crate::RebuildError;

/// A rebuild that began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Began {
    /// Of this view; how far it is stands in the list of projections.
    name: String,
    /// Where the log ended when it began.
    target: u64,
}

/// Builds a view again from the log while the present one serves; the answer does not wait for it.
#[utoipa::path(
    post,
    path = "/api/v1/admin/projections/{name}/rebuild",
    operation_id = "rebuild_projection",
    tag = "admin",
    params(("name" = String, Path, description = "The projection, e.g. bookings"), WhyQuery),
    responses(
        (status = 202, description = "It is being built again", body = Began),
        (status = 404, description = "PROJECTION_NOT_FOUND"),
        (status = 409, description = "REBUILD_RUNNING"),
        (status = 422, description = "INVALID: the reason is no word"),
        (status = 503, description = "VIEWS_UNAVAILABLE, LOG_UNAVAILABLE"),
    ),
    security(("bearer" = []))
)]
pub(super) async fn rebuild(
    State(state): State<AdminState>,
    who: Ordering,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Began>), Problem> {
    let view = state.projections.known_view(&name).map_err(|known| not_found(&name, &known))?;
    let view = view.to_owned();
    state.order(who, |operator| ViewRebuildOrdered { view, operator }.into()).await?;
    let rebuild = state.projections.begin_rebuild(&name).await;
    let rebuild = rebuild.map_err(|error| explain(&name, &error))?;
    let target = rebuild.target().0;
    let (projection, stop) = (name.clone(), state.stop.clone());
    let finish = async move {
        tracing::info!(projection, target, "building the view again");
        match state.projections.finish_rebuild(rebuild, &mut |_| {}, &stop).await {
            Ok(()) => tracing::info!(projection, "the view was built again"),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(projection, error, "the view could not be built again");
            }
        }
    };
    state.tasks.spawn_on(finish, &state.runtime);
    Ok((StatusCode::ACCEPTED, Json(Began { name, target })))
}

fn explain(name: &str, error: &RebuildError) -> Problem {
    match error {
        RebuildError::Unknown { known } => not_found(name, known),
        RebuildError::Running | RebuildError::Superseded => {
            const DETAIL: &str = "The view is being rebuilt already; see the list of projections. \
                If what rebuilt it died, its claim ends by itself after 15 seconds.";
            Problem::new(StatusCode::CONFLICT, RUNNING, DETAIL)
        }
        RebuildError::Stopped | RebuildError::Database(_) | RebuildError::Log(_) => {
            unavailable(error)
        }
    }
}
