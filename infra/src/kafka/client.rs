//! Brokers, and what is known of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::producer::Producer;
use super::{BrokersError, Deliveries, Link, LinkError, TopicSettings, is_list};

/// How long somebody waits who only wants to know whether brokers answer.
const CHECK_PATIENCE: Duration = Duration::from_secs(1);
/// How long that is good to know.
const FRESH: Duration = Duration::from_secs(1);

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No brokers are named.
    #[error(transparent)]
    Address(#[from] BrokersError),
    /// They cannot be spoken to so.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The operating system gives no threads, or the authorities are not understood.
    #[error("no client of Kafka can be made")]
    Client(#[source] KafkaError),
}

/// Brokers, and what is known of them. Cloning shares it.
#[derive(Clone)]
pub struct Kafka(Arc<Inner>);

struct Inner {
    brokers: String,
    link: Link,
    topics: TopicSettings,
    /// For questions; what is sent has clients of its own.
    admin: Arc<AdminClient<Watch>>,
    watch: Watch,
    /// When brokers were last asked whether they are there, and what was wrong.
    asked: Mutex<Option<(Instant, Option<String>)>>,
}

impl Kafka {
    /// Prepares to use `brokers`, separated by commas, over `link`. They are connected to in the
    /// background.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(brokers: &str, link: &Link, topics: TopicSettings) -> Result<Self, OpenError> {
        Self::check(brokers)?;
        link.check()?;
        let watch = Watch::default();
        let config = common(brokers, link);
        let admin = AdminClient::from_config_and_context(&config, watch.clone());
        let admin = Arc::new(admin.map_err(OpenError::Client)?);
        let (brokers, link, asked) = (brokers.to_owned(), link.clone(), Mutex::default());
        Ok(Self(Arc::new(Inner { brokers, link, topics, admin, watch, asked })))
    }

    /// Whether `brokers` is a list that [`Kafka::open`] takes.
    ///
    /// # Errors
    /// It is not.
    pub fn check(brokers: &str) -> Result<(), BrokersError> {
        is_list(brokers).then_some(()).ok_or(BrokersError::Form)
    }

    /// Whether any broker answers, within a second.
    pub async fn is_up(&self) -> bool {
        self.trouble().await.is_none()
    }

    /// Why no broker answers, if none does within a second.
    pub async fn trouble(&self) -> Option<String> {
        let mut asked = self.0.asked.lock().await;
        if let Some((at, trouble)) = &*asked
            && at.elapsed() < FRESH
        {
            return trouble.clone();
        }
        let admin = Arc::clone(&self.0.admin);
        let ask = move || admin.inner().fetch_metadata(None, CHECK_PATIENCE).map(|_| ());
        let trouble = match tokio::task::spawn_blocking(ask).await {
            Ok(Ok(())) => {
                self.0.watch.answered();
                *self.0.watch.reason.lock() = None;
                None
            }
            // What the client says by itself tells more than that there was no answer.
            Ok(Err(error)) => {
                let reason = self.0.watch.reason.lock().clone();
                Some(reason.unwrap_or_else(|| error.to_string()))
            }
            Err(error) => Some(error.to_string()),
        };
        *asked = Some((Instant::now(), trouble.clone()));
        trouble
    }

    /// A producer of its own, whose messages' fate `deliveries` is told.
    ///
    /// # Errors
    /// The operating system gives no threads.
    pub fn producer(&self, deliveries: Arc<dyn Deliveries>) -> Result<Producer, OpenError> {
        let config = common(&self.0.brokers, &self.0.link);
        Producer::open(config, self.0.watch.clone(), deliveries).map_err(OpenError::Client)
    }
}

impl Kafka {
    pub(super) fn admin(&self) -> &Arc<AdminClient<Watch>> {
        &self.0.admin
    }

    pub(super) fn topics(&self) -> TopicSettings {
        self.0.topics
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("brokers", &self.0.brokers).finish_non_exhaustive()
    }
}

/// What every client is told.
fn common(brokers: &str, link: &Link) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "evently")
        // Those that come back are found soon.
        .set("reconnect.backoff.max.ms", "2000")
        // One that stands still is left after a while, and another one asked.
        .set("socket.timeout.ms", "10000")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    encrypt(&mut config, link);
    config
}

/// Has a client speak over TLS, if the link is one.
fn encrypt(config: &mut ClientConfig, link: &Link) {
    let Some(tls) = &link.tls else { return };
    config.set("security.protocol", "ssl").set("ssl.endpoint.identification.algorithm", "https");
    match &tls.authorities {
        Some(pem) => config.set("ssl.ca.pem", pem),
        // Wherever this system has them: the library knows of no folder by itself.
        None => config.set("ssl.ca.location", "probe"),
    };
    if let Some(login) = &tls.login {
        config
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanism", "SCRAM-SHA-512")
            .set("sasl.username", &login.user)
            .set("sasl.password", &login.password);
    }
}

/// Whether brokers are there, as far as clients say by themselves. Said once for each change.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    is_away: Arc<AtomicBool>,
    /// What the client said last of a broker that did not answer, since one did that was asked.
    reason: Arc<parking_lot::Mutex<Option<String>>>,
}

impl Watch {
    /// A broker answered.
    pub(super) fn answered(&self) {
        // Most of the time nothing has to be written.
        if self.is_away.load(Ordering::Relaxed) && self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("Kafka answers again");
        }
    }
}

impl ClientContext for Watch {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let all_away = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if !all_away {
            *self.reason.lock() = Some(reason.to_owned());
        }
        if all_away && !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason, "no Kafka broker answers; what is to be sent waits");
        } else {
            tracing::debug!(%error, reason, "Kafka");
        }
    }
}
