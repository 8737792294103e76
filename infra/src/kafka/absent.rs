//! In place of the client, where the feature `kafka` is off. Nobody ever has one.

use std::convert::Infallible;
use std::sync::Arc;

use super::{BrokersError, Deliveries, Link, Outgoing, TopicSettings, is_list};

/// Brokers.
#[derive(Debug, Clone)]
pub struct Kafka(Infallible);

/// Sends messages.
pub struct Producer(Infallible);

/// There is no client.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Of these brokers.
    #[error(transparent)]
    Address(#[from] BrokersError),
}

/// Why topics cannot be sent to.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TopicsError(Infallible);

/// Why a message does not arrive.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Failed(Infallible);

impl Failed {
    /// Whether it is refused however often it is tried.
    pub fn is_too_large(&self) -> bool {
        match self.0 {}
    }
}

impl Kafka {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn open(brokers: &str, _: &Link, _: TopicSettings) -> Result<Self, OpenError> {
        Err(refusal(brokers).into())
    }

    /// Says that brokers cannot be used, or that these are none.
    ///
    /// # Errors
    /// Always.
    pub fn check(brokers: &str) -> Result<(), BrokersError> {
        Err(refusal(brokers))
    }

    /// Whether any broker answers.
    pub async fn is_up(&self) -> bool {
        match self.0 {}
    }

    /// Why none does.
    pub async fn trouble(&self) -> Option<String> {
        match self.0 {}
    }

    /// Makes those of `topics` that are not there.
    ///
    /// # Errors
    /// None.
    pub async fn ensure_topics(&self, _: &[&str]) -> Result<(), TopicsError> {
        match self.0 {}
    }

    /// A producer.
    ///
    /// # Errors
    /// None.
    pub fn producer(&self, _: Arc<dyn Deliveries>) -> Result<Producer, OpenError> {
        match self.0 {}
    }
}

fn refusal(brokers: &str) -> BrokersError {
    if is_list(brokers) { BrokersError::NotBuilt } else { BrokersError::Form }
}

impl Producer {
    /// Takes a message.
    ///
    /// # Errors
    /// None.
    pub fn send(&self, _: &Outgoing<'_>) -> Result<(), Failed> {
        match self.0 {}
    }

    /// Ends it.
    pub async fn close(self) {
        match self.0 {}
    }
}
