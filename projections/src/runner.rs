//! Keeps one live view up to date: follows the log from the view's checkpoint.

use std::time::Duration;

use futures::StreamExt;
use infra::errors::chain;
use infra::log::{Log, Position, ReadError, Record};
use infra::trace;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, Checkpoint};
use crate::identity::{self, OtherLog};
use crate::tables::{Batch, Tables};
use crate::trouble::Trouble;

/// Records in one transaction at most.
const BATCH: usize = 5_000;
/// Between two transactions, so that under load many records share one. A record that comes after
/// a pause is applied at once.
const PACE: Duration = Duration::from_millis(25);
/// Between two transactions that only move the checkpoint, past records the view does not want.
const IDLE_PACE: Duration = Duration::from_millis(50);
/// How long to leave a view to another process that keeps it up to date.
const STANDBY: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// Keeps one live view up to date.
pub(crate) struct Runner {
    pub(crate) tables: Tables,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) trouble: Trouble,
}

/// Why following came to an end.
#[derive(Debug, thiserror::Error)]
enum End {
    /// Another process moved the view.
    #[error("another process keeps the view up to date")]
    Moved,
    /// The tables are those of a newer program.
    #[error("the view has version {found}, this evently knows version {known}; start the newer")]
    Newer { found: i32, known: i32 },
    #[error(transparent)]
    OtherLog(OtherLog),
    #[error("the view cannot be written")]
    Database(#[from] sqlx::Error),
    #[error("the log cannot be followed")]
    Log(#[from] ReadError),
    #[error("the log's subscription ended")]
    Ended,
}

/// Records that came in and are not yet applied.
struct Waiting {
    records: Vec<Record>,
    /// How far the log was seen; ahead of the checkpoint if anything waits.
    seen: Position,
}

/// Whether things go well: says so once for each change.
struct Health {
    backoff: Duration,
    failing: bool,
    /// Batches applied since another process was met.
    applied: u64,
}

impl Runner {
    /// Runs until `stop`. Can be dropped at any moment: what was not committed is applied again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut health = Health { backoff: FIRST_BACKOFF, failing: false, applied: 1 };
        loop {
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                end = self.follow(&mut health) => end,
            };
            let Some(pause) = health.pause_after(&self.tables.name, &end) else {
                stop.cancelled().await;
                return;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn follow(&self, health: &mut Health) -> End {
        match self.try_follow(health).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn try_follow(&self, health: &mut Health) -> Result<std::convert::Infallible, End> {
        let mut at = self.checkpoint().await?;
        self.trouble.is_at(&self.tables.name, at.position);
        let mut subscription = self.log.subscribe_all(at.position);
        let mut waiting = Waiting { records: Vec::new(), seen: at.position };
        let mut last = Instant::now() - IDLE_PACE;
        loop {
            tokio::select! {
                biased;
                next = subscription.next(), if waiting.records.len() < BATCH => {
                    waiting.take(&self.tables, next.ok_or(End::Ended)??);
                }
                () = sleep_until(waiting.due(last)), if waiting.seen > at.position => {
                    last = Instant::now();
                    if at.position == Position(0) {
                        self.remember_log().await?;
                    }
                    let records = std::mem::take(&mut waiting.records);
                    let spans = trace::applied(self.tables.view.name(), &records);
                    let batch = Batch::new(self.tables.view, records, waiting.seen).await;
                    let applied = self.apply(at, batch).await;
                    spans.end(!matches!(applied, Ok(Some(_))));
                    at = applied?.ok_or(End::Moved)?;
                    health.well(&self.tables.name);
                    health.applied += 1;
                }
            }
        }
    }

    async fn apply(&self, at: Checkpoint, batch: Batch) -> Result<Option<Checkpoint>, sqlx::Error> {
        let (name, to) = (&self.tables.name, batch.to);
        let applied = self.tables.apply(at, batch).await;
        match &applied {
            Ok(Some(at)) => self.trouble.is_at(name, at.position),
            Ok(None) => {}
            Err(error) => self.trouble.unwritten(name, to, error),
        }
        applied
    }

    async fn checkpoint(&self) -> Result<Checkpoint, End> {
        let (name, known) = (&self.tables.name, self.tables.view.version());
        let mut connection = self.tables.pool.acquire().await?;
        let at = loop {
            if let Some(at) = checkpoint::load(&mut connection, name).await? {
                break at;
            }
            checkpoint::create(&mut connection, name, known, self.tables.clock.now()).await?;
        };
        if at.version > known {
            return Err(End::Newer { found: at.version, known });
        }
        Ok(at)
    }

    /// From its first record on, the database belongs to this log.
    async fn remember_log(&self) -> Result<(), End> {
        use identity::CheckError;
        identity::check(&self.tables.pool, &*self.log).await.map_err(|error| match error {
            CheckError::OtherLog(error) => End::OtherLog(error),
            CheckError::Database(error) => End::Database(error),
            CheckError::Log(error) => End::Log(error),
        })
    }
}

impl Waiting {
    fn take(&mut self, tables: &Tables, records: Vec<Record>) {
        if let Some(last) = records.last() {
            self.seen = last.position;
        }
        self.records.extend(records.into_iter().filter(|record| tables.view.wants(record)));
    }

    /// When what waits is to be applied, the transaction before having begun at `last`.
    fn due(&self, last: Instant) -> Instant {
        match self.records.len() {
            0 => last + IDLE_PACE,
            BATCH.. => last,
            _ => last + PACE,
        }
    }
}

impl Health {
    fn well(&mut self, name: &str) {
        if self.failing {
            tracing::info!(projection = name, "the view is kept up to date again");
        }
        (self.failing, self.backoff) = (false, FIRST_BACKOFF);
    }

    /// How long to wait before following again; `None`: for ever.
    fn pause_after(&mut self, name: &str, end: &End) -> Option<Duration> {
        match end {
            End::Moved => {
                // Once is a rebuilt view put in place; again and again is another process.
                let pause = if self.applied == 0 { STANDBY } else { Duration::ZERO };
                self.applied = 0;
                return Some(pause);
            }
            End::Newer { .. } | End::OtherLog(_) => {
                tracing::error!(projection = name, error = chain(end), "the view stands still");
                return None;
            }
            End::Database(_) | End::Log(_) | End::Ended => {}
        }
        if !self.failing {
            let error = chain(end);
            tracing::warn!(projection = name, error, "the view falls behind; trying again");
        }
        self.failing = true;
        let pause = self.backoff;
        self.backoff = (pause * 2).min(LAST_BACKOFF);
        Some(pause)
    }
}
