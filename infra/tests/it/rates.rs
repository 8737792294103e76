//! Requests that several processes count together, in a real Redis that comes and goes.

use std::sync::Arc;
use std::time::Instant;

use infra::clock::SystemClock;
use infra::limits::{RateLimits, Rates};
use infra::redis::SharedCache;
use infra::redis::testing::Redis;

use crate::wait::until;

/// Tries with an account in a minute, one more each quarter of a second.
const RATE: u32 = 240;

/// Two processes, and the moment at which they have all to give.
struct Two {
    redis: Redis,
    nodes: [RateLimits; 2],
    begun: Instant,
}

impl Two {
    async fn start() -> Option<Self> {
        let redis = Redis::start()?;
        let node = async || {
            let cache = SharedCache::open(&redis.url()).unwrap();
            until("Redis answers", async || cache.is_up().await).await;
            let rates = Rates { account: RATE, ..Rates::default() };
            RateLimits::shared(rates, Arc::new(SystemClock), cache)
        };
        let nodes = [node().await, node().await];
        Some(Self { redis, nodes, begun: Instant::now() })
    }

    /// Asks a node until it refuses; how often it did not.
    fn exhaust(&self, node: usize, account: &str) -> u32 {
        (0..).take_while(|_| self.nodes[node].ask_account(account).is_ok()).count() as u32
    }

    /// What came back by waiting, since the start, and one for what is just coming.
    fn paid_off(&self) -> u32 {
        self.begun.elapsed().as_millis() as u32 * RATE / 60_000 + 1
    }

    /// The first node grants all it has, and the second, told of it, nothing but what came back.
    async fn share(&self, account: &str) -> bool {
        let first = self.exhaust(0, account);
        assert!(first >= RATE, "{first}");
        self.nodes[0].exchange().await;
        // A node learns of those who ask it.
        assert!(self.nodes[1].ask_account(account).is_ok());
        self.nodes[1].exchange().await;
        let second = self.exhaust(1, account);
        second <= self.paid_off()
    }
}

#[tokio::test]
async fn what_one_process_granted_another_does_not_grant_again() {
    let Some(two) = Two::start().await else { return };
    assert!(two.share("ada@example.org").await);
    // Others have theirs.
    assert!(two.exhaust(1, "eve@example.org") >= RATE);
    // Nobody is found in Redis by name, and all is forgotten when it is paid off.
    let keys = two.redis.tell(&["KEYS", "*"]);
    assert!(keys.contains("evently:limit:account:"), "{keys}");
    for key in keys.lines().filter(|key| key.contains("limit:")) {
        assert!(!key.contains("example"), "{key}");
        let left_ms: i64 = two.redis.tell(&["PTTL", key]).parse().unwrap();
        assert!((1..=61_000).contains(&left_ms), "{left_ms}");
    }
}

#[tokio::test]
async fn what_both_granted_before_they_knew_has_to_be_paid_off() {
    let Some(two) = Two::start().await else { return };
    let granted = two.exhaust(0, "ada@example.org") + two.exhaust(1, "ada@example.org");
    assert!(granted >= 2 * RATE);
    for node in [0, 1, 0] {
        two.nodes[node].exchange().await;
    }
    // It would grant again after a quarter of a second if it had not been told.
    assert!(two.nodes[0].ask_account("ada@example.org").is_err());
    let owed = two.redis.tell(&["KEYS", "evently:limit:*"]);
    let left_ms: i64 = two.redis.tell(&["PTTL", &owed]).parse().unwrap();
    assert!((61_000..=125_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn a_redis_that_stands_still_or_dies_changes_nothing_but_sharing() {
    let Some(mut two) = Two::start().await else { return };
    two.redis.process.freeze();
    // Nobody waits for it, and each grants what it would alone.
    for node in [0, 1] {
        assert!(two.exhaust(node, "frozen@example.org") >= RATE);
        two.nodes[node].exchange().await;
    }
    two.redis.process.thaw();
    let number = std::cell::Cell::new(0);
    let shares_again = async |two: &Two| {
        number.set(number.get() + 1);
        two.share(&format!("{}@example.org", number.get())).await
    };
    until("they share again", async || shares_again(&two).await).await;
    two.redis.process.kill();
    for node in [0, 1] {
        assert!(two.exhaust(node, "gone@example.org") >= RATE);
        two.nodes[node].exchange().await;
    }
    two.redis.restart();
    until("they share what is empty", async || shares_again(&two).await).await;
}
