//! Clients that are made when they are needed, and anew when they are dead.

use std::sync::{Arc, Weak};
use std::time::Duration;

use eventstore::{Client, ClientSettings};
use parking_lot::Mutex as Lock;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::EventStoreOptions;
use super::cause::{self, NoConnection};
use super::error::{EventStoreError, OpenError, Trace};
use super::nodelay::{self, Sockets};
use super::reach::Reach;
use super::read::see_end;

/// Calls at the same time over one connection. Servers take about 100.
const CALLS: usize = 80;

/// Between two attempts: first, and at most.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Reads the address of a server or a cluster.
pub(super) fn settings(url: &str) -> Result<ClientSettings, OpenError> {
    let mut url = url.to_owned();
    // The client waits this long before it connects at all.
    if !url.to_lowercase().contains("discoveryinterval=") {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str("discoveryInterval=50");
    }
    url.parse().map_err(|_| OpenError)
}

/// Pauses that grow.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(PAUSE)
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = LONGEST_PAUSE.min(self.0 * 2);
    }
}

/// One connection to the server, made when it is needed.
pub(super) struct Connection {
    settings: ClientSettings,
    made: Mutex<Option<Arc<Client>>>,
    sockets: Lock<Sockets>,
    /// Why it did not come about, when that was looked into last.
    cause: Mutex<Option<(Instant, Option<Arc<NoConnection>>)>>,
}

impl Connection {
    pub(super) fn new(settings: ClientSettings) -> Self {
        let (made, cause, sockets) = (Mutex::default(), Mutex::default(), Sockets::new());
        Self { settings, made, sockets: Lock::new(sockets), cause }
    }

    /// To be called when something came over the connection that was asked for at `asked`.
    pub(super) fn works(&self, asked: Instant) {
        if self.sockets.lock().are_to_be_seen_to(asked, Instant::now()) {
            // A process may have thousands of sockets.
            tokio::task::spawn_blocking(nodelay::send_at_once);
        }
    }

    pub(super) async fn client(&self) -> Result<Arc<Client>, EventStoreError> {
        let mut made = self.made.lock().await;
        if let Some(client) = &*made {
            return Ok(Arc::clone(client));
        }
        let (settings, runtime) = (self.settings.clone(), tokio::runtime::Handle::current());
        // It reads the machine's certificates.
        let make = move || Client::with_runtime_handle(runtime, settings);
        let client = match tokio::task::spawn_blocking(make).await {
            Ok(Ok(client)) => Arc::new(client),
            Ok(Err(error)) => {
                return Err(EventStoreError::Unreachable(Arc::from(Box::<
                    dyn std::error::Error + Send + Sync,
                >::from(error))));
            }
            Err(error) => return Err(EventStoreError::Unreachable(Arc::new(error))),
        };
        *made = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Gives the client up if the error says that it will not work again.
    ///
    /// A client that had a connection once leaves some memory behind when it is given up. One of a
    /// single server finds back by itself, so only those are given up that have to be.
    pub(super) async fn judge(&self, client: &Arc<Client>, error: &EventStoreError) {
        if error.trace() == Trace::NoneEver {
            return;
        }
        // It may connect again by itself.
        self.sockets.lock().may_be_new();
        let is_cluster =
            self.settings.hosts().len() > 1 || self.settings.is_dns_discovery_enabled();
        let is_lost = match error {
            EventStoreError::TimedOut(_) => is_cluster,
            EventStoreError::Failed(failed) => {
                error.is_of_dead_client()
                    || is_cluster && matches!(**failed, eventstore::Error::ServerError(_))
            }
            _ => false,
        };
        if is_lost {
            let mut made = self.made.lock().await;
            // Somebody else may have made a new one meanwhile.
            if made.as_ref().is_some_and(|made| Arc::ptr_eq(made, client)) {
                *made = None;
            }
        }
    }

    /// The same error, with its cause if no connection came about and it can be found.
    pub(super) async fn explained(&self, error: EventStoreError) -> EventStoreError {
        let EventStoreError::Failed(failed) = &error else { return error };
        if !matches!(**failed, eventstore::Error::GrpcConnectionError(_)) {
            return match cause::of_answer(&self.settings, failed) {
                Some(cause) => EventStoreError::Address(Arc::new(cause)),
                None => error,
            };
        }
        let mut found = self.cause.lock().await;
        if found.as_ref().is_none_or(|(at, _)| at.elapsed() > LONGEST_PAUSE) {
            let settings = self.settings.clone();
            let cause = tokio::task::spawn_blocking(move || cause::find(&settings)).await;
            *found = Some((Instant::now(), cause.ok().flatten().map(Arc::new)));
        }
        match &*found {
            Some((_, Some(cause))) => EventStoreError::Unreachable(cause.clone()),
            _ => error,
        }
    }
}

/// A connection for calls that end.
pub(super) struct Lane {
    connection: Arc<Connection>,
    calls: Arc<Semaphore>,
    options: EventStoreOptions,
    reach: Arc<Reach>,
}

impl Lane {
    pub(super) fn new(
        settings: ClientSettings,
        options: EventStoreOptions,
        reach: &Arc<Reach>,
    ) -> Self {
        let connection = Arc::new(Connection::new(settings));
        let (calls, reach) = (Arc::new(Semaphore::new(CALLS)), Arc::clone(reach));
        Self { connection, calls, options, reach }
    }

    /// One attempt, which takes no longer than it may.
    ///
    /// On a task of its own: it has one of the calls that there can be, and gives it back also when
    /// nobody looks at the future meanwhile.
    pub(super) async fn attempt<T, C>(
        &self,
        call: impl FnOnce(Arc<Client>) -> C + Send + 'static,
    ) -> Result<T, EventStoreError>
    where
        T: Send + 'static,
        C: Future<Output = Result<T, EventStoreError>> + Send + 'static,
    {
        let (connection, calls) = (Arc::clone(&self.connection), Arc::clone(&self.calls));
        let (reach, limit) = (Arc::clone(&self.reach), self.options.attempt);
        let attempt = tokio::spawn(async move {
            // It is never closed.
            let _call = calls.acquire().await;
            reach.check()?;
            let asked = Instant::now();
            let outcome = attempt(&connection, &reach, limit, call).await;
            if let Err(error) = &outcome
                && (reach.failed(error, asked, Instant::now()) || error.is_of_another())
            {
                tokio::spawn(probe(Arc::downgrade(&connection), Arc::clone(&reach), limit));
            }
            outcome
        });
        let ended = AbortOnDropHandle::new(attempt).await;
        ended.unwrap_or_else(|error| Err(EventStoreError::Crashed(Arc::new(error))))
    }

    /// Attempts, until one succeeds or fails for good, or patience ends.
    pub(super) async fn read<T, C>(
        &self,
        call: impl Fn(Arc<Client>) -> C + Clone + Send + 'static,
    ) -> Result<T, EventStoreError>
    where
        T: Send + 'static,
        C: Future<Output = Result<T, EventStoreError>> + Send + 'static,
    {
        let deadline = self.deadline();
        let mut pauses = Pauses::new();
        loop {
            match self.attempt(call.clone()).await {
                Err(error) if error.trace() != Trace::NoneEver && Instant::now() < deadline => {
                    pauses.pause().await;
                }
                outcome => return outcome,
            }
        }
    }

    /// When patience ends, for what begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.options.patience
    }
}

/// One attempt, whatever is known of the server.
async fn attempt<T, C>(
    connection: &Connection,
    reach: &Reach,
    limit: Duration,
    call: impl FnOnce(Arc<Client>) -> C,
) -> Result<T, EventStoreError>
where
    C: Future<Output = Result<T, EventStoreError>>,
{
    let client = connection.client().await?;
    let asked = Instant::now();
    let outcome = tokio::time::timeout(limit, call(Arc::clone(&client))).await;
    let outcome = outcome.unwrap_or(Err(EventStoreError::TimedOut(limit)));
    match &outcome {
        Err(error) if error.trace() != Trace::NoneEver => connection.judge(&client, error).await,
        // Also what was refused for good was answered.
        _ => {
            connection.works(asked);
            reach.answered(Instant::now());
        }
    }
    match outcome {
        Err(error) => Err(connection.explained(error).await),
        outcome => outcome,
    }
}

/// Asks the server until it answers, or nobody wants to know any more.
async fn probe(connection: Weak<Connection>, reach: Arc<Reach>, limit: Duration) {
    let mut pauses = Pauses::new();
    while let Some(connection) = connection.upgrade() {
        let ask = async |client: Arc<Client>| see_end(&client, &reach).await;
        let answer = attempt(&connection, &reach, limit, ask).await;
        drop(connection);
        if let Err(error) = answer {
            tracing::debug!(%error, "the log server is still away");
        }
        if reach.check().is_ok() {
            return;
        }
        pauses.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_and_clusters_are_taken() {
        for (url, hosts, secure) in [
            ("esdb://127.0.0.1:2113?tls=false", 1, false),
            ("kurrentdb://ops:s3cret@log.example", 1, true),
            ("esdb://one:1111,two:2222,three:3333?tls=true&tlsCaFile=/etc/ca.pem", 3, true),
            ("kurrentdb://one,two,three?nodePreference=leader", 3, true),
            ("esdb+discover://cluster.example:2113", 1, true),
        ] {
            let settings = settings(url).unwrap();
            assert_eq!(
                (settings.hosts().len(), settings.is_secure_mode_enabled()),
                (hosts, secure)
            );
            assert_eq!(settings.discovery_interval(), Duration::from_millis(50), "{url}");
        }
        let slow = settings("esdb://log?discoveryInterval=700").unwrap();
        assert_eq!(slow.discovery_interval(), Duration::from_millis(700));
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_repeated() {
        for url in ["", "log", "http://ops:s3cret@log", "esdb://", "esdb://ops:s3cret@log:port"] {
            let error = settings(url).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
