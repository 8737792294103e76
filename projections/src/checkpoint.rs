//! How far a copy of a view is: its row in `projection.checkpoint`.
//!
//! Whoever changes a view holds the lock on this row until the transaction ends, so two never
//! apply the same record.

use domain::Time;
use infra::log::Position;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::columns::position;

/// What the row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Of the projection that filled the tables.
    pub(crate) version: i32,
    /// Everything up to here is in the tables, or parked.
    pub(crate) position: Position,
    /// How many records are parked.
    pub(crate) parked: i32,
}

/// The row of `name`, if there is one.
pub(crate) async fn load(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<Checkpoint>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT version, position, parked FROM projection.checkpoint WHERE name = $1",
        name,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let position = Position(row.position.cast_unsigned());
        Checkpoint { version: row.version, position, parked: row.parked }
    }))
}

/// The same, and nobody else changes the view before this transaction ends.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<Checkpoint>, sqlx::Error> {
    sqlx::query!("SELECT FROM projection.checkpoint WHERE name = $1 FOR UPDATE", name)
        .fetch_optional(&mut *connection)
        .await?;
    load(connection, name).await
}

/// Begins at position zero, unless it has begun.
pub(crate) async fn create(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
    now: Time,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO projection.checkpoint (name, version, position, updated_at)
         VALUES ($1, $2, 0, $3) ON CONFLICT (name) DO NOTHING",
        name,
        version,
        now.as_chrono(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves on from where `at` says; gives how many records are parked. `None`, and nothing happens,
/// when the view is elsewhere: someone else moved it, or put another version in its place. A copy
/// is moved only by the `owner` of its rebuild.
///
/// The transaction then need not wait for the disk: what a crash takes is taken together with the
/// checkpoint, and is applied again.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    name: &str,
    at: Checkpoint,
    to: Position,
    owner: Option<Uuid>,
    now: Time,
) -> Result<Option<i32>, sqlx::Error> {
    let row = sqlx::query!(
        "UPDATE projection.checkpoint SET position = $4, updated_at = $5
         WHERE name = $1 AND version = $2 AND position = $3
            AND ($6::uuid IS NULL OR EXISTS (SELECT FROM projection.rebuild WHERE owner = $6))
         RETURNING parked, set_config('synchronous_commit', 'off', true)",
        name,
        at.version,
        position(at.position),
        position(to),
        now.as_chrono(),
        owner,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.parked))
}
