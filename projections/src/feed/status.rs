//! How the feed is doing.

use infra::clock::Clock;
use infra::log::{Log, Position};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{Feed, NAME};
use crate::status::{Behind, FirstParked, StatusError, first_parked, lag, rows};

/// How the feed is doing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FeedStatus {
    /// Everything up to here was acknowledged by the brokers.
    pub position: u64,
    /// Where the log ends.
    pub head: u64,
    /// Records of the log that were not acknowledged yet; counted up to 10000.
    pub lag_records: u64,
    /// Whether there are more of them than were counted.
    pub lag_exceeded: bool,
    /// Seconds since the first of them was decided.
    pub lag_seconds: f64,
    /// Records of which nothing can be told.
    pub parked: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_parked: Option<FirstParked>,
    /// Whether brokers answer the process that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers_answer: Option<bool>,
    /// What keeps the feed from going on, if it is the process that was asked which keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How it is, as the database has it; `feed` also knows of the brokers.
pub(crate) async fn status(
    feed: Option<&Feed>,
    pool: &PgPool,
    log: &dyn Log,
    clock: &dyn Clock,
) -> Result<FeedStatus, StatusError> {
    let row = rows(pool).await?.remove(NAME);
    let first_parked = first_parked(pool).await?.remove(NAME);
    let position = row.as_ref().map_or(Position(0), |row| row.position);
    let head = log.head().await?;
    let behind = match position < head {
        true => lag(log, position, clock.now()).await?,
        false => Behind::default(),
    };
    let brokers_answer = match feed {
        Some(feed) => Some(feed.kafka().is_up().await),
        None => None,
    };
    Ok(FeedStatus {
        position: position.0,
        head: head.0,
        lag_records: behind.records,
        lag_exceeded: behind.is_exceeded,
        lag_seconds: behind.seconds,
        parked: row.map_or(0, |row| row.parked),
        first_parked,
        brokers_answer,
        problem: feed.and_then(Feed::problem),
    })
}
