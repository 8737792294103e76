//! Everything that is read: live availability kept in memory, and one file per query endpoint over
//! the views. Nothing here writes to the log or to a view.

pub mod live;
mod state;

pub use live::{Live, LiveLimits, LiveStats};
pub use state::{QueryState, Sources};

use axum::Router;
use infra::http::Code;
use utoipa::OpenApi;

/// Every query endpoint, under `/api/v1`.
pub fn router(state: QueryState) -> Router {
    Router::new().with_state(state)
}

/// What the query endpoints take and give, for the API document.
pub fn api() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi()]
struct Document;

/// The codes of problems that query endpoints answer with beside the generic ones.
pub const CODES: &[Code] = &[];
