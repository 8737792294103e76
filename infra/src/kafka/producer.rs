//! A producer whose messages arrive, in order for each key, for as long as it takes.
//!
//! It is idempotent: a message that is sent again, because its acknowledgement was lost, is not written
//! twice, and none overtakes another. It never gives a message up: one that the brokers refuse for good
//! ends the producer with all that was behind it, so that nothing arrives behind a gap. Whoever goes on
//! does so with a new one, from the first message that was not acknowledged.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use super::client::Watch;
use super::{Deliveries, Outgoing};

/// Why a message does not arrive.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Kafka does not take a message")]
pub struct Failed(#[source] KafkaError);

impl Failed {
    /// Whether it is refused however often it is tried.
    pub fn is_too_large(&self) -> bool {
        self.0.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
    }
}

/// Sends messages. What is not acknowledged when it is dropped may or may not arrive.
pub struct Producer(ThreadedProducer<Context>);

impl Producer {
    pub(super) fn open(
        mut config: ClientConfig,
        watch: Watch,
        deliveries: Arc<dyn Deliveries>,
    ) -> Result<Self, KafkaError> {
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // However long brokers are away: a message that timed out would be a gap.
            .set("message.timeout.ms", "0")
            // Whoever sends has bounds of their own, which are below these.
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144")
            // Fuller batches for a wait that nobody notices.
            .set("linger.ms", "5")
            .set("batch.num.messages", "10000")
            .set("compression.type", "lz4")
            // As the official clients choose a partition, so that others can tell it from the key.
            .set("partitioner", "murmur2_random")
            // Topics are made with what the settings say of them.
            .set("allow.auto.create.topics", "false")
            .set("retry.backoff.max.ms", "1000");
        let context = Context { watch, deliveries };
        Ok(Self(ThreadedProducer::from_config_and_context(&config, context)?))
    }

    /// Takes a message; what becomes of it [`Deliveries`] is told. Does not wait.
    ///
    /// # Errors
    /// It cannot be taken, and will not be: it is too large, or the producer has ended.
    pub fn send(&self, message: &Outgoing<'_>) -> Result<(), Failed> {
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in message.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        // Without a time of its own: brokers count from it how long they keep a message.
        let record = BaseRecord::with_opaque_to(message.topic, message.number);
        let record = record.key(message.key).payload(message.payload).headers(headers);
        self.0.send(record).map_err(|(error, _)| Failed(error))
    }

    /// Ends it; what was not acknowledged may or may not arrive.
    pub async fn close(self) {
        // It waits for threads.
        let closed = tokio::task::spawn_blocking(move || drop(self.0)).await;
        if let Err(error) = closed {
            tracing::debug!(%error, "a producer could not be closed");
        }
    }
}

struct Context {
    watch: Watch,
    deliveries: Arc<dyn Deliveries>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.watch.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => {
                self.watch.answered();
                self.deliveries.acknowledged(number);
            }
            Err((error, _)) => self.deliveries.failed(number, Failed(error.clone())),
        }
    }
}
