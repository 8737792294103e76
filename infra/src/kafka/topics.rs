//! Topics, made where they are missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{Kafka, TopicSettings};

/// How long brokers may take to say which topics there are, and to make some.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why topics cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// Nobody answers.
    #[error("no Kafka broker answers")]
    Away(#[source] KafkaError),
    /// One is missing, and cannot be made.
    #[error(
        "the topic {topic} is missing and cannot be made ({reason}); make it by hand, in as many \
         partitions as its readers may need, or mend what is wrong"
    )]
    Missing {
        /// Its name.
        topic: String,
        /// What the brokers say.
        reason: RDKafkaErrorCode,
    },
}

impl Kafka {
    /// Makes those of `topics` that are not there.
    ///
    /// # Errors
    /// See [`TopicsError`].
    pub async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TopicsError> {
        let there = self.topics_there().await.map_err(TopicsError::Away)?;
        let TopicSettings { partitions, replication } = self.topics();
        // The brokers' own number of copies is asked for with -1.
        let copies = replication.unwrap_or(-1);
        let missing = topics.iter().filter(|topic| !there.contains(**topic));
        let missing: Vec<_> = missing
            .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(copies)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let patience = Some(PATIENCE);
        let options = AdminOptions::new().request_timeout(patience).operation_timeout(patience);
        let made = self.admin().create_topics(&missing, &options).await;
        for made in made.map_err(TopicsError::Away)? {
            match made {
                Ok(topic) => tracing::info!(topic, partitions, "made a topic in Kafka"),
                // Another process was first.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, reason)) => return Err(TopicsError::Missing { topic, reason }),
            }
        }
        Ok(())
    }

    async fn topics_there(&self) -> Result<BTreeSet<String>, KafkaError> {
        let admin = Arc::clone(self.admin());
        let ask = move || {
            let all = admin.inner().fetch_metadata(None, PATIENCE)?;
            Ok(all.topics().iter().map(|topic| topic.name().to_owned()).collect())
        };
        let asked = tokio::task::spawn_blocking(ask).await;
        asked.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(KafkaError::Canceled),
        })
    }
}
