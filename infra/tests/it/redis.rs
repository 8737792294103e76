//! A cache that processes share, in a real Redis that comes and goes.

use std::time::{Duration, Instant};

use infra::redis::SharedCache;
use infra::redis::testing::Redis;
use tokio::net::TcpListener;

use crate::wait::until;

const LONG: Duration = Duration::from_secs(600);

/// One that answers, and what it is reached by.
async fn started() -> Option<(Redis, SharedCache)> {
    let redis = Redis::start()?;
    let cache = SharedCache::open(&redis.url()).unwrap();
    until("Redis says so", async || cache.is_up().await).await;
    Some((redis, cache))
}

#[tokio::test]
async fn what_one_process_puts_there_others_find_until_it_ends() {
    let Some((redis, one)) = started().await else { return };
    let other = SharedCache::open(&redis.url()).unwrap();
    until("Redis says so", async || other.is_up().await).await;
    assert_eq!(other.get("key").await, None);
    one.put("key", b"value\0", LONG).await;
    one.put("short", b"value", Duration::from_millis(1)).await;
    until("Redis says so", async || other.get("key").await.as_deref() == Some(b"value\0")).await;
    until("Redis says so", async || other.get("short").await.is_none()).await;
    assert_eq!(redis.tell(&["KEYS", "*"]), "evently:key");
}

#[tokio::test]
async fn one_that_dies_is_as_empty_and_one_that_comes_back_is_used() {
    let Some((mut redis, cache)) = started().await else { return };
    cache.put("key", b"value", LONG).await;
    redis.process.kill();
    assert!(!cache.is_up().await);
    assert_eq!(cache.get("key").await, None);
    cache.put("key", b"value", LONG).await;
    redis.restart();
    until("Redis says so", async || cache.is_up().await).await;
    until("Redis says so", async || {
        cache.put("key", b"again", LONG).await;
        cache.get("key").await.as_deref() == Some(b"again")
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_one_that_stands_still() {
    let Some((redis, cache)) = started().await else { return };
    cache.put("key", b"value", LONG).await;
    redis.process.freeze();
    // The first gives up, and then nobody asks: each would wait a tenth of a second.
    let asking = async {
        for _ in 0..10_000 {
            assert_eq!(cache.get("key").await, None);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("nobody waits");
    assert!(!cache.is_up().await);
    redis.process.thaw();
    until("Redis says so", async || cache.get("key").await.as_deref() == Some(b"value")).await;
}

#[tokio::test]
async fn it_is_told_why_one_is_not_there() {
    let Some((mut redis, cache)) = started().await else { return };
    assert_eq!(cache.trouble().await, None);
    assert_eq!(redis.tell(&["CONFIG", "SET", "requirepass", "secret"]), "OK");
    let wrong = redis.url().replace("redis://", "redis://:guessed@");
    let refused = SharedCache::open(&wrong).unwrap().trouble().await.unwrap();
    assert!(refused.contains("authentication failed"), "{refused}");
    assert!(!refused.contains("guessed"), "{refused}");
    redis.process.kill();
    let gone = SharedCache::open(&redis.url()).unwrap().trouble().await.unwrap();
    assert!(gone.contains("refused"), "{gone}");
}

#[tokio::test]
async fn one_that_refuses_is_as_empty_and_not_down() {
    let Some((redis, cache)) = started().await else { return };
    assert_eq!(redis.tell(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    cache.put("key", b"value", LONG).await;
    assert!(cache.is_up().await);
    assert_eq!(cache.get("key").await, None);
}

#[tokio::test]
async fn one_that_turns_everybody_away_is_asked_once_in_a_second() {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cache = SharedCache::open(&format!("redis://{}", door.local_addr().unwrap())).unwrap();
    let (begun, mut tries) = (Instant::now(), 0);
    while tries < 3 {
        tokio::select! {
            biased;
            visitor = door.accept() => {
                drop(visitor.unwrap());
                tries += 1;
            }
            // Asked all the time.
            up = cache.is_up() => assert!(!up),
        }
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn an_address_that_is_none_is_refused_without_being_repeated() {
    for wrong in ["", "localhost", "http://me:s3cret@host", "redis://me:s3cret@host:port"] {
        let error = SharedCache::check(wrong).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
    for right in ["redis://host", "redis://me:s3cret@host:6380/2", "rediss://host"] {
        SharedCache::check(right).unwrap();
    }
}
