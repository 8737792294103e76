//! Sessions and their tokens.

use domain::{Time, UserId};
use sqlx::PgPool;
use uuid::Uuid;

use super::{hash, user};
use crate::identity::{Rotation, Session, StoreError, TokenHash};
use crate::postgres;

pub(super) async fn open(
    pool: &PgPool,
    session: Session,
    token: TokenHash,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH opened AS (
            INSERT INTO identity.session (id, person, opened_at_ms, used_at_ms, expires_at_ms)
            VALUES ($1, $2, $3, $4, $5) RETURNING id, expires_at_ms)
         INSERT INTO identity.refresh_token (hash, session, expires_at_ms)
         SELECT $6, id, expires_at_ms FROM opened",
        Uuid::from_u128(session.id),
        session.user.as_uuid(),
        session.opened_at.as_ms(),
        session.used_at.as_ms(),
        session.expires_at.as_ms(),
        hash(token),
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn find(
    pool: &PgPool,
    token: TokenHash,
    now: Time,
) -> Result<Option<Session>, StoreError> {
    let row = sqlx::query!(
        "SELECT session.id, person, opened_at_ms, used_at_ms, session.expires_at_ms
         FROM identity.refresh_token AS token
         JOIN identity.session ON session.id = token.session
         WHERE hash = $1 AND token.expires_at_ms > $2 AND NOT is_spent",
        hash(token),
        now.as_ms(),
    );
    let row = row.fetch_optional(pool).await?;
    Ok(row.map(|row| Session {
        id: row.id.as_u128(),
        user: user(row.person),
        opened_at: Time::from_ms(row.opened_at_ms),
        used_at: Time::from_ms(row.used_at_ms),
        expires_at: Time::from_ms(row.expires_at_ms),
    }))
}

pub(super) async fn rotate(
    pool: &PgPool,
    old: TokenHash,
    new: TokenHash,
    now: Time,
    expires_at: Time,
) -> Result<Rotation, StoreError> {
    let mut transaction = postgres::begin(pool, "BEGIN").await?;
    // The session's lock lets those who bring its tokens at once go one after the other.
    let session = sqlx::query!(
        "SELECT session.id, person FROM identity.session
         WHERE id = (SELECT session FROM identity.refresh_token
                     WHERE hash = $1 AND expires_at_ms > $2) FOR UPDATE",
        hash(old),
        now.as_ms(),
    );
    let Some(session) = session.fetch_optional(&mut *transaction).await? else {
        return Ok(Rotation::Unknown);
    };
    let spent = sqlx::query!(
        "UPDATE identity.refresh_token SET is_spent = true WHERE hash = $1 AND NOT is_spent",
        hash(old),
    );
    if spent.execute(&mut *transaction).await?.rows_affected() == 0 {
        sqlx::query!("DELETE FROM identity.session WHERE id = $1", session.id)
            .execute(&mut *transaction)
            .await?;
        postgres::commit(transaction).await?;
        return Ok(Rotation::Reused(user(session.person)));
    }
    sqlx::query!(
        "WITH used AS (
            UPDATE identity.session SET used_at_ms = $3, expires_at_ms = $4 WHERE id = $2)
         INSERT INTO identity.refresh_token (hash, session, expires_at_ms)
         VALUES ($1, $2, $4)",
        hash(new),
        session.id,
        now.as_ms(),
        expires_at.as_ms(),
    )
    .execute(&mut *transaction)
    .await?;
    postgres::commit(transaction).await?;
    Ok(Rotation::Rotated(user(session.person)))
}

pub(super) async fn close(pool: &PgPool, token: TokenHash) -> Result<Option<UserId>, StoreError> {
    let closed = sqlx::query_scalar!(
        "DELETE FROM identity.session
         WHERE id = (SELECT session FROM identity.refresh_token WHERE hash = $1)
         RETURNING person",
        hash(token),
    );
    Ok(closed.fetch_optional(pool).await?.map(user))
}

pub(super) async fn close_all(pool: &PgPool, user: UserId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM identity.session WHERE person = $1", user.as_uuid())
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn all(pool: &PgPool, whose: UserId) -> Result<Vec<Session>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, opened_at_ms, used_at_ms, expires_at_ms FROM identity.session
         WHERE person = $1 ORDER BY opened_at_ms, id",
        whose.as_uuid(),
    );
    let rows = rows.fetch_all(pool).await?;
    let sessions = rows.into_iter().map(|row| Session {
        id: row.id.as_u128(),
        user: whose,
        opened_at: Time::from_ms(row.opened_at_ms),
        used_at: Time::from_ms(row.used_at_ms),
        expires_at: Time::from_ms(row.expires_at_ms),
    });
    Ok(sessions.collect())
}
