//! Transactions whose beginning and end can be dropped.

use std::panic::resume_unwind;

use sqlx::{Error, PgPool, PgTransaction, SqlSafeStr};
use tokio::task::JoinError;

/// Begins a transaction with `statement`, most often `BEGIN`. The caller may be dropped at any
/// moment; what was begun is then rolled back.
///
/// The beginning is a task of its own. With sqlx 0.9.0's, dropped before the server has answered,
/// the connection returns to the pool with the transaction open, and all that is written on it from
/// then on is lost (its issue 4393).
///
/// # Errors
/// No connection can be had, or the statement does not begin a transaction.
pub async fn begin(
    pool: &PgPool,
    statement: impl SqlSafeStr,
) -> Result<PgTransaction<'static>, Error> {
    let (pool, statement) = (pool.clone(), statement.into_sql_str());
    #[expect(clippy::disallowed_methods, reason = "this is the task")]
    let begun = tokio::spawn(async move { pool.begin_with(statement).await }).await;
    begun.unwrap_or_else(|error| Err(ended(error)))
}

/// Commits a transaction. The caller may be dropped at any moment; it is then committed all the same.
///
/// The end is a task of its own too. With sqlx 0.9.0's, dropped before the server has answered, the
/// transaction is committed and then rolled back, of which the server warns: there is none any more.
///
/// # Errors
/// It is not known to be committed.
pub async fn commit(transaction: PgTransaction<'static>) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the task")]
    tokio::spawn(transaction.commit()).await.unwrap_or_else(|error| Err(ended(error)))
}

fn ended(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // The runtime ends, and the pool with it.
        Err(_) => Error::PoolClosed,
    }
}
