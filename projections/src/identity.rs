//! Which log a database was built from: its first record's chain hash, which covers the record's
//! id, time and data.

use infra::log::{Log, Position, ReadError};
use sqlx::PgPool;

/// The database was built from another log.
#[derive(Debug, thiserror::Error)]
pub enum OtherLog {
    /// The first record is another.
    #[error(
        "the database's views were built from another log; name the database that belongs to this \
         log, or an empty one: views are filled from the log, but the schema identity, with the \
         keys of persons, has to be copied to it"
    )]
    First,
    /// The log ends before the views.
    #[error(
        "the database's views are at position {position}, but the log ends at {head}: the log is \
         another, or an older copy; name an empty database: views are filled from the log, but the \
         schema identity, with the keys of persons, has to be copied to it"
    )]
    Ahead {
        /// Of the view that is farthest.
        position: Position,
        /// End of the log.
        head: Position,
    },
}

/// Why it cannot be said, or why not to go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error(transparent)]
    OtherLog(#[from] OtherLog),
    #[error("the database cannot be asked which log it belongs to")]
    Database(#[from] sqlx::Error),
    #[error("the log cannot be asked for its beginning")]
    Log(#[from] ReadError),
}

/// Makes sure that the database belongs to `log`. A new database belongs to it from now on, if the
/// log has begun.
pub(crate) async fn check(pool: &PgPool, log: &dyn Log) -> Result<(), CheckError> {
    let first = log.read_all(Position(0), 1).await?.pop();
    let mut connection = pool.acquire().await?;
    let farthest = sqlx::query_scalar!("SELECT max(position) FROM projection.checkpoint")
        .fetch_one(&mut *connection)
        .await?;
    let position = Position(farthest.unwrap_or(0).cast_unsigned());
    if let Some(first) = first {
        sqlx::query!(
            "INSERT INTO projection.log (first_hash) VALUES ($1) ON CONFLICT DO NOTHING",
            &first.hash.0,
        )
        .execute(&mut *connection)
        .await?;
        let known = sqlx::query_scalar!("SELECT first_hash FROM projection.log")
            .fetch_one(&mut *connection)
            .await?;
        if known != first.hash.0 {
            return Err(OtherLog::First.into());
        }
    }
    // Asked last: other processes may be at work.
    let head = log.head().await?;
    if position > head {
        return Err(OtherLog::Ahead { position, head }.into());
    }
    Ok(())
}
