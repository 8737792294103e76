//! How the feed is doing.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Feed, NAME};
use crate::Projections;
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

impl Projections {
    /// How the feed is doing, also where there is no Kafka any more: as the database has it, and what
    /// this process knows of the brokers.
    ///
    /// # Errors
    /// See [`StatusError`].
    pub async fn feed_status(&self) -> Result<FeedStatus, StatusError> {
        let feed = self.feed.as_ref();
        let counted = async {
            let row = rows(&self.pool).await?.remove(NAME);
            let first_parked = first_parked(&self.pool).await?.remove(NAME);
            let head = self.log.head().await?;
            Ok::<_, StatusError>(
                following(row.as_ref(), first_parked, head, &*self.log, self.clock.now()).await?,
            )
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
}
