//! A cache before readers that count how often they are asked.

use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use domain::event::Event;
use domain::{Aggregate, Time};
use futures::future::join_all;
use infra::clock::ManualClock;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, NewRecord};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::live::{Live, LiveLimits};

const TTL: Duration = Duration::from_secs(10);
const EVENT: EventId = EventId::from_u128(1);
const OTHER: EventId = EventId::from_u128(2);

fn wanted(of: Of, min: Option<u64>) -> Wanted {
    Wanted { key: format!("{of:?}"), of, min }
}

struct Stage {
    _folder: TempDir,
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    cache: Cache,
    stop: CancellationToken,
    reads: AtomicU64,
}

impl Stage {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path().join("log"), EmbeddedOptions::default());
        let (log, clock) = (Arc::new(log.unwrap()), Arc::new(ManualClock::new(Time::from_ms(0))));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let live = Live::start(log.clone(), LiveLimits::default(), &tasks, stop.clone());
        let limits = CacheLimits { ttl: TTL, ..CacheLimits::default() };
        let cache = Cache::new(limits, clock.clone(), live.changes());
        let stage = Self { _folder: folder, log, clock, cache, stop, reads: AtomicU64::new(0) };
        stage.until(|changes| changes.last(Of::Catalog).is_some()).await;
        stage
    }

    /// Waits until the cache has learned something of the log.
    async fn until(&self, learned: impl Fn(&Changes) -> bool) {
        let waiting = async {
            while !learned(&self.cache.0.changes) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it follows the log");
    }

    async fn change(&self, stream: &str) -> Position {
        let position = self.append(stream).await;
        self.until(|changes| changes.last(Of::Catalog) >= Some(position)).await;
        position
    }

    async fn append(&self, stream: &str) -> Position {
        let record = NewRecord {
            id: Uuid::from_u128(infra::ids::random_u128()),
            kind: "EventChanged".into(),
            version: 1,
            at: Time::from_ms(0),
            metadata: "{}".into(),
            data: Bytes::from_static(b"{}"),
        };
        self.log.append(stream, Expected::Any, vec![record]).await.unwrap().position
    }

    /// The number of the read that gave the value, by a view that is at `upto`.
    async fn get(&self, of: Of, min: Option<u64>, upto: u64) -> u64 {
        let read = async || {
            // Others may come meanwhile.
            tokio::task::yield_now().await;
            let number = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
            Ok((number, Some(upto.cast_signed())))
        };
        self.cache.get(&wanted(of, min), async || Ok(()), read).await.unwrap().0
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_value_is_good_until_what_it_shows_is_changed() {
    let stage = Stage::start().await;
    let (event, other) = (Of::Event(EVENT), Of::Event(OTHER));
    assert_eq!(stage.get(event, None, 0).await, 1);
    assert_eq!(stage.get(event, None, 0).await, 1);
    assert_eq!(stage.get(other, None, 0).await, 2);
    assert_eq!(stage.get(Of::Catalog, None, 0).await, 3);
    let changed = stage.change(&Event::stream(EVENT)).await.0;
    assert_eq!(stage.get(other, None, 0).await, 2);
    // The view is not there yet: what it gives is not good for the next one.
    assert_eq!(stage.get(event, None, 0).await, 4);
    assert_eq!(stage.get(event, None, changed).await, 5);
    assert_eq!(stage.get(event, None, changed).await, 5);
    assert_eq!(stage.get(Of::Catalog, None, changed).await, 6);
    // Every event shows its venue.
    let moved = stage.change("venue-1").await.0;
    assert_eq!(stage.get(other, None, moved).await, 7);
    assert_eq!(stage.get(event, None, moved).await, 8);
    // What has nothing to do with the catalog changes nothing.
    stage.append("inventory-1").await;
    stage.change(&Event::stream(OTHER)).await;
    assert_eq!(stage.get(event, None, moved).await, 8);
}

#[tokio::test]
async fn who_demands_a_position_gets_it() {
    let stage = Stage::start().await;
    let event = Of::Event(EVENT);
    assert_eq!(stage.get(event, None, 5).await, 1);
    assert_eq!(stage.get(event, Some(5), 5).await, 1);
    assert_eq!(stage.get(event, Some(6), 6).await, 2);
    assert_eq!(stage.get(event, None, 6).await, 2);
}

#[tokio::test]
async fn one_reader_reads_what_many_want() {
    let stage = Stage::start().await;
    let all = join_all((0..100).map(|_| stage.get(Of::Catalog, None, 0))).await;
    assert_eq!(all, vec![1; 100]);
}

#[tokio::test]
async fn two_readers_read_what_many_want_while_the_view_is_behind() {
    let stage = Stage::start().await;
    stage.change(&Event::stream(EVENT)).await;
    let all = join_all((0..100).map(|_| stage.get(Of::Catalog, None, 0))).await;
    // Who came after the first had begun may want what was not there then.
    assert!(all.iter().all(|number| [1, 2].contains(number)), "{all:?}");
    assert_eq!(stage.get(Of::Catalog, None, 0).await, 3);
}

#[tokio::test]
async fn one_reader_reads_an_ageing_value_anew_and_nobody_gets_a_dead_one() {
    let stage = Stage::start().await;
    let get = || stage.get(Of::Catalog, None, 0);
    assert_eq!(get().await, 1);
    stage.clock.advance_ms(5_900);
    assert_eq!(get().await, 1);
    stage.clock.advance_ms(3_200);
    let mut all = join_all((0..10).map(|_| get())).await;
    all.sort_unstable();
    assert_eq!(all, [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(get().await, 2);
    stage.clock.advance_ms(10_000);
    assert_eq!(get().await, 3);
}

#[tokio::test]
async fn an_ageing_value_is_better_than_none() {
    let stage = Stage::start().await;
    assert_eq!(stage.get(Of::Catalog, None, 0).await, 1);
    stage.clock.advance_ms(9_900);
    let (cache, wanted) = (&stage.cache, wanted(Of::Catalog, None));
    for _ in 0..2 {
        let fails = async || Err(Problem::invalid("x", "is not to be had"));
        let kept = cache.get::<u64>(&wanted, async || Ok(()), fails).await;
        assert_eq!(kept.unwrap().0, 1);
    }
    stage.clock.advance_ms(100);
    let fails = async || Err(Problem::invalid("x", "is not to be had"));
    assert!(cache.get::<u64>(&wanted, async || Ok(()), fails).await.is_err());
}

#[tokio::test]
async fn who_waits_for_what_is_to_come_keeps_nobody_waiting() {
    let stage = Stage::start().await;
    let (cache, wanted) = (&stage.cache, wanted(Of::Catalog, Some(1_000)));
    let never =
        cache.get::<u64>(&wanted, async || std::future::pending().await, async || Ok((0, None)));
    tokio::select! {
        biased;
        _ = never => unreachable!(),
        number = stage.get(Of::Catalog, None, 0) => assert_eq!(number, 1),
    }
}

#[tokio::test]
async fn before_the_log_is_followed_nothing_is_good() {
    let clock = Arc::new(ManualClock::new(Time::from_ms(0)));
    let cache = Cache::new(CacheLimits::default(), clock, Arc::default());
    for number in [1, 2] {
        let read = async || Ok((number, Some(9)));
        let got = cache.get(&wanted(Of::Catalog, None), async || Ok(()), read).await;
        assert_eq!(got.unwrap().0, number);
    }
}
