//! Settings: from a flag, else the environment, else the file named by `--config`, else a default.

mod check;
mod file;
mod kafka;
mod oidc;
mod secret;
mod shown;
mod traces;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use infra::http::Origins;
use infra::limits::{Rates, TrustedProxies};
use infra::oidc::OidcSettings;
use infra::telemetry::Format;

pub use file::File;
pub use kafka::{Kafka, KafkaSettings};
pub use oidc::Oidc;
pub use secret::Secret;
pub use shown::{Origin, Shown};
pub use traces::{TraceSettings, Traces};

/// Settings as given. Nothing is checked yet, so that all that is wrong can be told at once.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Folder with everything that is kept: log, keys, views; made if there is none
    #[arg(long, global = true, value_name = "DIR", env = "EVENTLY_DATA", default_value = "./data")]
    pub data: PathBuf,
    /// Address to serve the API at; port 0 takes a free one
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "EVENTLY_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: String,
    /// PostgreSQL database (15 or later) for the views; without it one runs inside the process
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub database_url: Option<Secret>,
    /// Log server, EventStoreDB or KurrentDB (esdb://...); without it the log is in the data folder
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EVENTLY_LOG_URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub log_url: Option<Secret>,
    /// Redis (redis://...) for a cache and counts of requests that processes share; each has its own
    /// without
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EVENTLY_REDIS_URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub redis_url: Option<Secret>,
    /// Whom public facts are fed to.
    #[command(flatten)]
    pub kafka: Kafka,
    /// Folder of what several processes of one installation share: keys, mails that are files, and the
    /// ledger of the mock payment provider; the data folder if absent
    #[arg(long, global = true, value_name = "DIR", env = "EVENTLY_SHARED", hide_short_help = true)]
    pub shared: Option<PathBuf>,
    /// Keys that wrap the keys of persons: 32 bytes in base64, the first wraps; without it one lies in
    /// the data folder
    #[arg(
        long,
        global = true,
        value_name = "KEYS",
        env = "EVENTLY_MASTER_KEY",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub master_key: Option<Secret>,
    /// Mail server, e.g. `smtp://user:password@host:587?tls=required`; without it mails are files in the
    /// data folder
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EVENTLY_SMTP_URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub smtp_url: Option<Secret>,
    /// Sender of mails, e.g. `Evently <tickets@example.org>`; needed with a mail server
    #[arg(
        long,
        global = true,
        value_name = "SENDER",
        env = "EVENTLY_MAIL_FROM",
        hide_short_help = true
    )]
    pub mail_from: Option<String>,
    /// What one may ask for in a minute (mails: an hour), and hold without buying: `on`, `off`, or what
    /// differs from
    /// `general=100,booking=10,authentication=5,account=60,mails=5,export=5,holds=5,lapsed=20`
    #[arg(
        long,
        global = true,
        value_name = "RATES",
        env = "EVENTLY_RATE_LIMITS",
        default_value = "on",
        hide_short_help = true
    )]
    pub rate_limits: String,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or networks, e.g. `10.0.0.0/8,::1`
    #[arg(
        long,
        global = true,
        value_name = "NETWORKS",
        env = "EVENTLY_TRUSTED_PROXIES",
        hide_short_help = true
    )]
    pub trusted_proxies: Option<String>,
    /// The most connections of one address at once, which is not a trusted proxy's; a quarter of those
    /// that the limit of open files allows, but at least 64, if absent
    #[arg(
        long,
        global = true,
        value_name = "NUMBER",
        env = "EVENTLY_CONNECTIONS_PER_ADDRESS",
        hide_short_help = true
    )]
    pub connections_per_address: Option<String>,
    /// The provider at which one may log in
    #[command(flatten)]
    pub oidc: Oidc,
    /// Web pages that may use the API from a browser: origins, e.g. `https://tickets.example.org`
    #[arg(
        long,
        global = true,
        value_name = "ORIGINS",
        env = "EVENTLY_CORS_ORIGINS",
        hide_short_help = true
    )]
    pub cors_origins: Option<String>,
    /// What is told on standard error, e.g. `warn` or `info,infra::log=debug`
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "EVENTLY_LOG",
        default_value = "info,sqlx=warn,pglite_oxide=warn,kurrentdb=off",
        hide_short_help = true
    )]
    pub log: String,
    /// How it is told: `text` or `json`
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "EVENTLY_LOG_FORMAT",
        default_value = "text",
        hide_short_help = true
    )]
    pub log_format: String,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
}

/// Settings that make sense.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Folder with everything that is kept.
    pub data: PathBuf,
    /// Where values for a short time are shared; each process keeps its own if absent.
    pub redis_url: Option<Secret>,
    /// Where public facts are fed to; nowhere if absent.
    pub kafka: Option<KafkaSettings>,
    /// Folder of what several processes share; the data folder if absent.
    pub shared: Option<PathBuf>,
    /// Where the API is served.
    pub listen: SocketAddr,
    /// Database of the views; one inside the process if absent.
    pub database_url: Option<Secret>,
    /// Where the log is; in the data folder if absent.
    pub log_url: Option<Secret>,
    /// What wraps the keys of persons; a file in the data folder if absent.
    pub master_key: Option<Secret>,
    /// Mail server and sender; mails are files if absent.
    pub mail: Option<(Secret, String)>,
    /// How much one may ask for; not counted if absent.
    pub rates: Option<Rates>,
    /// Proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// The most connections of one address; a share of all if absent.
    pub connections_per_address: Option<usize>,
    /// Where else one logs in, if anywhere.
    pub oidc: Option<OidcSettings>,
    /// Web pages that may use the API.
    pub origins: Origins,
    /// What is logged.
    pub log: String,
    /// How it is logged.
    pub log_format: Format,
    /// Variables of the environment that may have been meant as settings, each as a sentence.
    pub unknown: Vec<String>,
}

impl Checked {
    /// Folder of the keys and of the mock payment provider's ledger.
    pub fn shared(&self) -> &Path {
        self.shared.as_ref().unwrap_or(&self.data)
    }
}

impl Settings {
    /// Every key, in the order of declaration.
    pub const KEYS: [&'static str; 30] = [
        "data",
        "listen",
        "database_url",
        "log_url",
        "redis_url",
        "kafka_brokers",
        "kafka_partitions",
        "kafka_replication",
        "kafka_tls",
        "kafka_tls_ca",
        "kafka_user",
        "kafka_password",
        "shared",
        "master_key",
        "smtp_url",
        "mail_from",
        "rate_limits",
        "trusted_proxies",
        "connections_per_address",
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_scopes",
        "oidc_redirect_url",
        "cors_origins",
        "log",
        "log_format",
        "otel_exporter_otlp_endpoint",
        "otel_traces_sampler",
        "otel_traces_sampler_arg",
    ];

    /// Where the setting comes from.
    pub fn origin(&self, key: &str, matches: &ArgMatches, file: &File) -> Origin {
        match matches.value_source(key) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => Origin::Environment,
            _ if file.has(key) => Origin::File,
            _ => Origin::Default,
        }
    }

    /// Every setting with where it comes from, secrets masked.
    pub fn shown(&self, matches: &ArgMatches, file: &File) -> Vec<Shown> {
        let value = |key: &str| match key {
            "data" => Some(self.data.display().to_string()),
            "listen" => Some(self.listen.clone()),
            "database_url" => self.database_url.as_ref().map(ToString::to_string),
            "log_url" => self.log_url.as_ref().map(ToString::to_string),
            "redis_url" => self.redis_url.as_ref().map(ToString::to_string),
            key if key.starts_with("kafka_") => self.kafka.shown(key),
            "shared" => self.shared.as_ref().map(|shared| shared.display().to_string()),
            "master_key" => self.master_key.as_ref().map(ToString::to_string),
            "smtp_url" => self.smtp_url.as_ref().map(ToString::to_string),
            "mail_from" => self.mail_from.clone(),
            "rate_limits" => Some(self.rate_limits.clone()),
            "trusted_proxies" => self.trusted_proxies.clone(),
            "connections_per_address" => self.connections_per_address.clone(),
            key if key.starts_with("oidc_") => self.oidc.shown(key),
            "cors_origins" => self.cors_origins.clone(),
            "log" => Some(self.log.clone()),
            "log_format" => Some(self.log_format.clone()),
            key => self.traces.value(key),
        };
        let origin = |key| self.origin(key, matches, file);
        let shown = |key| Shown { key, value: value(key), origin: origin(key) };
        Self::KEYS.into_iter().map(shown).collect()
    }
}
