//! Transactions whose beginning can be dropped.

use std::panic::resume_unwind;

use sqlx::{Error, PgPool, PgTransaction, SqlSafeStr};

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
    begun.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // The runtime ends, and the pool with it.
        Err(_) => Err(Error::PoolClosed),
    })
}
