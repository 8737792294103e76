//! Processes that are killed, that write the same log, and that have no disk to write to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use infra::log::chain::ChainVerifier;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{AppendError, Expected, Log, NewRecord, Position, Record};
use uuid::Uuid;

use super::record;
use crate::child::Child;

const WRITERS: u64 = 8;

fn open(folder: &Path) -> Arc<EmbeddedLog> {
    let path = folder.join("log.sqlite");
    Arc::new(EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap())
}

/// All records, which follow from each other.
async fn verified(log: &EmbeddedLog) -> Vec<Record> {
    let records = log.read_all(Position(0), usize::MAX).await.unwrap();
    let mut verifier = ChainVerifier::new().without_gaps();
    for record in &records {
        verifier.verify(record).unwrap();
    }
    records
}

/// The acknowledgement of the record with this id.
fn acknowledged(said: &str) -> Uuid {
    Uuid::parse_str(said).unwrap()
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut sure = Vec::new();
    for round in 0..8 {
        let mut child = Child::start("log::processes::child_appends_for_ever", folder.path());
        for _ in 0..round * 40 + 1 {
            sure.push(acknowledged(&child.next_line().expect("it writes for ever")));
        }
        child.kill();
        while let Some(said) = child.next_line() {
            sure.push(acknowledged(&said));
        }
        let log = open(folder.path());
        let stored: HashMap<Uuid, Record> =
            verified(&log).await.into_iter().map(|record| (record.id, record)).collect();
        for id in &sure {
            assert!(stored.contains_key(id), "{id} was acknowledged and is not there");
        }
        // Whatever the killed process had not answered is there or not, and can be repeated.
        log.append("after", Expected::Any, vec![record(round)]).await.unwrap();
        log.close().await;
    }
}

/// What the child of [`a_killed_writer_loses_nothing_it_acknowledged`] does.
#[tokio::test(flavor = "multi_thread")]
async fn child_appends_for_ever() {
    let Some(folder) = Child::folder() else { return };
    let log = open(&folder);
    let writers = (0..WRITERS).map(|writer| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let stream = format!("killed-{writer}");
            loop {
                let new = NewRecord { id: random(), ..record(writer) };
                let id = new.id;
                log.append(&stream, Expected::Any, vec![new, record(9)]).await.unwrap();
                Child::say(&id.to_string());
            }
        })
    });
    join_all(writers).await;
}

fn random() -> Uuid {
    Uuid::from_u128(infra::ids::random_u128())
}

const WON: u64 = 300;

/// Appends to streams that other processes append to as well, until each has many records.
async fn race(log: &EmbeddedLog) -> Vec<Uuid> {
    let mut won = Vec::new();
    let mut believed = [None; 3];
    while believed.iter().any(|last| *last < Some(WON)) {
        for (i, last) in believed.iter_mut().enumerate() {
            let new = NewRecord { id: random(), ..record(i as u64) };
            let id = new.id;
            let expected = last.map_or(Expected::NoStream, Expected::Revision);
            match log.append(&format!("raced-{i}"), expected, vec![new]).await {
                Ok(appended) => {
                    won.push(id);
                    *last = Some(appended.revision);
                }
                Err(AppendError::WrongRevision { actual }) => *last = actual,
                Err(other) => unreachable!("{other:?}"),
            }
        }
    }
    won
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_write_the_same_streams_never_lose_each_others_records() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut followed = log.subscribe_all(Position(0));
    let mut child = Child::start("log::processes::child_races", folder.path());
    assert_eq!(child.next_line().as_deref(), Some("ready"));
    let mut won = race(&log).await;
    let ours = won.len();
    while let Some(said) = child.next_line() {
        won.push(acknowledged(&said));
    }
    assert!(ours > 0 && won.len() > ours, "both wrote: {ours} of {}", won.len());
    let stored = verified(&log).await;
    won.sort_unstable();
    let mut ids: Vec<Uuid> = stored.iter().map(|record| record.id).collect();
    ids.sort_unstable();
    assert!(ids == won, "every record was acknowledged once, to one writer");
    let mut seen: Vec<Record> = Vec::new();
    while seen.len() < stored.len() {
        let patience = std::time::Duration::from_secs(60);
        let batch = tokio::time::timeout(patience, followed.next()).await.unwrap();
        seen.extend(batch.unwrap().unwrap());
    }
    assert!(seen == stored, "the subscription missed something");
}

/// What the child of
/// [`processes_that_write_the_same_streams_never_lose_each_others_records`] does.
#[tokio::test(flavor = "multi_thread")]
async fn child_races() {
    let Some(folder) = Child::folder() else { return };
    let log = open(&folder);
    Child::say("ready");
    for id in race(&log).await {
        Child::say(&id.to_string());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_fails_refuses_appends_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // A log that fits, so that what fails is not its making.
    open(folder.path()).close().await;
    let blocks = 2 * 2000;
    let child = "log::processes::child_fills_its_disk";
    let mut child = Child::start_limited(child, folder.path(), blocks);
    let (mut sure, mut refused) = (Vec::new(), Vec::new());
    while let Some(said) = child.next_line() {
        let (what, id) = said.split_once(' ').unwrap();
        match what {
            "appended" => sure.push(acknowledged(id)),
            "refused" => refused.push(acknowledged(id)),
            _ => assert_eq!(what, "unknown"),
        }
    }
    assert!(sure.len() > 20 && !refused.is_empty(), "{} {}", sure.len(), refused.len());
    let log = open(folder.path());
    let stored: Vec<Uuid> = verified(&log).await.iter().map(|record| record.id).collect();
    assert!(sure.iter().all(|id| stored.contains(id)), "an acknowledged record is gone");
    assert!(!refused.iter().any(|id| stored.contains(id)), "a refused record is there");
    log.append("full", Expected::Any, vec![record(1)]).await.unwrap();
}

/// What the child of [`a_disk_that_fails_refuses_appends_and_keeps_what_was_acknowledged`] does.
#[cfg(unix)]
#[tokio::test]
async fn child_fills_its_disk() {
    let Some(folder) = Child::folder() else { return };
    let log = open(&folder);
    let large = format!(r#"{{"pad":"{}"}}"#, "x".repeat(30_000));
    let (mut failures, mut number) = (0, 0);
    while failures < 20 {
        number += 1;
        // Small ones may still fit where a large one does not.
        let data = if number % 3 == 0 { "{}".to_owned() } else { large.clone() };
        let new = NewRecord { id: random(), data: data.into(), ..record(number) };
        let id = new.id;
        match log.append("full", Expected::Any, vec![new]).await {
            Ok(_) => Child::say(&format!("appended {id}")),
            Err(AppendError::Unavailable(_)) => Child::say(&format!("refused {id}")),
            Err(AppendError::OutcomeUnknown(_)) => Child::say(&format!("unknown {id}")),
            Err(other) => unreachable!("{other:?}"),
        }
        failures += u64::from(number > 500);
    }
}
