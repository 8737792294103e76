//! The public feed (OP-3): facts that others may know of, as messages in Kafka, in order for each event,
//! once or more.
//!
//! Its checkpoint lies where those of the views do, in `projection.checkpoint`, and moves under the same
//! lease: of all processes one feeds. It is as the views' a thing that may be lost: everything is sent
//! again then, with the same ids.

mod contract;
mod mapping;
mod messages;
mod parked;
mod replay;
mod status;
mod window;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use infra::kafka::Kafka;
use parking_lot::Mutex;

pub use contract::{asyncapi, kinds};
pub use mapping::{of_event, of_inventory};
pub use messages::*;
pub use replay::{ReplayError, Replayed};
pub use status::FeedStatus;
pub(crate) use worker::Worker;

/// Of its checkpoint.
pub(crate) const NAME: &str = "feed";
/// Of what it sends of a record; an older program may not go on from a newer one's checkpoint.
const VERSION: i32 = 1;

/// The feed of this process. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kafka: Kafka,
    /// Acknowledged messages, by topic.
    sent: [AtomicU64; Topic::ALL.len()],
    failures: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Feed {
    /// Into these brokers.
    pub fn new(kafka: Kafka) -> Self {
        let (sent, failures, problem) = Default::default();
        Self(Arc::new(Inner { kafka, sent, failures, problem }))
    }

    /// The brokers.
    pub fn kafka(&self) -> &Kafka {
        &self.0.kafka
    }

    /// Messages that brokers acknowledged to this process.
    pub fn sent(&self) -> [(Topic, u64); Topic::ALL.len()] {
        Topic::ALL.map(|topic| (topic, self.0.sent[topic as usize].load(Ordering::Relaxed)))
    }

    /// How often this process had to begin again at the checkpoint because something failed.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// What keeps it from going on.
    fn problem(&self) -> Option<String> {
        self.0.problem.lock().clone()
    }

    fn has_sent(&self, topic: Topic) {
        self.0.sent[topic as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Says once what is wrong, for as long as it is.
    fn goes_wrong(&self, error: &str) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        if self.0.problem.lock().replace(error.to_owned()).is_none() {
            tracing::warn!(error, "the feed falls behind; trying again");
        }
    }

    fn goes_well(&self) {
        if self.0.problem.lock().take().is_some() {
            tracing::info!("the feed goes on");
        }
    }
}
