//! Logs of data folders: filled beforehand, counted afterwards.

use std::path::Path;

use bytes::Bytes;
use domain::inventory::{Fact, stream};
use domain::{EventId, StoredFact, Time};
use futures::future::try_join_all;
use infra::data_folder::DataFolder;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{AppendError, Expected, Log, Metadata, NewRecord};
use uuid::Uuid;

use super::MeasureError;
use crate::desk::ForSale;

/// Records appended to a stream at a time.
const APPENDED: usize = 100;

/// Fills the log of a new data folder with the histories of these events, their appends one
/// after the other and those of different events in turn.
pub(super) async fn write(
    folder: &Path,
    histories: &[(EventId, &[(Time, Fact)])],
) -> Result<(), MeasureError> {
    let folder = DataFolder::open(folder)?;
    let log = EmbeddedLog::open(folder.log(), EmbeddedOptions::default())?;
    let longest = histories.iter().map(|(_, facts)| facts.len()).max().unwrap_or(0);
    for from in (0..longest).step_by(APPENDED) {
        let appends = histories.iter().filter(|(_, facts)| from < facts.len());
        let appends = appends.map(|(event, facts)| append(&log, *event, facts, from));
        try_join_all(appends).await?;
    }
    log.close().await;
    Ok(())
}

async fn append(
    log: &EmbeddedLog,
    event: EventId,
    facts: &[(Time, Fact)],
    from: usize,
) -> Result<(), AppendError> {
    let some = &facts[from..facts.len().min(from + APPENDED)];
    let records = some.iter().enumerate();
    let records = records.map(|(place, (at, fact))| record(event, from + place, *at, fact));
    let expected = match from {
        0 => Expected::NoStream,
        from => Expected::Revision(from as u64 - 1),
    };
    log.append(&stream(event), expected, records.collect()).await?;
    Ok(())
}

/// A record as a buyer's command leaves it.
fn record(event: EventId, number: usize, at: Time, fact: &Fact) -> NewRecord {
    let id = Uuid::from_u128((event.as_u128() << 32) + number as u128);
    let correlation = Some(format!("{number:032x}"));
    let metadata = Metadata { command: id, correlation, ..Metadata::default() };
    NewRecord {
        id,
        kind: fact.kind().into(),
        version: fact.version(),
        at,
        metadata: serde_json::to_string(&metadata).unwrap_or_default().into(),
        data: Bytes::from(fact.encode()),
    }
}

/// How many reservations of these events the log in `folder` has.
pub(super) async fn reserved(folder: &Path, sold: &[ForSale]) -> Result<u64, MeasureError> {
    const PAGE: usize = 10_000;
    let log = EmbeddedLog::open_read_only(DataFolder::open_existing(folder)?.log())?;
    let mut count = 0;
    for ForSale { event, .. } in sold {
        let mut from = 0;
        loop {
            let page = log.read_stream(&stream(*event), from, PAGE).await?;
            count += page.iter().filter(|record| &*record.kind == "Reserved").count() as u64;
            from += page.len() as u64;
            if page.len() < PAGE {
                break;
            }
        }
    }
    log.close().await;
    Ok(count)
}
