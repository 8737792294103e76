//! The one program: settings, the composition of all parts into a process, and the command line.

pub mod app;
mod audit;
pub mod cli;
mod contract;
mod crash;
mod database;
mod demo;
pub mod document;
#[cfg(feature = "embedded-postgres")]
pub mod embedded_postgres;
mod health;
pub mod identity;
mod keys;
mod log;
mod log_server;
mod metrics;
mod open_files;
mod orders;
mod process;
mod reach;
mod serve;
pub mod settings;
mod signals;
mod views;
