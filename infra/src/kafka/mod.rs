//! Kafka, for what others are told: topics, and a producer that loses nothing and keeps order.
//!
//! Brokers may be away at any time, from the first: nothing here waits for them but what is asked to,
//! and what is told of them is told once for each change. The link to them is plain text, or TLS where the
//! feature `kafka-tls` is on, which brings OpenSSL.
//!
//! Without the feature `kafka` there is no client, and whoever names brokers is refused.

#[cfg(not(feature = "kafka"))]
mod absent;
#[cfg(feature = "kafka")]
mod client;
mod link;
#[cfg(feature = "kafka")]
mod producer;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "kafka")]
mod topics;

#[cfg(not(feature = "kafka"))]
pub use absent::{Failed, Kafka, OpenError, Producer, TopicsError};
#[cfg(feature = "kafka")]
pub use client::{Kafka, OpenError};
pub use link::{Link, LinkError, Login, Tls};
#[cfg(feature = "kafka")]
pub use producer::{Failed, Producer};
#[cfg(feature = "kafka")]
pub use topics::TopicsError;

/// No brokers can be used by that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokersError {
    /// The text names none.
    #[error("expected brokers like one.example.org:9092,two.example.org:9092")]
    Form,
    /// The program has no client of Kafka.
    #[error(
        "this program was built without Kafka; build it with `cargo build --release -p evently \
         --features kafka`, which takes make and a C++ compiler"
    )]
    NotBuilt,
}

/// Whether the text names brokers, separated by commas, each with its port.
fn is_list(brokers: &str) -> bool {
    let is_broker = |broker: &str| {
        let Some((host, port)) = broker.trim().rsplit_once(':') else { return false };
        let is_sound = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        !host.is_empty() && host.chars().all(is_sound) && port.parse::<u16>().is_ok()
    };
    brokers.split(',').all(is_broker)
}

/// How topics are made that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// In so many parts: as many readers of one group can share a topic.
    pub partitions: i32,
    /// In so many copies; as the brokers' own setting says if absent.
    pub replication: Option<i32>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self { partitions: 12, replication: None }
    }
}

/// A message to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Given back with what became of it.
    pub number: usize,
    /// Where to.
    pub topic: &'a str,
    /// Messages of one key stay in order.
    pub key: &'a str,
    /// Names and values.
    pub headers: &'a [(&'static str, String)],
    /// What it says.
    pub payload: &'a [u8],
}

/// Is told what became of messages, on a thread of the client: it may not wait for anything.
pub trait Deliveries: Send + Sync + 'static {
    /// All replicas that have to have it have the message that was given this number.
    fn acknowledged(&self, number: usize);

    /// The message will not arrive, and neither will any that was sent after it.
    fn failed(&self, number: usize, why: Failed);
}
