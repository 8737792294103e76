//! Builds the views from the log: one file per view, one runner, rebuild beside the live copy.

mod admin;
mod checkpoint;
mod columns;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod feed;
mod holds;
mod identity;
mod lease;
mod parked;
mod projection;
mod projections;
mod rebuild;
mod retry;
mod runner;
mod status;
mod tables;
mod trouble;
pub mod views;

pub use admin::{AdminState, CODES, NotWritten, Orders, api, router};
pub use holds::Holds;
pub use identity::OtherLog;
pub use projection::{Changes, Projection, WriteError};
pub use projections::{PrepareError, Projections};
pub use rebuild::{Progress, RebuildError};
pub use retry::{Retried, RetryError};
pub use status::{
    FirstParked, Following, LastRebuild, MOST_LAG, RebuildStatus, Status, StatusError,
};
