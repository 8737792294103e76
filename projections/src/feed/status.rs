//! How the feed is doing.

use infra::clock::Clock;
use infra::log::Log;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{Feed, NAME};
use crate::status::{Following, StatusError, first_parked, following, rows};

/// How the feed is doing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FeedStatus {
    /// How far it is.
    #[serde(flatten)]
    pub following: Following,
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
    let counted = async {
        let row = rows(pool).await?.remove(NAME);
        let first_parked = first_parked(pool).await?.remove(NAME);
        let head = log.head().await?;
        Ok::<_, StatusError>(following(row.as_ref(), first_parked, head, log, clock.now()).await?)
    };
    let asked = async {
        match feed {
            Some(feed) => Some(feed.kafka().is_up().await),
            None => None,
        }
    };
    // Brokers that stand still are waited for, and the longer they do, the more there is to count.
    let (following, brokers_answer) = tokio::join!(counted, asked);
    let problem = feed.and_then(Feed::problem);
    Ok(FeedStatus { following: following?, brokers_answer, problem })
}
