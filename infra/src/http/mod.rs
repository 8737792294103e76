//! What every HTTP endpoint shares: problems, extractors whose refusals are problems, pages,
//! positions, and the layer around all routes.
//!
//! A role is built as `axum::Router` with handlers that use the extractors of this module, then
//! wrapped once by [`service`] and run by [`serve`].

mod codes;
pub(crate) mod context;
mod cors;
mod crowd;
mod json;
mod page;
pub(crate) mod parameters;
mod params;
mod position;
mod problem;
#[cfg(feature = "testing")]
pub mod promise;
mod pulse;
mod serve;
mod service;
mod unread;
mod words;

pub use codes::{Code, GENERIC_CODES};
pub use context::{RequestId, carried};
pub use cors::{Origins, OriginsError};
pub use json::Json;
pub use page::{Cursor, Limit, Page};
pub use parameters::Parameters;
pub use params::{Path, Query};
pub use position::{AtPosition, IdempotencyKey, MinPosition, POSITION_HEADER};
pub use problem::{PROBLEM_BASE, Problem, ProblemDocument};
pub use serve::{Connections, MAX_HEAD_BYTES, REFUSED_AT_ONCE, Site, Visit, serve, serve_with};
pub use service::{Edge, ServiceLimits, service, with_body_within};
