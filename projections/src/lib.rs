//! Builds the views from the log: one file per view, one runner, rebuild beside the live copy.

mod columns;
mod projection;
pub mod views;

pub use projection::{Changes, Projection, WriteError};
