//! One-time codes of mails.

use domain::{Time, UserId};
use sqlx::PgPool;

use super::{hash, user};
use crate::identity::{Code, MOST_CODES, Purpose, StoreError, TokenHash};
use crate::postgres;

pub(super) async fn put(pool: &PgPool, code: Code) -> Result<(), StoreError> {
    let mut transaction = postgres::begin(pool, "BEGIN").await?;
    let (user, purpose) = (code.user.as_uuid(), code.purpose.name());
    sqlx::query!(
        "INSERT INTO identity.code (hash, person, purpose, payload, expires_at_ms)
         VALUES ($1, $2, $3, $4, $5)",
        hash(code.hash),
        user,
        purpose,
        code.payload,
        code.expires_at.as_ms(),
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "DELETE FROM identity.code WHERE hash IN (
            SELECT hash FROM identity.code WHERE person = $1 AND purpose = $2
            ORDER BY expires_at_ms DESC, number DESC OFFSET $3)",
        user,
        purpose,
        MOST_CODES,
    )
    .execute(&mut *transaction)
    .await?;
    Ok(postgres::commit(transaction).await?)
}

pub(super) async fn find(
    pool: &PgPool,
    code: TokenHash,
    purpose: Purpose,
    now: Time,
) -> Result<Option<(UserId, String)>, StoreError> {
    let found = sqlx::query!(
        "SELECT person, payload FROM identity.code
         WHERE hash = $1 AND purpose = $2 AND expires_at_ms > $3",
        hash(code),
        purpose.name(),
        now.as_ms(),
    );
    let found = found.fetch_optional(pool).await?;
    Ok(found.map(|row| (user(row.person), row.payload)))
}

pub(super) async fn take(pool: &PgPool, code: TokenHash) -> Result<bool, StoreError> {
    let taken = sqlx::query!("DELETE FROM identity.code WHERE hash = $1", hash(code));
    Ok(taken.execute(pool).await?.rows_affected() == 1)
}

pub(super) async fn drop_all(pool: &PgPool, user: UserId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM identity.code WHERE person = $1", user.as_uuid())
        .execute(pool)
        .await?;
    Ok(())
}
