//! What processes share if they can: values that end by themselves, and counts of requests, in Redis.
//!
//! Nothing depends on it. A Redis that is away, slow, or has forgotten everything is as one that has
//! nothing: nobody waits longer for it than a tenth of a second, and after a failure nobody asks it for a
//! second.

#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, Cmd, FromRedisValue, RedisError, cmd};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest wait for a connection, which nobody waits for.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long somebody waits who only wants to know whether it answers.
const CHECK_PATIENCE: Duration = Duration::from_secs(1);
/// After a failure, until it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// All keys begin with this: the server may have others.
const PREFIX: &str = "evently:";

/// The text is no address of a Redis. It may hold a password, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address like redis://user:password@host:6379/0 or rediss://host")]
pub struct AddressError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it does not answer in time")]
    Late,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Values shared by processes, perhaps. Cloning shares the connection.
#[derive(Clone)]
pub struct SharedCache(Arc<Inner>);

struct Inner {
    client: Client,
    state: Mutex<State>,
    /// An attempt to connect has ended.
    tried: Notify,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Nobody is to ask before.
    retry_at: Option<Instant>,
    is_connecting: bool,
    /// Why it does not answer, as long as it does not; told once.
    trouble: Option<String>,
}

impl SharedCache {
    /// Prepares to use the Redis at `url`. It is connected to when it is needed.
    ///
    /// # Errors
    /// The text is no such address.
    pub fn open(url: &str) -> Result<Self, AddressError> {
        crate::log::use_one_tls_provider();
        let client = Client::open(url).map_err(|_| AddressError)?;
        let (state, tried) = (Mutex::default(), Notify::new());
        Ok(Self(Arc::new(Inner { client, state, tried })))
    }

    /// Whether `url` is an address that [`SharedCache::open`] takes.
    ///
    /// # Errors
    /// It is not.
    pub fn check(url: &str) -> Result<(), AddressError> {
        Client::open(url).map(|_| ()).map_err(|_| AddressError)
    }

    /// What is under `key`, if that can be had.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
        let mut get = cmd("GET");
        get.arg(format!("{PREFIX}{key}"));
        self.ask::<Option<Vec<u8>>>(get).await.flatten().map(Bytes::from)
    }

    /// Puts a value under `key` for `ttl`, if that can be done.
    pub async fn put(&self, key: &str, value: &[u8], ttl: Duration) {
        let mut set = cmd("SET");
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        set.arg(format!("{PREFIX}{key}")).arg(value).arg("PX").arg(ttl_ms);
        self.ask::<()>(set).await;
    }

    /// What a script answers to keys and arguments, if that can be had.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Option<T> {
        let mut eval = cmd("EVAL");
        eval.arg(script).arg(keys.len());
        for key in keys {
            eval.arg(format!("{PREFIX}{key}"));
        }
        eval.arg(arguments);
        self.ask(eval).await
    }

    /// Whether it answers, within a second.
    pub async fn is_up(&self) -> bool {
        let asked = async {
            loop {
                let tried = self.0.tried.notified();
                if self.connection().is_some() {
                    return self.ask::<String>(cmd("PING")).await.is_some();
                }
                if !self.0.state.lock().is_connecting {
                    return false;
                }
                tried.await;
            }
        };
        timeout(CHECK_PATIENCE, asked).await.unwrap_or(false)
    }

    /// Why it does not answer, if it does not within a second.
    pub async fn trouble(&self) -> Option<String> {
        if self.is_up().await {
            return None;
        }
        let trouble = self.0.state.lock().trouble.clone();
        Some(trouble.unwrap_or_else(|| "it does not answer as it should".to_owned()))
    }

    async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Option<T> {
        let mut connection = self.connection()?;
        let answer = timeout(PATIENCE, command.query_async(&mut connection)).await;
        match answer.map_err(|_| Failure::Late).and_then(|answer| Ok(answer?)) {
            Ok(answer) => {
                self.0.works();
                Some(answer)
            }
            // It answers: that it does not want to.
            Err(Failure::Redis(error)) if !error.is_unrecoverable_error() => {
                tracing::debug!(%error, "Redis refuses");
                None
            }
            Err(failure) => {
                self.0.fails(&failure);
                None
            }
        }
    }

    /// The connection. Without one somebody is sent for it, and nobody waits.
    fn connection(&self) -> Option<MultiplexedConnection> {
        let mut state = self.0.state.lock();
        let is_paused = state.retry_at.is_some_and(|at| Instant::now() < at);
        if state.connection.is_some() || is_paused || state.is_connecting {
            return state.connection.clone();
        }
        state.is_connecting = true;
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let made = timeout(CONNECT_PATIENCE, inner.client.get_multiplexed_async_connection());
            let made = made.await.map_err(|_| Failure::Late).and_then(|made| Ok(made?));
            match made {
                Ok(connection) => inner.state.lock().connection = Some(connection),
                Err(failure) => inner.fails(&failure),
            }
            inner.state.lock().is_connecting = false;
            inner.tried.notify_waiters();
        });
        None
    }
}

impl Inner {
    fn works(&self) {
        if self.state.lock().trouble.take().is_some() {
            tracing::info!("Redis answers again");
        }
    }

    fn fails(&self, failure: &Failure) {
        let mut state = self.state.lock();
        state.connection = None;
        state.retry_at = Some(Instant::now() + PAUSE);
        if state.trouble.replace(failure.to_string()).is_none() {
            let error: &dyn std::error::Error = failure;
            tracing::warn!(error, "Redis does not answer; each process goes on by itself");
        }
    }
}

impl std::fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedCache").finish_non_exhaustive()
    }
}
