//! What browsing reads, kept for a short time: in this process, and in Redis for all of them.
//!
//! A value is good as long as it is young and nothing it shows was changed since it was read. Each
//! process knows what was changed from the log itself, and each value says up to which position the
//! view had been when it was read. So a value can be taken from anybody, also from a cache that missed
//! every change: nothing is served that this process knows to have changed, and a reader who demands a
//! position (OP-4) gets a value that includes it.
//!
//! One reader at a time reads what is missing, the others wait for it (single flight); a value that
//! nears its end is read anew by one reader while the others still get it (early refresh), each
//! process at an age of its own, so that processes do not come all at once.

mod changes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::EventId;
use infra::clock::Clock;
use infra::http::Problem;
use infra::log::Position;
use infra::metrics::{CacheRead, METRICS};
use infra::redis::SharedCache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

pub(crate) use changes::Changes;

/// How long a reader who has an ageing value waits for a new one.
const REFRESH: Duration = Duration::from_secs(1);
/// How long the lock of a key is remembered that nobody asks for.
const FLIGHT: Duration = Duration::from_secs(60);
const FLIGHTS: u64 = 10_000;

/// What the cache may take.
#[derive(Debug, Clone)]
pub struct CacheLimits {
    /// How long a value is good at most; zero keeps nothing.
    pub ttl: Duration,
    /// About how many bytes the values in memory may take.
    pub bytes: u64,
    /// Shared with other processes, if there is one.
    pub shared: Option<SharedCache>,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10), bytes: 64 << 20, shared: None }
    }
}

/// What a value shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// One event, and its venue.
    Event(EventId),
    /// Any event or venue.
    Catalog,
}

/// What somebody wants to read.
pub(crate) struct Wanted {
    /// The same for all who want the same, whoever they are.
    pub(crate) key: String,
    pub(crate) of: Of,
    /// What it has to include.
    pub(crate) min: Option<u64>,
}

/// What was read, and how far the view was then.
pub(crate) type Read<T> = (T, Option<i64>);

/// The cache. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Cache(Arc<Inner>);

struct Inner {
    limits: CacheLimits,
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
    /// The age from which on this process reads anew.
    early: Duration,
    values: moka::sync::Cache<String, Arc<Value>>,
    /// Who reads what is missing holds the lock.
    flights: moka::sync::Cache<String, Arc<tokio::sync::Mutex<()>>>,
}

struct Value {
    stored: Stored,
    /// When this process began to read it, if it did.
    begun: Option<Instant>,
    /// Somebody reads it anew.
    refreshing: AtomicBool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    /// What the view had when it was read.
    upto: u64,
    read_at_ms: i64,
    /// JSON.
    value: Box<RawValue>,
}

/// What is in memory.
enum Found<T> {
    Young(Read<T>),
    /// Good, but to be read anew by somebody.
    Ageing(Arc<Value>, Read<T>),
    Nothing,
}

impl Cache {
    pub(crate) fn new(limits: CacheLimits, clock: Arc<dyn Clock>, changes: Arc<Changes>) -> Self {
        let size = |key: &String, value: &Arc<Value>| {
            let bytes = key.len() + value.stored.value.get().len() + 200;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let values = moka::sync::Cache::builder()
            .max_capacity(limits.bytes)
            .weigher(size)
            .time_to_live(limits.ttl.max(Duration::from_millis(1)))
            .build();
        let flights =
            moka::sync::Cache::builder().max_capacity(FLIGHTS).time_to_idle(FLIGHT).build();
        let percent = 60 + (infra::ids::random_u128() % 30) as u32;
        let early = limits.ttl * percent / 100;
        Self(Arc::new(Inner { limits, clock, changes, early, values, flights }))
    }

    /// The value that is wanted, or what `read` finds. `ready` says whether it makes sense to read,
    /// and waits until it does: nobody else waits meanwhile.
    ///
    /// # Errors
    /// Those of `ready` and `read`.
    pub(crate) async fn get<T: Serialize + DeserializeOwned>(
        &self,
        wanted: &Wanted,
        ready: impl AsyncFnOnce() -> Result<(), Problem>,
        read: impl AsyncFnOnce() -> Result<Read<T>, Problem>,
    ) -> Result<Read<T>, Problem> {
        let Some(needed) = self.needed(wanted) else {
            ready().await?;
            return read().await;
        };
        match self.find(&wanted.key, needed) {
            Found::Young(found) => Ok(told(found, CacheRead::Memory)),
            Found::Ageing(value, found) => {
                if value.refreshing.swap(true, Ordering::Relaxed) {
                    return Ok(told(found, CacheRead::Memory));
                }
                let new = timeout(REFRESH, self.fly(wanted, needed, read)).await;
                Ok(match new {
                    Ok(Ok(new)) => new,
                    _ => {
                        // What there is, is good.
                        value.refreshing.store(false, Ordering::Relaxed);
                        told(found, CacheRead::Memory)
                    }
                })
            }
            Found::Nothing => {
                ready().await?;
                self.fly(wanted, needed, read).await
            }
        }
    }

    /// What a good value includes; `None` if there is none.
    fn needed(&self, wanted: &Wanted) -> Option<Position> {
        let changed = self.0.changes.last(wanted.of)?;
        let keeps = !self.0.limits.ttl.is_zero();
        keeps.then(|| changed.max(Position(wanted.min.unwrap_or(0))))
    }

    /// Reads what is missing, or waits for somebody who does.
    async fn fly<T: Serialize + DeserializeOwned>(
        &self,
        wanted: &Wanted,
        needed: Position,
        read: impl AsyncFnOnce() -> Result<Read<T>, Problem>,
    ) -> Result<Read<T>, Problem> {
        let (key, came) = (wanted.key.as_str(), Instant::now());
        let flight = self.0.flights.get_with(key.to_owned(), Arc::default);
        let _landed = flight.lock().await;
        if let Found::Young(found) = self.find(key, needed) {
            return Ok(told(found, CacheRead::Memory));
        }
        if let Some(found) = self.read_since(came, wanted) {
            return Ok(told(found, CacheRead::Memory));
        }
        if let Some(found) = self.shared(key, needed).await {
            return Ok(told(found, CacheRead::Shared));
        }
        let begun = Instant::now();
        let (value, upto) = read().await?;
        if let Some(upto) = upto {
            self.keep(key, &value, upto.cast_unsigned(), begun);
        }
        Ok(told((value, upto), CacheRead::View))
    }

    /// What somebody read while this reader waited: to read it again would give the same, also where
    /// the view is not as far as the log.
    fn read_since<T: DeserializeOwned>(&self, came: Instant, wanted: &Wanted) -> Option<Read<T>> {
        let value = self.0.values.get(&wanted.key)?;
        let is_new = value.begun.is_some_and(|begun| begun >= came);
        let is_enough = wanted.min.is_none_or(|min| value.stored.upto >= min);
        (is_new && is_enough).then(|| value.stored.decode())?
    }

    fn find<T: DeserializeOwned>(&self, key: &str, needed: Position) -> Found<T> {
        let Some(value) = self.0.values.get(key) else { return Found::Nothing };
        let age = self.age(&value.stored);
        if value.stored.upto < needed.0 || age >= self.0.limits.ttl {
            return Found::Nothing;
        }
        match value.stored.decode() {
            Some(found) if age < self.0.early => Found::Young(found),
            Some(found) => Found::Ageing(value, found),
            None => Found::Nothing,
        }
    }

    /// A good and young value that another process read.
    async fn shared<T: DeserializeOwned>(&self, key: &str, needed: Position) -> Option<Read<T>> {
        let shared = self.0.limits.shared.as_ref()?;
        let found = shared.get(&self.shared_key(key)?).await?;
        let stored: Stored = serde_json::from_slice(&found).ok()?;
        if stored.upto < needed.0 || self.age(&stored) >= self.0.early {
            return None;
        }
        let decoded = stored.decode()?;
        self.insert(key, stored, None);
        Some(decoded)
    }

    fn keep<T: Serialize>(&self, key: &str, value: &T, upto: u64, begun: Instant) {
        let Ok(value) = serde_json::value::to_raw_value(value) else { return };
        let stored = Stored { upto, read_at_ms: self.0.clock.now().as_ms(), value };
        if let (Some(shared), Some(shared_key), Ok(text)) =
            (&self.0.limits.shared, self.shared_key(key), serde_json::to_vec(&stored))
        {
            // Nobody waits for it.
            let (shared, ttl) = (shared.clone(), self.0.limits.ttl);
            tokio::spawn(async move { shared.put(&shared_key, &text, ttl).await });
        }
        self.insert(key, stored, Some(begun));
    }

    fn insert(&self, key: &str, stored: Stored, begun: Option<Instant>) {
        let value = Value { stored, begun, refreshing: AtomicBool::new(false) };
        self.0.values.insert(key.to_owned(), Arc::new(value));
    }

    /// Programs of other versions and with other logs may use the same Redis.
    fn shared_key(&self, key: &str) -> Option<String> {
        let log = self.0.changes.log()?;
        Some(format!("catalog:{}:{log:016x}:{key}", env!("CARGO_PKG_VERSION")))
    }

    fn age(&self, stored: &Stored) -> Duration {
        // The clock of another machine may be ahead.
        let age_ms = self.0.clock.now().as_ms().saturating_sub(stored.read_at_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
    }
}

fn told<T>(found: Read<T>, from: CacheRead) -> Read<T> {
    METRICS.cache(from);
    found
}

impl Stored {
    fn decode<T: DeserializeOwned>(&self) -> Option<Read<T>> {
        let value = serde_json::from_str(self.value.get()).ok()?;
        Some((value, Some(self.upto.cast_signed())))
    }
}

#[cfg(test)]
mod tests;
