//! A log server that is killed while many append to it.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use infra::clock::SystemClock;
use infra::log::chain::ChainVerifier;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::eventstore::{EventStoreLog, EventStoreOptions};
use infra::log::server::{self, ServerOptions};
use infra::log::{Expected, Log, NewRecord, Position, Record};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{connect, listen_again, soon, url};
use crate::child::Child;
use crate::log::record;

const WRITERS: u64 = 8;
const KILLS: usize = 4;
/// Records acknowledged between two kills.
const ROUND: usize = 150;

fn open(folder: &Path) -> Arc<EmbeddedLog> {
    let path = folder.join("log.sqlite");
    Arc::new(EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap())
}

/// The server's process, and where it listens: where the one before it did.
fn start(folder: &Path) -> (Child, SocketAddr) {
    let mut child = Child::start("log_server::killed::child_serves", folder);
    let address = child.next_line().expect("it listens").parse().unwrap();
    (child, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_log_server_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, address) = start(folder.path());
    let log = Arc::new(connect(address));
    let sure = Arc::new(Mutex::new(Vec::new()));
    let stop = watch::Sender::new(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (log, sure, stop) = (Arc::clone(&log), Arc::clone(&sure), stop.subscribe());
            tokio::spawn(async move {
                while !*stop.borrow() {
                    let new = [(); 2].map(|()| NewRecord {
                        id: Uuid::from_u128(infra::ids::random_u128()),
                        ..record(writer)
                    });
                    let ids = new.clone().map(|record| record.id);
                    let stream = format!("killed-{writer}");
                    // Through the kills: none of them is to be seen.
                    log.append(&stream, Expected::Any, new.to_vec()).await.unwrap();
                    sure.lock().extend(ids);
                }
            })
        })
        .collect();
    let mut followed = log.subscribe_all(Position(0));
    let mut seen: Vec<Record> = vec![];
    for kill in 1..=KILLS {
        while sure.lock().len() < kill * ROUND {
            seen.extend(soon(followed.next()).await.unwrap().unwrap());
        }
        child.kill();
        (child, _) = start(folder.path());
    }
    stop.send_replace(true);
    join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());
    let head = log.head().await.unwrap();
    while seen.last().is_none_or(|last| last.position < head) {
        seen.extend(soon(followed.next()).await.unwrap().unwrap());
    }
    child.kill();
    let sure = sure.lock().clone();
    check(folder.path(), &sure, &seen).await;
}

/// As one that stands still is (`proxy.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn a_log_server_that_does_not_come_back_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, address) = start(folder.path());
    let patience = Duration::from_millis(500);
    let options = EventStoreOptions { patience, ..EventStoreOptions::default() };
    let log = EventStoreLog::open(&url(address), options).unwrap();
    let append = async || log.append("killed", Expected::Any, vec![record(1)]).await;
    append().await.unwrap();
    child.kill();
    // Whoever asks meanwhile waits for it as in a restart.
    append().await.unwrap_err();
    let error = append().await.unwrap_err();
    let causes = std::iter::successors(Some(&error as &dyn Error), |error| (*error).source());
    let told: Vec<_> = causes.map(ToString::to_string).collect();
    assert!(told.iter().any(|why| why == "the log server is away"), "{told:?}");
    let (mut child, _) = start(folder.path());
    soon(async { while append().await.is_err() {} }).await;
    child.kill();
}

async fn check(folder: &Path, sure: &[Uuid], seen: &[Record]) {
    let stored = open(folder).read_all(Position(0), usize::MAX).await.unwrap();
    let mut verifier = ChainVerifier::new().without_gaps();
    let mut places: HashMap<Uuid, Position> = HashMap::new();
    for record in &stored {
        verifier.verify(record).unwrap();
        let twice = places.insert(record.id, record.position);
        assert_eq!(twice, None, "{} is there twice", record.id);
    }
    for id in sure {
        assert!(places.contains_key(id), "{id} was acknowledged and is not there");
    }
    assert_eq!(sure.len(), stored.len(), "nobody was left in doubt");
    assert!(seen == stored, "the subscription missed something");
}

/// What the child of [`a_killed_log_server_loses_nothing_it_acknowledged`] does.
#[tokio::test(flavor = "multi_thread")]
async fn child_serves() {
    let Some(folder) = Child::folder() else { return };
    let place = folder.join("address");
    let before = std::fs::read_to_string(&place).ok();
    let address = before.map_or_else(|| ([127, 0, 0, 1], 0).into(), |text| text.parse().unwrap());
    let listener = listen_again(address).await;
    let address = listener.local_addr().unwrap().to_string();
    std::fs::write(&place, &address).unwrap();
    let (clock, options) = (Arc::new(SystemClock), ServerOptions::default());
    let serving = server::serve(listener, open(&folder), clock, options, CancellationToken::new());
    Child::say(&address);
    serving.await.unwrap();
}
