//! Records of which nothing can be told.

use domain::Time;
use infra::log::Record;
use infra::postgres::{begin, commit};
use sqlx::PgPool;

use super::NAME;
use crate::columns::position;
use crate::parked::count;

/// Sets a record aside; false if it was before.
pub(super) async fn park(
    pool: &PgPool,
    record: &Record,
    error: &str,
    now: Time,
) -> Result<bool, sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    let done = sqlx::query!(
        "INSERT INTO projection.parked
            (projection, position, stream, revision, kind, error, parked_at, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1)
         ON CONFLICT (projection, position) DO NOTHING",
        NAME,
        position(record.position),
        &*record.stream,
        record.revision.cast_signed(),
        &*record.kind,
        error,
        now.as_chrono(),
    )
    .execute(&mut *transaction)
    .await?;
    count(&mut transaction, NAME).await?;
    commit(transaction).await?;
    Ok(done.rows_affected() == 1)
}
