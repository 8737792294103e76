//! One copy of a view's tables, and the one way in which records get into it.

use std::sync::Arc;

use domain::{FactError, Time};
use infra::clock::Clock;
use infra::errors::chain;
use infra::log::{Position, Record};
use infra::postgres::commit;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, PgTransaction};
use uuid::Uuid;

use crate::checkpoint::{self, Checkpoint};
use crate::error::is_poison;
use crate::{Changes, Projection, WriteError, parked};

/// More records than this are turned into changes away from the threads that answer requests.
const SMALL: usize = 200;

/// A copy of a view's tables: the live one, or the one that is being built.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) view: &'static dyn Projection,
    /// The schema they are in, and the name of their checkpoint.
    pub(crate) name: String,
    /// The rebuild that fills them; `None` for the live ones.
    pub(crate) owner: Option<Uuid>,
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Records to be applied, and what they change.
pub(crate) struct Batch {
    records: Vec<Record>,
    changes: Result<Box<dyn Changes>, FactError>,
    /// Where the view is after them; records that it does not want may lie between.
    pub(crate) to: Position,
}

/// Why a batch was not applied.
pub(crate) enum Failure {
    /// The database is not there, or not as it should be: the same may succeed later.
    Outage(sqlx::Error),
    /// One of the records can never be applied; why.
    Poison(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Outage(error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Sql(cause) if !is_poison(&cause) => Self::Outage(cause),
            error => Self::Poison(chain(&error)),
        }
    }
}

impl Batch {
    /// What those of `records` change that `view` wants.
    pub(crate) async fn new(
        view: &'static dyn Projection,
        mut records: Vec<Record>,
        to: Position,
    ) -> Self {
        records.retain(|record| view.wants(record));
        let small = records.len() <= SMALL;
        let apply = move || {
            let changes = view.apply(&records);
            Self { records, changes, to }
        };
        if small {
            return apply();
        }
        match tokio::task::spawn_blocking(apply).await {
            Ok(batch) => batch,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being torn down: nothing goes on after this.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// How many records the view wants.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Writes the changes, whatever is parked: for records that were.
    pub(crate) async fn write(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        write(connection, &self.changes).await
    }

    /// The same in two parts; the record itself if there is but one.
    async fn halve(mut self, view: &'static dyn Projection) -> Result<[Self; 2], Self> {
        if self.records.len() < 2 {
            return Err(self);
        }
        let second = self.records.split_off(self.records.len() / 2);
        let middle = self.records.last().map_or(self.to, |record| record.position);
        let first = Self::new(view, self.records, middle).await;
        Ok([first, Self::new(view, second, self.to).await])
    }
}

impl Tables {
    /// A transaction that writes this copy.
    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>, sqlx::Error> {
        // The name is that of a view, or that with a suffix of ours.
        let begin = format!("BEGIN; SET LOCAL search_path TO {}", self.name);
        infra::postgres::begin(&self.pool, AssertSqlSafe(begin)).await
    }

    /// Applies a batch to the view as it is `at` a checkpoint, and says where the view is then.
    /// Records that cannot be applied are parked. `None`: the view is not at that checkpoint, and
    /// nothing, or only a part of the batch, was applied.
    pub(crate) async fn apply(
        &self,
        mut at: Checkpoint,
        batch: Batch,
    ) -> Result<Option<Checkpoint>, sqlx::Error> {
        let mut rest = vec![batch];
        while let Some(batch) = rest.pop() {
            let to = batch.to;
            let applied = match self.try_apply(at, &batch).await {
                Ok(applied) => applied,
                Err(Failure::Outage(error)) => return Err(error),
                Err(Failure::Poison(error)) => match batch.halve(self.view).await {
                    Ok([first, second]) => {
                        rest.extend([second, first]);
                        continue;
                    }
                    Err(single) => self.park(at, &single, &error).await?,
                },
            };
            if !applied {
                return Ok(None);
            }
            at.position = to;
        }
        Ok(Some(at))
    }

    /// False if the view is not `at` that checkpoint.
    async fn try_apply(&self, at: Checkpoint, batch: &Batch) -> Result<bool, Failure> {
        let now = self.clock.now();
        if batch.records.is_empty() {
            let mut connection = self.pool.acquire().await?;
            return Ok(self.advance(&mut connection, at, batch.to, now).await?.is_some());
        }
        let mut transaction = self.begin().await?;
        let parked = self.advance(&mut transaction, at, batch.to, now).await?;
        let Some(parked) = parked else { return Ok(false) };
        self.write(&mut transaction, parked, batch, now).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Moves the checkpoint in a transaction; gives how many records are parked. `None`: the view is
    /// not `at` that checkpoint, or another process took the rebuild over.
    pub(crate) async fn advance(
        &self,
        connection: &mut PgConnection,
        at: Checkpoint,
        to: Position,
        now: Time,
    ) -> Result<Option<i32>, sqlx::Error> {
        checkpoint::advance(connection, &self.name, at, to, self.owner, now).await
    }

    /// Writes a batch in a transaction that has moved the checkpoint, which says how many records
    /// are `parked`. What is behind a parked record of the same stream is parked too.
    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        parked: i32,
        batch: &Batch,
        now: Time,
    ) -> Result<(), Failure> {
        if parked == 0 {
            return write(connection, &batch.changes).await;
        }
        let blocked = parked::streams(connection, &self.name).await?;
        let (behind, free): (Vec<&Record>, Vec<&Record>) =
            batch.records.iter().partition(|record| blocked.contains(&*record.stream));
        if behind.is_empty() {
            return write(connection, &batch.changes).await;
        }
        let free: Vec<Record> = free.into_iter().cloned().collect();
        write(connection, &self.view.apply(&free)).await?;
        let why = "it is behind another parked record of its stream";
        parked::park(connection, &self.name, &behind, why, 0, now).await?;
        Ok(())
    }

    /// Sets a record aside that can never be applied; false if the view is not `at` that
    /// checkpoint.
    async fn park(&self, at: Checkpoint, batch: &Batch, error: &str) -> Result<bool, sqlx::Error> {
        let now = self.clock.now();
        let mut transaction = self.begin().await?;
        let name = &self.name;
        if self.advance(&mut transaction, at, batch.to, now).await?.is_none() {
            return Ok(false);
        }
        let records: Vec<&Record> = batch.records.iter().collect();
        parked::park(&mut transaction, name, &records, error, 1, now).await?;
        commit(transaction).await?;
        for record in records {
            tracing::error!(
                projection = %name,
                position = record.position.0,
                stream = %record.stream,
                kind = %record.kind,
                error,
                "a record cannot be applied and is parked, with what follows in its stream"
            );
        }
        Ok(true)
    }
}

/// Writes changes, whatever is parked.
async fn write(
    connection: &mut PgConnection,
    changes: &Result<Box<dyn Changes>, FactError>,
) -> Result<(), Failure> {
    match changes {
        Ok(changes) => Ok(changes.write(connection).await?),
        Err(error) => Err(Failure::Poison(chain(error))),
    }
}
