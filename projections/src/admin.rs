//! What an admin asks of the projections and of the feed over HTTP (OP-1, OP-3).

mod feed;
mod internal;
mod list;
mod orders;
mod rebuild;
mod retry;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use infra::http::{Code, Problem};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::OpenApi;

use crate::Projections;

pub use orders::{NotWritten, Orders};

const NOT_FOUND: &str = "PROJECTION_NOT_FOUND";
const RUNNING: &str = "REBUILD_RUNNING";
const NO_FEED: &str = "FEED_NOT_FOUND";
const FEED_AHEAD: &str = "FEED_NOT_THERE_YET";
const UNAVAILABLE: &str = "VIEWS_UNAVAILABLE";
const LOG_UNAVAILABLE: &str = "LOG_UNAVAILABLE";

/// The codes of problems that these endpoints answer with beside the generic ones.
pub const CODES: &[Code] = &[
    Code { code: NOT_FOUND, status: 404, meaning: "There is no projection of this name." },
    Code { code: RUNNING, status: 409, meaning: "The view is being rebuilt already." },
    Code { code: NO_FEED, status: 404, meaning: "There is no Kafka to feed." },
    Code { code: FEED_AHEAD, status: 409, meaning: "The feed has not sent that much yet." },
    Code { code: UNAVAILABLE, status: 503, meaning: "The views' database does not answer." },
    Code { code: LOG_UNAVAILABLE, status: 503, meaning: "The log is away; nothing was done." },
];

/// What these endpoints need.
#[derive(Clone)]
pub struct AdminState {
    /// The projections they speak of.
    pub projections: Projections,
    /// Who writes down what is ordered, before it is done.
    pub orders: Arc<dyn Orders>,
    /// Among which a rebuild runs after it was accepted.
    pub tasks: TaskTracker,
    /// On which threads.
    pub runtime: tokio::runtime::Handle,
    /// Ends it.
    pub stop: CancellationToken,
}

/// The endpoints, under `/api/v1/admin/projections` and `/api/v1/admin/feed` for admins and
/// `/internal/projections` for services.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/api/v1/admin/projections", get(list::list))
        .route("/api/v1/admin/projections/{name}/rebuild", post(rebuild::rebuild))
        .route("/api/v1/admin/projections/{name}/retry", post(retry::retry))
        .route("/api/v1/admin/feed", get(feed::show))
        .route("/api/v1/admin/feed/replay", post(feed::replay))
        .route("/internal/projections", get(internal::list))
        .route("/internal/projections/{name}/rebuild", post(internal::rebuild))
        .route("/internal/projections/{name}/retry", post(internal::retry))
        .with_state(state)
}

/// What the endpoints take and give, for the API document.
pub fn api() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(paths(
    list::list,
    rebuild::rebuild,
    retry::retry,
    feed::show,
    feed::replay,
    internal::list,
    internal::rebuild,
    internal::retry
))]
struct Document;

fn not_found(name: &str, known: &str) -> Problem {
    let detail = format!("There is no projection {name:?}; there are {known}.");
    Problem::new(StatusCode::NOT_FOUND, NOT_FOUND, detail)
}

/// The database or the log failed. What exactly is logged, not told.
fn unavailable(error: &dyn std::error::Error) -> Problem {
    let error = infra::errors::chain(error);
    tracing::warn!(error, "the projections cannot be asked");
    Problem::unavailable(UNAVAILABLE, "The views' database does not answer. Ask again.", 1)
}
