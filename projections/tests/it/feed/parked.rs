//! A record of which nothing can be told, and what follows it, in a real Kafka.

use std::sync::Arc;
use std::time::Duration;

use infra::clock::SystemClock;
use infra::kafka::testing::Broker;
use infra::kafka::{Kafka, Link, TopicSettings};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, NewRecord, Position};
use infra::postgres::testing;
use projections::Projections;
use projections::feed::{Feed, ReplayError, Topic};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::stored;

const STREAM: &str = "inventory-evt_01jd55pv3xft7r28t5cy4tqk80";

/// One more record; where it is.
async fn append(log: &EmbeddedLog, number: u128, kind: &'static str, data: &[u8]) -> Position {
    let record = NewRecord {
        id: Uuid::from_u128(number),
        kind: kind.into(),
        version: 1,
        at: domain::Time::from_ms(1_811_878_200_001),
        metadata: "{}".into(),
        data: data.to_vec().into(),
    };
    log.append(STREAM, Expected::Any, vec![record]).await.unwrap().position
}

/// An offer of so many places, each in a line of its own, that brokers would not take the message of it.
fn offer_of_very_many() -> Vec<u8> {
    let all = stored("inventory");
    let (_, offer) = all.iter().find(|(name, _)| name.contains("Offered-1-most")).unwrap();
    let mut offer: Value = serde_json::from_slice(offer).unwrap();
    offer["lines"] = vec![offer["lines"][0].clone(); 20_000].into();
    serde_json::to_vec(&offer).unwrap()
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_is_parked_and_what_follows_is_told() {
    let Some(postgres) = testing::server() else { return };
    let Some(broker) = Broker::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path().join("log.sqlite"), EmbeddedOptions::default());
    let log = Arc::new(log.unwrap());
    let reserved =
        stored("inventory").into_iter().find(|(name, _)| name.contains("Reserved-1-most"));
    let (_, reserved) = reserved.unwrap();
    append(&log, 1, "Reserved", &reserved).await;
    let poison = append(&log, 2, "Reserved", b"{}").await;
    let unknown = append(&log, 3, "Rebooked", b"{}").await;
    append(&log, 5, "Offered", &offer_of_very_many()).await;
    let last = append(&log, 4, "Reserved", &reserved).await;

    let settings = TopicSettings { partitions: 2, replication: None };
    let feed = Feed::new(Kafka::open(&broker.address(), &Link::default(), settings).unwrap());
    let projections = Projections::new(log.clone(), postgres.pool(4).await, Arc::new(SystemClock));
    let projections = projections.with_views(&[]).with_feed(Some(feed.clone()));
    let early = projections.replay_feed(Position(1)).await.unwrap_err();
    assert!(matches!(early, ReplayError::Ahead { position: 0 }), "{early:?}");
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    projections.start(&tasks, &stop);
    let reached = projections.reach_by_feed(last);
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("in time").unwrap();
    let ids = || -> Vec<String> {
        let told = broker.read(Topic::Booking.name());
        told.into_iter().map(|message| message.headers["ce_id"].clone()).collect()
    };
    let once = [1, 4].map(|number| format!("{}/booking", Uuid::from_u128(number)));
    assert_eq!(ids(), once);
    // What else is to be told of a record is told, though one message of it is too large.
    let waiting = broker.read(Topic::Waitlist.name());
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].headers["ce_id"], format!("{}/waitlist", Uuid::from_u128(5)));
    let status = projections.feed_status().await.unwrap();
    assert_eq!(
        (status.following.lag_records, status.following.parked, status.problem),
        (0, 3, None)
    );
    let first = status.following.first_parked.unwrap();
    assert_eq!((first.position, &*first.kind), (poison.0, "Reserved"));

    // It may be that the program was mended, or that a reader lost something.
    let replayed = projections.replay_feed(poison).await.unwrap();
    assert_eq!((replayed.from, replayed.position), (poison.0, last.0));
    until(async || ids().len() == 3).await;
    assert_eq!(ids()[2], once[1]);
    until(async || projections.feed_status().await.unwrap().following.parked == 3).await;
    projections.replay_feed(Position(0)).await.unwrap();
    until(async || ids().len() == 5).await;
    assert_eq!(ids()[3..], once);
    let status = projections.feed_status().await.unwrap();
    assert_eq!(status.following.first_parked.unwrap().position, poison.0);
    assert!(unknown > poison);
    assert_eq!(feed.sent()[0], (Topic::Booking, 5));
    assert_eq!(feed.failures(), 0);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    log.close().await;
}
