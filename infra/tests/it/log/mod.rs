//! The embedded log.

mod altered;
mod append_only;
mod closing;
mod conformance;
mod opening;
mod positions;
mod processes;
mod reading;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use domain::Time;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Log, NewRecord};
use tempfile::TempDir;
use uuid::Uuid;

/// A log in a folder of its own.
struct Fixture {
    log: Arc<dyn Log>,
    folder: TempDir,
}

impl Fixture {
    fn path(&self) -> PathBuf {
        self.folder.path().join("log.sqlite")
    }
}

impl Deref for Fixture {
    type Target = Arc<dyn Log>;

    fn deref(&self) -> &Arc<dyn Log> {
        &self.log
    }
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let log = Arc::new(EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap());
    Fixture { log, folder }
}

pub(crate) fn record(number: u64) -> NewRecord {
    NewRecord {
        id: Uuid::from_u128(u128::from(number) + 1),
        kind: "Reserved".into(),
        version: 1,
        at: Time::from_ms(1_800_000_000_000 + number as i64),
        metadata: format!(r#"{{"command":"{}"}}"#, Uuid::from_u128(7)).into(),
        data: Bytes::from(format!(r#"{{"number":{number}}}"#)),
    }
}
