//! Builds a view again beside the live one and puts it in its place (OP-1).
//!
//! `NAME_next` gets the same tables and a checkpoint of its own, and is filled from position zero
//! in many transactions, while the live view is kept up to date and read. Then one transaction
//! stops the live view by its checkpoint's lock, applies what is missing, and renames the schemas.

mod copy;
mod read;

use std::sync::Arc;

use domain::Time;
use infra::clock::Clock;
use infra::errors::chain;
use infra::log::{Log, Position, ReadError};
use infra::postgres::{begin, commit};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Projection;
use crate::checkpoint::{self, Checkpoint};
use crate::columns::position;
use crate::tables::{Batch, Failure, Tables};

/// Records that the swap itself may have to apply while the live view stands still.
const LAST_RECORDS: usize = 2_000;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Everything up to here is in the new copy.
    pub position: Position,
    /// Where the log ended when it was last asked.
    pub target: Position,
}

/// Why a view was not built again. The live one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such view.
    #[error("there is no view of this name; there are {known}")]
    Unknown {
        /// The names there are.
        known: String,
    },
    /// Another rebuild of the same view is under way, here or in another process.
    #[error(
        "the view is being rebuilt already; if what rebuilt it died, its claim ends by itself \
         after 15 seconds: try again then"
    )]
    Running,
    /// It stood still for so long that another process took it for dead and began anew.
    #[error("another process began to rebuild the same view")]
    Superseded,
    /// The process is being stopped.
    #[error("the process is being stopped")]
    Stopped,
    /// The database failed.
    #[error("the database failed during the rebuild")]
    Database(#[from] sqlx::Error),
    /// The log failed.
    #[error("the log failed during the rebuild")]
    Log(#[from] ReadError),
}

/// One rebuild under way.
pub(crate) struct Rebuild {
    next: Tables,
    log: Arc<dyn Log>,
    owner: Uuid,
    target: Position,
    /// Statements that make the indexes which are left for the end.
    indexes: Vec<String>,
}

impl Rebuild {
    /// Claims the view's rebuild for this process and makes the empty tables.
    pub(crate) async fn begin(
        view: &'static dyn Projection,
        pool: &PgPool,
        log: &Arc<dyn Log>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, RebuildError> {
        let target = log.head().await?;
        let owner = Uuid::from_u128(infra::ids::random_u128());
        let (pool, clock) = (pool.clone(), Arc::clone(clock));
        let name = format!("{}_next", view.name());
        let next = Tables { view, name, owner: Some(owner), pool, clock };
        let now = next.clock.now();
        let mut transaction = begin(&next.pool, "BEGIN").await?;
        if !claim(&mut transaction, view.name(), owner, target, now).await? {
            return Err(RebuildError::Running);
        }
        copy::create(&mut transaction, view.name()).await?;
        let indexes = if view.is_written_by_key() {
            copy::drop_indexes(&mut transaction, &next.name).await?
        } else {
            Vec::new()
        };
        checkpoint::create(&mut transaction, &next.name, view.version(), now).await?;
        commit(transaction).await?;
        Ok(Self { next, log: Arc::clone(log), owner, target, indexes })
    }

    /// Of which view.
    pub(crate) fn view_name(&self) -> &'static str {
        self.next.view.name()
    }

    /// Where the log ended when it began.
    pub(crate) fn target(&self) -> Position {
        self.target
    }

    /// Fills the copy and puts it in the place of the live view, or takes it away again.
    pub(crate) async fn finish(
        self,
        progress: &mut (dyn FnMut(Progress) + Send),
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let done = tokio::select! {
            done = self.run(progress) => done,
            () = stop.cancelled() => Err(RebuildError::Stopped),
        };
        if done.is_err() {
            self.abandon().await;
        }
        done
    }

    async fn run(&self, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<(), RebuildError> {
        let (version, position) = (self.next.view.version(), Position(0));
        let mut at = Checkpoint { version, position, parked: 0 };
        at = self.fill(at, progress).await?;
        self.make_indexes(at.position).await?;
        loop {
            at = self.fill(at, progress).await?;
            if self.swap(at).await? {
                break;
            }
        }
        progress(Progress { position: at.position, target: at.position });
        if let Err(error) = copy::drop_old(&self.next.pool, self.next.view.name()).await {
            let error = chain(&error);
            tracing::warn!(error, "the replaced view's tables could not be dropped yet");
        }
        Ok(())
    }

    /// Takes away what there is of the copy, after the rebuild failed.
    async fn abandon(self) {
        let name = self.next.view.name();
        let abandoned = async {
            let mut transaction = begin(&self.next.pool, "BEGIN").await?;
            let mine = sqlx::query!(
                "DELETE FROM projection.rebuild WHERE name = $1 AND owner = $2",
                name,
                self.owner,
            );
            if mine.execute(&mut *transaction).await?.rows_affected() == 1 {
                copy::remove(&mut transaction, name).await?;
            }
            commit(transaction).await
        };
        if let Err(error) = abandoned.await {
            let error = chain(&error);
            tracing::warn!(projection = name, error, "an unfinished rebuild is left for later");
        }
    }

    /// Applies all there is in the log.
    async fn fill(
        &self,
        mut at: Checkpoint,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Checkpoint, RebuildError> {
        let mut batches = read::ahead(Arc::clone(&self.log), self.next.view, at.position);
        while let Some(batch) = batches.next().await {
            at = self.next.apply(at, batch?).await?.ok_or(RebuildError::Superseded)?;
            let target = self.log.head().await?;
            let mut connection = self.next.pool.acquire().await?;
            self.sign_of_life(&mut connection, at.position, target).await?;
            drop(connection);
            progress(Progress { position: at.position, target });
        }
        Ok(at)
    }

    /// Makes the indexes that were left for the end, in a transaction that holds the row of the
    /// claim: there is no sign of life meanwhile, and nobody is to take that for death.
    async fn make_indexes(&self, at: Position) -> Result<(), RebuildError> {
        let mut transaction = begin(&self.next.pool, "BEGIN").await?;
        let target = self.log.head().await?;
        self.sign_of_life(&mut transaction, at, target).await?;
        copy::create_indexes(&mut transaction, &self.indexes).await?;
        self.sign_of_life(&mut transaction, at, target).await?;
        commit(transaction).await?;
        Ok(())
    }

    async fn sign_of_life(
        &self,
        connection: &mut PgConnection,
        at: Position,
        target: Position,
    ) -> Result<(), RebuildError> {
        let mine = sqlx::query!(
            "UPDATE projection.rebuild SET position = $3, target = $4,
                updated_at = clock_timestamp()
             WHERE name = $1 AND owner = $2",
            self.next.view.name(),
            self.owner,
            position(at),
            position(target),
        );
        let mine = mine.execute(connection).await?.rows_affected() == 1;
        if mine { Ok(()) } else { Err(RebuildError::Superseded) }
    }

    /// Puts the copy in the place of the live view; false if the live one is too far ahead, or a
    /// record cannot be applied: both are for [`Self::fill`].
    async fn swap(&self, at: Checkpoint) -> Result<bool, RebuildError> {
        let live = self.next.view.name();
        let mut transaction = self.next.begin().await?;
        let stopped = checkpoint::lock(&mut transaction, live).await?;
        let until = stopped.map_or(at.position, |stopped| stopped.position.max(at.position));
        let mut records = self.log.read_all(at.position, LAST_RECORDS + 1).await?;
        records.retain(|record| record.position <= until);
        if records.len() > LAST_RECORDS {
            return Ok(false);
        }
        let batch = Batch::new(self.next.view, records, until).await;
        let now = self.next.clock.now();
        let moved = self.next.advance(&mut transaction, at, until, now).await?;
        let parked = moved.ok_or(RebuildError::Superseded)?;
        match self.next.write(&mut transaction, parked, &batch, now).await {
            Ok(()) => {}
            Err(Failure::Poison(_)) => return Ok(false),
            Err(Failure::Outage(error)) => return Err(error.into()),
        }
        let mine = sqlx::query!(
            "DELETE FROM projection.rebuild WHERE name = $1 AND owner = $2",
            live,
            self.owner,
        );
        if mine.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(RebuildError::Superseded);
        }
        copy::rename(&mut transaction, live).await?;
        commit(transaction).await?;
        Ok(true)
    }
}

/// Makes the rebuild this process's; false if another is at it. One that showed no sign of life
/// for a while is taken over, unless it holds its row.
async fn claim(
    connection: &mut PgConnection,
    name: &str,
    owner: Uuid,
    target: Position,
    now: Time,
) -> Result<bool, sqlx::Error> {
    let held = sqlx::query_scalar!(
        r#"WITH free AS (
            SELECT name FROM projection.rebuild WHERE name = $1 FOR UPDATE SKIP LOCKED)
           SELECT EXISTS (
            SELECT FROM projection.rebuild WHERE name = $1 AND name NOT IN (SELECT name FROM free)
           ) AS "held!""#,
        name,
    );
    if held.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    let claimed = sqlx::query!(
        "INSERT INTO projection.rebuild AS old
            (name, owner, position, target, started_at, updated_at)
         VALUES ($1, $2, 0, $3, $4, now())
         ON CONFLICT (name) DO UPDATE SET
            owner = excluded.owner, position = 0, target = excluded.target,
            started_at = excluded.started_at, updated_at = excluded.updated_at
         WHERE old.updated_at < now() - interval '15 seconds'",
        name,
        owner,
        position(target),
        now.as_chrono(),
    )
    .execute(connection)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// Takes away what rebuilds left behind whose process died.
pub(crate) async fn clean_up(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    let dead = sqlx::query_scalar!(
        "DELETE FROM projection.rebuild WHERE name IN (
            SELECT name FROM projection.rebuild
            WHERE updated_at < now() - interval '15 seconds' FOR UPDATE SKIP LOCKED)
         RETURNING name"
    )
    .fetch_all(&mut *transaction)
    .await?;
    for name in &dead {
        copy::remove(&mut transaction, name).await?;
    }
    commit(transaction).await?;
    for name in dead {
        tracing::info!(projection = name, "removed what was left of a rebuild that did not end");
    }
    Ok(())
}

/// Drops the tables of all views, whatever was built from them.
pub(crate) async fn drop_everything(
    pool: &PgPool,
    views: &[&'static dyn Projection],
) -> Result<(), sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    for view in views {
        copy::drop_schemas(&mut transaction, view.name()).await?;
    }
    copy::drop_schemas(&mut transaction, "projection").await?;
    copy::drop_schemas(&mut transaction, "migrations").await?;
    commit(transaction).await
}

/// An empty copy of a view's tables with a checkpoint of its own, for cases that fill one
/// themselves.
#[cfg(feature = "conformance")]
pub(crate) async fn make_copy(
    pool: &PgPool,
    view: &'static dyn Projection,
) -> Result<(), sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    copy::create(&mut transaction, view.name()).await?;
    let name = format!("{}_next", view.name());
    checkpoint::create(&mut transaction, &name, view.version(), Time::default()).await?;
    commit(transaction).await
}
