//! Applies parked records in order again, after what was wrong with them was mended (OP-1).

use infra::log::{Log, Position, ReadError};
use infra::postgres::commit;
use serde::Serialize;

use crate::parked::Parked;
use crate::tables::{Batch, Failure, Tables};
use crate::{checkpoint, parked};

/// Parked records applied in one transaction at most.
const BATCH: i64 = 500;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Retried {
    /// Records that are in the view now.
    pub applied: u64,
    /// Records that stay parked.
    pub still_parked: u64,
}

/// Why it could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no such view.
    #[error("there is no view of this name; there are {known}")]
    Unknown {
        /// The names there are.
        known: String,
    },
    /// The database failed.
    #[error("the database failed while parked records were applied")]
    Database(#[from] sqlx::Error),
    /// The log failed.
    #[error("the log failed while parked records were applied")]
    Log(#[from] ReadError),
}

/// What became of the first parked records of a stream.
enum Tried {
    Applied(u64),
    /// One of this many cannot be applied.
    Poisoned(Vec<Parked>, String),
    NoneLeft,
}

/// Applies what is parked, stream by stream. A stream ends at the first record that still cannot
/// be applied.
pub(crate) async fn retry(tables: &Tables, log: &dyn Log) -> Result<Retried, RetryError> {
    let mut connection = tables.pool.acquire().await?;
    let streams = parked::streams_in_order(&mut connection, &tables.name).await?;
    drop(connection);
    let mut applied = 0;
    for stream in streams {
        applied += retry_stream(tables, log, &stream).await?;
    }
    let mut connection = tables.pool.acquire().await?;
    let left = checkpoint::load(&mut connection, &tables.name).await?;
    let still_parked = left.map_or(0, |left| u64::try_from(left.parked).unwrap_or(0));
    Ok(Retried { applied, still_parked })
}

async fn retry_stream(tables: &Tables, log: &dyn Log, stream: &str) -> Result<u64, RetryError> {
    let (mut applied, mut limit) = (0, BATCH);
    loop {
        match try_first(tables, log, stream, limit).await? {
            Tried::Applied(records) => applied += records,
            Tried::NoneLeft => return Ok(applied),
            Tried::Poisoned(records, error) => match records.as_slice() {
                [poison] => {
                    let mut connection = tables.pool.acquire().await?;
                    parked::failed_again(&mut connection, &tables.name, *poison, &error).await?;
                    return Ok(applied);
                }
                more => limit = i64::try_from(more.len() / 2).unwrap_or(1),
            },
        }
    }
}

async fn try_first(
    tables: &Tables,
    log: &dyn Log,
    stream: &str,
    limit: i64,
) -> Result<Tried, RetryError> {
    let name = &tables.name;
    let mut transaction = tables.begin().await?;
    // The view stands still meanwhile: what follows is parked behind these, or comes after them.
    checkpoint::lock(&mut transaction, name).await?;
    let first = parked::of_stream(&mut transaction, name, stream, limit).await?;
    let (Some(from), Some(to)) = (first.first(), first.last()) else { return Ok(Tried::NoneLeft) };
    let span = usize::try_from(to.revision - from.revision).unwrap_or(0) + 1;
    let mut records = log.read_stream(stream, from.revision, span).await?;
    records.retain(|record| first.iter().any(|parked| parked.revision == record.revision));
    let batch = Batch::new(tables.view, records, Position(0)).await;
    if batch.len() != first.len() {
        return Ok(Tried::Poisoned(first, "the log has no such record".to_owned()));
    }
    match batch.write(&mut transaction).await {
        Ok(()) => {}
        Err(Failure::Outage(error)) => return Err(error.into()),
        Err(Failure::Poison(error)) => return Ok(Tried::Poisoned(first, error)),
    }
    parked::release(&mut transaction, name, &first).await?;
    commit(transaction).await?;
    Ok(Tried::Applied(first.len() as u64))
}
