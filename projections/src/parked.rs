//! Records that could not be applied, and those behind them in the same stream.

use std::collections::HashSet;

use domain::Time;
use infra::log::{Position, Record};
use sqlx::PgConnection;

use crate::columns::position;

/// A parked record, by its place in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) position: Position,
    pub(crate) revision: u64,
}

/// Streams of which records are parked: what follows in them has to wait.
pub(crate) async fn streams(
    connection: &mut PgConnection,
    name: &str,
) -> Result<HashSet<String>, sqlx::Error> {
    let streams = sqlx::query_scalar!(
        "SELECT DISTINCT stream FROM projection.parked WHERE projection = $1",
        name,
    )
    .fetch_all(connection)
    .await?;
    Ok(streams.into_iter().collect())
}

/// The same streams, the one that was parked first at the beginning.
pub(crate) async fn streams_in_order(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT stream FROM projection.parked WHERE projection = $1
         GROUP BY stream ORDER BY min(position)",
        name,
    )
    .fetch_all(connection)
    .await
}

/// The first parked records of `stream`, up to `limit`, in order.
pub(crate) async fn of_stream(
    connection: &mut PgConnection,
    name: &str,
    stream: &str,
    limit: i64,
) -> Result<Vec<Parked>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT position, revision FROM projection.parked
         WHERE projection = $1 AND stream = $2 ORDER BY revision LIMIT $3",
        name,
        stream,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let parked = rows.into_iter().map(|row| Parked {
        position: Position(row.position.cast_unsigned()),
        revision: row.revision.cast_unsigned(),
    });
    Ok(parked.collect())
}

/// Parks records: a poisonous one with `attempts` 1, those that wait behind it with 0.
pub(crate) async fn park(
    connection: &mut PgConnection,
    name: &str,
    records: &[&Record],
    error: &str,
    attempts: i32,
    now: Time,
) -> Result<(), sqlx::Error> {
    let positions: Vec<i64> = records.iter().map(|record| position(record.position)).collect();
    let streams: Vec<&str> = records.iter().map(|record| &*record.stream).collect();
    let revisions: Vec<i64> = records.iter().map(|record| record.revision.cast_signed()).collect();
    let kinds: Vec<&str> = records.iter().map(|record| &*record.kind).collect();
    sqlx::query!(
        "INSERT INTO projection.parked
            (projection, position, stream, revision, kind, error, parked_at, attempts)
         SELECT $1, position, stream, revision, kind, $6, $7, $8
         FROM UNNEST($2::bigint[], $3::text[], $4::bigint[], $5::text[])
            AS new (position, stream, revision, kind)",
        name,
        &positions,
        &streams as &[&str],
        &revisions,
        &kinds as &[&str],
        error,
        now.as_chrono(),
        attempts,
    )
    .execute(&mut *connection)
    .await?;
    count(connection, name).await
}

/// Takes records out: they were applied.
pub(crate) async fn release(
    connection: &mut PgConnection,
    name: &str,
    records: &[Parked],
) -> Result<(), sqlx::Error> {
    let positions: Vec<i64> = records.iter().map(|record| position(record.position)).collect();
    sqlx::query!(
        "DELETE FROM projection.parked WHERE projection = $1 AND position = ANY($2)",
        name,
        &positions,
    )
    .execute(&mut *connection)
    .await?;
    count(connection, name).await
}

/// Notes that a record could not be applied once more.
pub(crate) async fn failed_again(
    connection: &mut PgConnection,
    name: &str,
    record: Parked,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE projection.parked SET error = $3, attempts = attempts + 1
         WHERE projection = $1 AND position = $2",
        name,
        position(record.position),
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Brings the checkpoint's count up to date, for those who read only that.
pub(crate) async fn count(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE projection.checkpoint SET parked =
            (SELECT count(*)::integer FROM projection.parked WHERE projection = $1)
         WHERE name = $1",
        name,
    )
    .execute(connection)
    .await?;
    Ok(())
}
