//! The end: nothing that was begun is lost, and nothing waits for ever.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{AppendError, Expected, Log, Position};

use super::record;

fn open(folder: &tempfile::TempDir) -> Arc<EmbeddedLog> {
    let path = folder.path().join("log.sqlite");
    Arc::new(EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_carries_out_what_was_begun_and_refuses_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    let appends = (0..200).map(|n| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            log.append(&format!("s-{n}"), Expected::NoStream, vec![record(n)]).await
        })
    });
    let appends: Vec<_> = appends.collect();
    log.close().await;
    log.close().await;
    let mut sure = 0;
    for outcome in join_all(appends).await {
        match outcome.unwrap() {
            Ok(_) => sure += 1,
            Err(AppendError::Unavailable(_)) => {}
            Err(other) => unreachable!("{other:?}"),
        }
    }
    assert!(log.head().await.is_err());
    assert!(log.append("s", Expected::Any, vec![record(0)]).await.is_err());
    // All is in the one file.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(open(&folder).head().await.unwrap(), Position(sure));
}

#[tokio::test]
async fn subscriptions_end_with_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    log.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    let mut waiting = log.subscribe_all(Position(0));
    let mut untouched = log.subscribe_all(Position(0));
    assert_eq!(waiting.next().await.unwrap().unwrap().len(), 1);
    let end = tokio::spawn(async move {
        (waiting.next().await.is_some_and(|item| item.is_err()), waiting.next().await.is_none())
    });
    log.close().await;
    let end = tokio::time::timeout(Duration::from_secs(60), end).await.unwrap().unwrap();
    assert_eq!(end, (true, true));
    assert!(untouched.next().await.unwrap().is_err());
    assert!(untouched.next().await.is_none());
}

#[tokio::test]
async fn a_log_that_is_dropped_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    let subscription = log.subscribe_all(Position(0));
    log.append("s", Expected::NoStream, vec![record(0)]).await.unwrap();
    drop(log);
    drop(subscription);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let log = open(&folder);
    log.append("s", Expected::Revision(0), vec![record(1)]).await.unwrap();
}

/// An append whose caller went away is carried out or not, and its stream goes on.
#[tokio::test]
async fn a_caller_may_go_away() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    for n in 0..50 {
        let append = log.append("s", Expected::Any, vec![record(n)]);
        let _ = tokio::time::timeout(Duration::ZERO, append).await;
    }
    let last = log.append("s", Expected::Any, vec![record(50)]).await.unwrap();
    let stored = log.read_stream("s", 0, 100).await.unwrap();
    assert_eq!(stored.len() as u64, last.revision + 1);
}
