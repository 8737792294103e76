//! How every projection is doing (OP-1).

use std::collections::HashMap;
use std::time::Duration;

use domain::Time;
use infra::clock::Clock;
use infra::log::{Log, Position, ReadError};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::Projection;

/// Records behind the log's end that are counted at most.
pub const MOST_LAG: usize = 10_000;

/// How far something is that follows the log: a view, or the feed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Following {
    /// Everything up to here is in the view, or was acknowledged by the brokers.
    pub position: u64,
    /// Where the log ends.
    pub head: u64,
    /// Records of the log that are not there yet; counted up to 10000.
    pub lag_records: u64,
    /// Whether there are more of them than were counted.
    pub lag_exceeded: bool,
    /// Seconds since the first of them was decided.
    pub lag_seconds: f64,
    /// Records that could not be applied, and those behind them; or of which nothing can be told.
    pub parked: u64,
    /// The first of them that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_parked: Option<FirstParked>,
}

/// How one projection is doing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// The view's name.
    pub name: &'static str,
    /// Of the rows that are read.
    pub version: i32,
    /// What this program would make of the log; greater while the view is being brought up.
    pub known_version: i32,
    /// How far it is.
    #[serde(flatten)]
    pub following: Following,
    /// The rebuild that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
    /// The last rebuild that ended in the process that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rebuild: Option<LastRebuild>,
}

/// A record that could not be applied.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FirstParked {
    /// Where in the log it is.
    pub position: u64,
    /// In which stream.
    pub stream: String,
    /// What it is.
    pub kind: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was parked, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    pub parked_at: Time,
    /// Why; may speak of the database, and is for operators only.
    #[serde(skip)]
    pub error: String,
}

/// How far a rebuild is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RebuildStatus {
    /// Everything up to here is in the new copy.
    pub position: u64,
    /// Where the log ended when it was last asked.
    pub target: u64,
    /// When it began, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Time,
}

/// How a rebuild ended.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LastRebuild {
    /// When, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Time,
    /// Why the view is as it was before; absent if it was built again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Why it cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The database failed.
    #[error("the database cannot be asked how far the views are")]
    Database(#[from] sqlx::Error),
    /// The log failed.
    #[error("the log cannot be asked where it ends")]
    Log(#[from] ReadError),
}

/// How each of `views` is doing, in their order.
pub(crate) async fn status(
    views: &[&'static dyn Projection],
    pool: &PgPool,
    log: &dyn Log,
    clock: &dyn Clock,
) -> Result<Vec<Status>, StatusError> {
    let mut rows = rows(pool).await?;
    let mut parked = first_parked(pool).await?;
    // Asked last, so that no view is ahead of it.
    let head = log.head().await?;
    let mut all = Vec::with_capacity(views.len());
    for view in views {
        let (name, known_version) = (view.name(), view.version());
        let row = rows.remove(name);
        let first_parked = parked.remove(name);
        let following = following(row.as_ref(), first_parked, head, log, clock.now()).await?;
        let version = row.as_ref().map_or(known_version, |row| row.version);
        let (rebuild, last_rebuild) = (row.and_then(|row| row.rebuild), None);
        all.push(Status { name, version, known_version, following, rebuild, last_rebuild });
    }
    Ok(all)
}

/// How far whoever has this row is in a log that ends at `head`.
pub(crate) async fn following(
    row: Option<&Row>,
    first_parked: Option<FirstParked>,
    head: Position,
    log: &dyn Log,
    now: Time,
) -> Result<Following, ReadError> {
    let position = row.map_or(Position(0), |row| row.position);
    let behind = match position < head {
        true => lag(log, position, now).await?,
        false => Behind::default(),
    };
    Ok(Following {
        position: position.0,
        head: head.0,
        lag_records: behind.records,
        lag_exceeded: behind.is_exceeded,
        lag_seconds: behind.seconds,
        parked: row.map_or(0, |row| row.parked),
        first_parked,
    })
}

/// How far behind the log a view is.
#[derive(Debug, Default, PartialEq)]
struct Behind {
    records: u64,
    /// There are more than are counted.
    is_exceeded: bool,
    /// Since the first of them was decided.
    seconds: f64,
}

/// Positions are not a count: what is missing is counted, and timed by its first record.
async fn lag(log: &dyn Log, after: Position, now: Time) -> Result<Behind, ReadError> {
    // One more than is counted stands for more.
    let missing = log.read_all(after, MOST_LAG + 1).await?;
    let since_ms = missing.first().map_or(0, |first| now.ms_since(first.at));
    Ok(Behind {
        records: missing.len().min(MOST_LAG) as u64,
        is_exceeded: missing.len() > MOST_LAG,
        seconds: Duration::from_millis(since_ms).as_secs_f64(),
    })
}

pub(crate) struct Row {
    version: i32,
    position: Position,
    parked: u64,
    rebuild: Option<RebuildStatus>,
}

pub(crate) async fn rows(pool: &PgPool) -> Result<HashMap<String, Row>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT name, version, checkpoint.position, parked,
            rebuild.position AS "rebuild_position?", target AS "target?",
            started_at AS "started_at?"
           FROM projection.checkpoint LEFT JOIN projection.rebuild USING (name)"#
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let rebuild = row.started_at.map(|started_at| RebuildStatus {
            position: row.rebuild_position.unwrap_or(0).cast_unsigned(),
            target: row.target.unwrap_or(0).cast_unsigned(),
            started_at: started_at.into(),
        });
        let position = Position(row.position.cast_unsigned());
        let parked = u64::try_from(row.parked).unwrap_or(0);
        (row.name, Row { version: row.version, position, parked, rebuild })
    });
    Ok(rows.collect())
}

pub(crate) async fn first_parked(
    pool: &PgPool,
) -> Result<HashMap<String, FirstParked>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (projection) projection, position, stream, kind, error, parked_at,
            attempts
         FROM projection.parked WHERE attempts > 0 ORDER BY projection, position"
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let first = FirstParked {
            position: row.position.cast_unsigned(),
            stream: row.stream,
            kind: row.kind,
            attempts: row.attempts,
            parked_at: row.parked_at.into(),
            error: row.error,
        };
        (row.projection, first)
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
    use infra::log::{Expected, NewRecord};
    use uuid::Uuid;

    use super::*;

    fn record(number: usize) -> NewRecord {
        NewRecord {
            id: Uuid::from_u128(number as u128),
            kind: "Noted".into(),
            version: 1,
            at: Time::from_ms(1_000),
            metadata: "{}".into(),
            data: "{}".into(),
        }
    }

    #[tokio::test]
    async fn records_behind_are_counted_up_to_ten_thousand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let log = EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap();
        let now = Time::from_ms(3_500);
        assert_eq!(lag(&log, Position(0), now).await.unwrap(), Behind::default());
        let records = (0..MOST_LAG).map(record).collect();
        log.append("s", Expected::NoStream, records).await.unwrap();
        let behind = lag(&log, Position(0), now).await.unwrap();
        assert_eq!(behind, Behind { records: 10_000, is_exceeded: false, seconds: 2.5 });
        log.append("s", Expected::Any, vec![record(MOST_LAG)]).await.unwrap();
        let behind = lag(&log, Position(0), now).await.unwrap();
        assert_eq!(behind, Behind { records: 10_000, is_exceeded: true, seconds: 2.5 });
        let behind = lag(&log, Position(1), now).await.unwrap();
        assert_eq!(behind, Behind { records: 10_000, is_exceeded: false, seconds: 2.5 });
    }
}
