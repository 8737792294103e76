//! The log in EventStoreDB (KurrentDB), through the official client: for production, clustered.
//! The log server of this product speaks the same protocol.
//!
//! Streams, kinds, ids and data are the database's own; the rest of a record is in its custom
//! metadata (see `infra::log::envelope`). The chain of hashes is made here: whoever appends has to
//! know the stream's last hash, so an append always expects a revision, also one that expects
//! nothing. That makes every outcome knowable in the end: an append whose answer got lost is sent
//! again as it is, and either has its place already, gets it, or finds it taken by others for good.
//!
//! What of the client has to be known:
//! - A client whose first connection fails is dead, and one of a cluster keeps to a node that is
//!   gone. Then a new client is made, with growing pauses between.
//! - Its deadlines are heeded by the server only. Here each call has a limit of its own.
//! - One connection carries about 100 calls. Appends and reads have one each and never more calls
//!   than that; a subscription has one for itself.
//! - A server that stands still is noticed by nobody but the calls: the first waits, those after it
//!   are refused until a probe is answered (see `reach`).
//! - It leaves Nagle's algorithm on, which costs 40 ms a call (see `nodelay`).
//! - Positions are places in the database's file: they grow, and say nothing of how many records lie
//!   between. Reading after a position that no record has is an error there.

mod append;
mod cause;
mod connection;
mod error;
mod nodelay;
mod reach;
mod read;
mod subscription;
mod tails;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventstore::ClientSettings;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;

pub use error::{EventStoreError, OpenError};

use super::{AppendError, Appended, Expected, Log, NewRecord, Position, ReadError, Record, Unfit};
use connection::Lane;
use reach::Reach;
use tails::Tails;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventStoreOptions {
    /// One attempt to append or to read.
    pub attempt: Duration,
    /// All attempts of one call together; then it fails. While the server is known to be away, every
    /// call fails at once: after an attempt that got no answer when nobody else did either, or when
    /// nobody has listened for this long.
    pub patience: Duration,
}

impl Default for EventStoreOptions {
    fn default() -> Self {
        Self { attempt: Duration::from_secs(4), patience: Duration::from_secs(10) }
    }
}

/// How long a read is tried at most. Less than proxies wait for reads (`deploy/nginx/evently.conf`): who gets
/// no answer from any node takes them all for dead.
const READ_PATIENCE: Duration = Duration::from_secs(4);

/// The log in a database of its own. Has to be used within a tokio runtime.
#[derive(Clone)]
pub struct EventStoreLog(Arc<Shared>);

struct Shared {
    settings: ClientSettings,
    options: EventStoreOptions,
    appends: Lane,
    reads: Lane,
    tails: Tails,
    reach: Arc<Reach>,
    closed: CancellationToken,
}

impl EventStoreLog {
    /// Prepares to use the database at `url`, e.g. `esdb://user:password@host:2113?tls=false`,
    /// `kurrentdb://one:2113,two:2113,three:2113` or `esdb+discover://cluster.example:2113`. It is
    /// connected to when it is needed, and again whenever the connection is lost.
    ///
    /// # Errors
    /// The text is no such address.
    pub fn open(url: &str, options: EventStoreOptions) -> Result<Self, OpenError> {
        let settings = connection::settings(url)?;
        super::use_one_tls_provider();
        let reach = Arc::new(Reach::new(options.patience));
        let reading =
            EventStoreOptions { patience: options.patience.min(READ_PATIENCE), ..options };
        let lane = |options| Lane::new(settings.clone(), options, &reach);
        let (appends, reads) = (lane(options), lane(reading));
        Ok(Self(Arc::new(Shared {
            settings,
            options,
            appends,
            reads,
            tails: Tails::default(),
            reach,
            closed: CancellationToken::new(),
        })))
    }

    /// Whether `url` is an address that [`EventStoreLog::open`] takes.
    ///
    /// # Errors
    /// It is not.
    pub fn check(url: &str) -> Result<(), OpenError> {
        connection::settings(url).map(|_| ())
    }

    /// Ends subscriptions and refuses further calls. Appends under way may still be carried out.
    pub fn close(&self) {
        self.0.closed.cancel();
    }
}

impl Shared {
    /// `call`, unless the log is closed before it ends.
    async fn unless_closed<T>(
        &self,
        call: impl Future<Output = Result<T, EventStoreError>>,
    ) -> Result<T, EventStoreError> {
        self.closed.run_until_cancelled(call).await.unwrap_or(Err(EventStoreError::Closed))
    }
}

#[async_trait]
impl Log for EventStoreLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        records: Vec<NewRecord>,
    ) -> Result<Appended, AppendError> {
        Unfit::check(stream, &records).map_err(AppendError::Unfit)?;
        if self.0.closed.is_cancelled() {
            return Err(AppendError::Unavailable(Box::new(EventStoreError::Closed)));
        }
        append::append(&self.0, stream, expected, &records).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        Ok(self.0.unless_closed(self.0.read_stream(stream, from, limit)).await?)
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError> {
        Ok(self.0.unless_closed(self.0.read_all(after, limit)).await?)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.0.unless_closed(self.0.head()).await?)
    }

    /// Asks for an append that is refused for sure, by whoever decides on appends.
    async fn check_writable(&self) -> Result<(), AppendError> {
        let checked = self.0.unless_closed(append::check(&self.0)).await;
        checked.map_err(|error| AppendError::Unavailable(Box::new(error)))
    }

    fn subscribe_all(&self, after: Position) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        subscription::subscribe(Arc::clone(&self.0), after)
    }
}
