//! Adapters to what is outside the domain, behind small traits.

pub mod auth;
pub mod clock;
pub mod data_folder;
pub mod errors;
pub mod http;
pub mod identity;
pub mod ids;
pub mod kafka;
pub mod limits;
pub mod log;
pub mod mail;
pub mod metrics;
pub mod oidc;
pub mod passwords;
pub mod payment;
pub mod postgres;
mod private_file;
pub mod redis;
pub mod room;
pub mod shapes;
pub mod sqlite;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
pub mod trace;
