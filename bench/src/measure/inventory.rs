//! One inventory by itself: how much memory it takes, and how fast it is there after a restart.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use domain::inventory::{Fact, Inventory, stream};
use domain::{StoredFact, Time};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, Metadata, NewRecord};
use uuid::Uuid;

use super::MeasureError;
use crate::memory;
use crate::report::Sample;
use crate::sale;

/// Facts of the inventory that is measured.
pub(super) const FACTS: usize = 1_000_000;
/// Below this many bookings what does not grow with them weighs too much.
const ENOUGH_BOOKINGS: usize = 50_000;
/// Records appended at a time when the log is made, and read at a time when it is loaded.
const APPENDED: usize = 5_000;
const READ: usize = 4_096;

/// Bytes for each booking, of any status, once all facts are taken in; `worst` is the most at any
/// moment before, which is where tables have just grown.
pub(super) fn memory(facts: &[(Time, Fact)]) -> Sample {
    let (bytes, worst, bookings) = memory::live(|bytes| {
        let mut inventory = Inventory::default();
        let mut worst = 0.0_f64;
        let each = |inventory: &Inventory| bytes() as f64 / inventory.booking_count() as f64;
        for (at, fact) in facts {
            inventory.evolve(*at, fact);
            if inventory.booking_count() >= ENOUGH_BOOKINGS {
                worst = worst.max(each(&inventory));
            }
        }
        (each(&inventory), worst, inventory.booking_count())
    });
    Sample::of(bytes).with("worst", worst).with("bookings", bookings).with("facts", facts.len())
}

/// Writes the facts to the stream of their inventory in a log at `path`.
pub(super) async fn write(path: &Path, facts: &[(Time, Fact)]) -> Result<(), MeasureError> {
    let log = EmbeddedLog::open(path, EmbeddedOptions::default())?;
    let stream = stream(sale::EVENT);
    let mut expected = Expected::NoStream;
    for (index, some) in facts.chunks(APPENDED).enumerate() {
        let records = some.iter().enumerate();
        let records =
            records.map(|(place, (at, fact))| record(index * APPENDED + place, *at, fact));
        let appended = log.append(&stream, expected, records.collect()).await?;
        expected = Expected::Revision(appended.revision);
    }
    log.close().await;
    Ok(())
}

/// A record as the commands of a buyer leave it.
fn record(number: usize, at: Time, fact: &Fact) -> NewRecord {
    let id = Uuid::from_u128(number as u128 + 1);
    let correlation = Some(format!("{number:032x}"));
    let metadata = Metadata { command: id, correlation, ..Metadata::default() };
    NewRecord {
        id,
        kind: fact.kind(),
        version: fact.version(),
        at,
        metadata: serde_json::to_string(&metadata).unwrap_or_default(),
        data: Bytes::from(fact.encode()),
    }
}

/// Seconds from opening the log at `path` to an inventory that can decide.
pub(super) async fn load(path: &Path) -> Result<Sample, MeasureError> {
    let begin = Instant::now();
    let log = EmbeddedLog::open(path, EmbeddedOptions::default())?;
    let stream = stream(sale::EVENT);
    let mut inventory = Inventory::default();
    loop {
        let records = log.read_stream(&stream, inventory.facts(), READ).await?;
        for record in &records {
            let fact = Fact::decode(&record.kind, record.version, &record.data)?;
            inventory.evolve(record.at, &fact);
        }
        if records.len() < READ {
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    log.close().await;
    let size = std::fs::metadata(path)?.len();
    Ok(Sample::of(seconds).with("facts", inventory.facts()).with("file_bytes", size))
}
