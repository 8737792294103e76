//! Readers: few at a time, and none in the way of others.

use std::task::Poll;
use std::time::Duration;

use futures::{StreamExt, poll};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, Position};

use super::record;

/// Enough that a read takes longer than asking for it.
const RECORDS: u64 = 2_000;

/// A projection asks for more, and then is busy with its database.
#[tokio::test]
async fn who_asks_and_does_not_listen_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let log = EmbeddedLog::open(&path, EmbeddedOptions::default()).unwrap();
    log.append("s", Expected::NoStream, (0..RECORDS).map(record).collect()).await.unwrap();
    log.close().await;

    // Nothing of it is in memory now.
    let log = EmbeddedLog::open(&path, EmbeddedOptions { readers: 1 }).unwrap();
    let mut busy: Vec<_> = (0..8).map(|_| log.subscribe_all(Position(0))).collect();
    let mut asked = vec![];
    for subscription in &mut busy {
        asked.push(poll!(subscription.next()));
    }
    let head = tokio::time::timeout(Duration::from_secs(60), log.head()).await;
    assert_eq!(head.expect("others get to read").unwrap(), Position(RECORDS));
    for (subscription, asked) in busy.iter_mut().zip(asked) {
        let batch = match asked {
            Poll::Ready(batch) => batch,
            Poll::Pending => subscription.next().await,
        };
        assert_eq!(batch.unwrap().unwrap().len() as u64, RECORDS);
    }
}

/// Who reads ahead asks for what is not there yet, while it is being written.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_while_it_is_written_is_not_taken_for_damaged() {
    const APPENDS: u64 = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let log = EmbeddedLog::open(&path, EmbeddedOptions::default()).unwrap();
    let log = std::sync::Arc::new(log);
    let (written, end) = tokio::sync::watch::channel(0);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (log, end) = (log.clone(), end.clone());
        readers.spawn(async move {
            loop {
                let next = *end.borrow() + 1;
                log.read_stream("s", next, 5).await.unwrap();
                if next > 3 * APPENDS {
                    return;
                }
            }
        });
    }
    for number in 0..APPENDS {
        let records = (3 * number..3 * number + 3).map(record).collect();
        log.append("s", Expected::Any, records).await.unwrap();
        written.send(3 * (number + 1)).unwrap();
    }
    while let Some(read) = readers.join_next().await {
        read.unwrap();
    }
    log.check_writable().await.unwrap();
}
