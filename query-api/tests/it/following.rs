//! Keeping up with the log: hand-over, eviction, and facts that break a rule.

use std::sync::Arc;

use axum::http::StatusCode;
use infra::log::{Expected, Log};
use query_api::LiveLimits;

use crate::facts::{Story, places, standing};
use crate::world::{World, eventually, record};

/// A record applied twice is a booking made twice, and one left out is a booking confirmed that
/// was never held: both are counted as violations. Only a few of the events find room, so that they
/// are loaded over and over while they are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_missed_or_counted_twice_while_events_are_loaded() {
    const EVENTS: u128 = 12;
    const BOOKINGS: u64 = 100;
    let limits = LiveLimits { events: 3, folds: 12, ..LiveLimits::default() };
    let world = Arc::new(World::with_limits(limits).await);
    let writers = (1..=EVENTS).map(|number| {
        let (world, story) = (Arc::clone(&world), Story::of(number));
        tokio::spawn(async move {
            world.append(&story.stream(), &[story.opened(vec![standing(1_000)])]).await;
            for number in 1..=BOOKINGS {
                let facts = [story.reserved(number, places(1)), story.confirmed(number, places(1))];
                world.append(&story.stream(), &facts).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let readers = (1..=EVENTS).map(|number| {
        let (world, story) = (Arc::clone(&world), Story::of(number));
        tokio::spawn(async move {
            let mut sold = 0;
            while sold < BOOKINGS {
                let answer = world.get(&story.path("availability")).await;
                // An answer from memory waits for nothing, and others want the thread.
                tokio::task::yield_now().await;
                if answer.status == StatusCode::NOT_FOUND {
                    assert_eq!(sold, 0, "it was there before");
                    continue;
                }
                let now = answer.ok()["sold"].as_u64().unwrap();
                assert!(now >= sold, "from {sold} sold to {now}");
                sold = now;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for task in writers.into_iter().chain(readers) {
        tokio::time::timeout(std::time::Duration::from_secs(60), task).await.unwrap().unwrap();
    }
    assert_eq!(world.stats().violations, 0);
}

#[tokio::test]
async fn events_nobody_asks_for_make_room_and_come_back_right() {
    let world = World::with_limits(LiveLimits { events: 8, ..LiveLimits::default() }).await;
    let stories: Vec<Story> = (1..=50).map(Story::of).collect();
    for story in &stories {
        let facts = [story.opened(vec![standing(5)]), story.reserved(1, places(1))];
        world.append(&story.stream(), &facts).await;
    }
    for story in &stories {
        assert_eq!(world.get(&story.path("availability")).await.ok()["held"], 1);
        // Asked for all the time, it stays.
        world.get(&stories[0].path("availability")).await.ok();
        eventually(async || (world.stats().events <= 8).then_some(())).await;
    }
    assert!(world.stats().bytes > 0);
    for story in &stories {
        let position = world.append(&story.stream(), &[story.reserved(2, places(2))]).await;
        assert_eq!(world.get_at(&story.path("availability"), position).await.ok()["held"], 3);
    }
    assert_eq!(world.stats().violations, 0);
}

#[tokio::test]
async fn memory_is_bounded_by_bytes_too() {
    let world = World::with_limits(LiveLimits { bytes: 64 << 10, ..LiveLimits::default() }).await;
    for number in 1..=40 {
        let story = Story::of(number);
        world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
        world.get(&story.path("availability")).await.ok();
        eventually(async || (world.stats().bytes <= 64 << 10).then_some(())).await;
    }
    assert!((1..40).contains(&world.stats().events), "{:?}", world.stats());
}

#[tokio::test]
async fn a_fact_that_breaks_a_rule_is_counted_and_the_rest_goes_on() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let mut facts = vec![story.opened(vec![standing(2)]), story.reserved(1, places(3))];
    world.append(&story.stream(), &facts).await;
    // Once while loading...
    let left = world.get(&story.path("availability")).await.ok();
    assert_eq!((left["held"].as_u64(), left["available"].as_u64()), (Some(3), Some(0)));
    assert_eq!(world.stats().violations, 1);
    // ... and once while following.
    facts = vec![story.reserved(1, places(1)), story.expired(1, places(3))];
    let position = world.append(&story.stream(), &facts).await;
    assert_eq!(world.get_at(&story.path("availability"), position).await.ok()["available"], 2);
    assert_eq!(world.stats().violations, 2);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_counted_and_the_rest_goes_on() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let now = "2027-01-10T12:00:00Z".parse().unwrap();
    let mut foreign = record(&story.reserved(1, places(1)), now);
    foreign.version = 99;
    let records = vec![record(&story.opened(vec![standing(2)]), now), foreign];
    world.log.append(&story.stream(), Expected::NoStream, records).await.unwrap();
    assert_eq!(world.get(&story.path("availability")).await.ok()["available"], 2);
    assert_eq!(world.stats().undecodable, 1);
}

#[tokio::test]
async fn its_tasks_end_when_the_process_stops() {
    let world = World::without_database().await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(2)])]).await;
    world.get(&story.path("availability")).await.ok();
    world.stop.cancel();
    world.tasks.close();
    tokio::time::timeout(std::time::Duration::from_secs(10), world.tasks.wait()).await.unwrap();
}
