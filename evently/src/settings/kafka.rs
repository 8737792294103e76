//! Settings of the brokers that public facts are fed to.

use std::path::PathBuf;

use infra::kafka::{Link, Login, Tls, TopicSettings};

use super::Secret;
use super::check::or_wrong;

/// As given.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Kafka {
    /// Kafka brokers (HOST:PORT, with commas) that public facts are fed to, by whoever keeps the views;
    /// without them there is no feed
    #[arg(
        long,
        global = true,
        value_name = "BROKERS",
        env = "EVENTLY_KAFKA_BROKERS",
        hide_short_help = true
    )]
    pub kafka_brokers: Option<String>,
    /// In how many partitions the feed's topics are made that are missing
    #[arg(
        long,
        global = true,
        value_name = "NUMBER",
        env = "EVENTLY_KAFKA_PARTITIONS",
        default_value = "12",
        hide_short_help = true
    )]
    pub kafka_partitions: String,
    /// In how many copies they are made; as the brokers' own setting says if absent
    #[arg(
        long,
        global = true,
        value_name = "NUMBER",
        env = "EVENTLY_KAFKA_REPLICATION",
        hide_short_help = true
    )]
    pub kafka_replication: Option<String>,
    /// Whether brokers are spoken to over TLS: `on` or `off`
    #[arg(
        long,
        global = true,
        value_name = "SWITCH",
        env = "EVENTLY_KAFKA_TLS",
        default_value = "off",
        hide_short_help = true
    )]
    pub kafka_tls: String,
    /// File of the certificates (PEM) that vouch for brokers; those that the system trusts if absent
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "EVENTLY_KAFKA_TLS_CA",
        hide_short_help = true
    )]
    pub kafka_tls_ca: Option<PathBuf>,
    /// Name that brokers know this program by (SCRAM-SHA-512, over TLS)
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "EVENTLY_KAFKA_USER",
        hide_short_help = true
    )]
    pub kafka_user: Option<String>,
    /// Its password
    #[arg(
        long,
        global = true,
        value_name = "PASSWORD",
        env = "EVENTLY_KAFKA_PASSWORD",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub kafka_password: Option<Secret>,
}

/// Where public facts are fed to.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Brokers, with commas.
    pub brokers: String,
    /// How they are spoken to.
    pub link: Link,
    /// How topics are made that are missing.
    pub topics: TopicSettings,
}

impl Kafka {
    /// The brokers, if any are named.
    pub(super) fn check(&self, wrong: &mut Vec<String>) -> Option<KafkaSettings> {
        let mut number = |key: &str, text: &str| {
            let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
            let problem = format!("expected a number from 1 to 10000, not {text:?}");
            or_wrong(wrong, key, number.ok_or(problem))
        };
        let partitions = number("kafka_partitions", &self.kafka_partitions);
        let replication = self.kafka_replication.as_deref().filter(|text| !text.is_empty());
        let replication = replication.map(|text| number("kafka_replication", text));
        let link = Link { tls: self.tls(wrong) };
        let brokers = self.kafka_brokers.clone().filter(|brokers| !brokers.is_empty())?;
        or_wrong(wrong, "kafka_brokers", infra::kafka::Kafka::check(&brokers));
        let key = link.tls.as_ref().and_then(|tls| tls.authorities.as_ref());
        let key = if key.is_some() { "kafka_tls_ca" } else { "kafka_tls" };
        or_wrong(wrong, key, link.check());
        Some(KafkaSettings { brokers, link, topics: TopicSettings { partitions, replication } })
    }

    fn tls(&self, wrong: &mut Vec<String>) -> Option<Tls> {
        let is_on = match self.kafka_tls.as_str() {
            "on" => Ok(true),
            "off" | "" => Ok(false),
            other => Err(format!("expected on or off, not {other:?}")),
        };
        let is_wrong = is_on.is_err();
        let is_on = or_wrong(wrong, "kafka_tls", is_on);
        let login = self.login(wrong);
        let file = self.kafka_tls_ca.as_ref().filter(|file| !file.as_os_str().is_empty());
        if !is_on {
            if !is_wrong && (login.is_some() || file.is_some()) {
                wrong.push(
                    "kafka_tls_ca (EVENTLY_KAFKA_TLS_CA) and kafka_user (EVENTLY_KAFKA_USER) take \
                     kafka_tls (EVENTLY_KAFKA_TLS): on"
                        .to_owned(),
                );
            }
            return None;
        }
        let authorities = file.map(|file| {
            let read = std::fs::read_to_string(file);
            let read = read.map_err(|error| format!("{}: {error}", file.display()));
            or_wrong(wrong, "kafka_tls_ca", read)
        });
        Some(Tls { authorities, login })
    }

    fn login(&self, wrong: &mut Vec<String>) -> Option<Login> {
        let user = self.kafka_user.clone().filter(|user| !user.is_empty());
        let password = self.kafka_password.as_ref().filter(|password| !password.is_empty());
        match (user, password) {
            (Some(user), Some(password)) => {
                Some(Login { user, password: password.reveal().to_owned() })
            }
            (None, None) => None,
            _ => {
                wrong.push(
                    "a name at the brokers takes both kafka_user (EVENTLY_KAFKA_USER) and \
                     kafka_password (EVENTLY_KAFKA_PASSWORD)"
                        .to_owned(),
                );
                None
            }
        }
    }

    /// A setting as it is shown, secrets masked.
    pub(super) fn shown(&self, key: &str) -> Option<String> {
        match key {
            "kafka_brokers" => self.kafka_brokers.clone(),
            "kafka_partitions" => Some(self.kafka_partitions.clone()),
            "kafka_replication" => self.kafka_replication.clone(),
            "kafka_tls" => Some(self.kafka_tls.clone()),
            "kafka_tls_ca" => self.kafka_tls_ca.as_ref().map(|file| file.display().to_string()),
            "kafka_user" => self.kafka_user.clone(),
            _ => self.kafka_password.as_ref().map(ToString::to_string),
        }
    }
}
