//! Settings: from a flag, else the environment, else the file named by `--config`, else a default.

mod file;
mod secret;
mod shown;
mod traces;

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;
use infra::clock::SystemClock;
use infra::http::Origins;
use infra::identity::MasterKeys;
use infra::limits::{Rates, TrustedProxies};
use infra::log::eventstore::EventStoreLog;
use infra::mail::{AddressError, SmtpMailer};
use infra::redis::SharedCache;
use infra::telemetry::Format;

pub use file::File;
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
    /// Redis (redis://...) for a cache that processes share; each has its own without
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "EVENTLY_REDIS_URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub redis_url: Option<Secret>,
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
    /// What one may ask for in a minute, and hold without buying: `on`, `off`, or what differs from
    /// `general=100,booking=10,authentication=5,holds=5,lapsed=20`
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
        default_value = "info,sqlx=warn,pglite_oxide=warn",
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
    /// Web pages that may use the API.
    pub origins: Origins,
    /// What is logged.
    pub log: String,
    /// How it is logged.
    pub log_format: Format,
}

impl Checked {
    /// Folder of the keys and of the mock payment provider's ledger.
    pub fn shared(&self) -> &Path {
        self.shared.as_ref().unwrap_or(&self.data)
    }
}

impl Settings {
    /// Every key, in the order of declaration.
    pub const KEYS: [&'static str; 17] = [
        "data",
        "listen",
        "database_url",
        "log_url",
        "redis_url",
        "shared",
        "master_key",
        "smtp_url",
        "mail_from",
        "rate_limits",
        "trusted_proxies",
        "cors_origins",
        "log",
        "log_format",
        "otel_exporter_otlp_endpoint",
        "otel_traces_sampler",
        "otel_traces_sampler_arg",
    ];

    /// What the product goes by.
    ///
    /// # Errors
    /// Everything that is wrong, each as a sentence.
    pub fn check(&self) -> Result<Checked, Vec<String>> {
        let mut wrong = vec![];
        let listen = address(&self.listen).map_err(|problem| wrong.push(problem)).ok();
        let database_url = self.database_url.clone().filter(|url| !url.is_empty());
        if let Some(url) = &database_url
            && !is_database(url.reveal())
        {
            wrong.push(
                "database_url (DATABASE_URL) is not an address like \
                 postgres://user:password@host:5432/database"
                    .to_owned(),
            );
        }
        let log_url = self.log_url.clone().filter(|url| !url.is_empty());
        if let Some(url) = &log_url
            && let Err(error) = EventStoreLog::check(url.reveal())
        {
            wrong.push(format!("log_url (EVENTLY_LOG_URL): {error}"));
        }
        let master_key = self.master_key.clone().filter(|keys| !keys.is_empty());
        if let Some(keys) = &master_key
            && let Err(error) = MasterKeys::parse(keys.reveal())
        {
            wrong.push(format!("master_key (EVENTLY_MASTER_KEY): {error}"));
        }
        let mail = self.mail(&mut wrong);
        let (rates, trusted_proxies, origins) = self.edge(&mut wrong);
        let redis_url = self.redis_url.clone().filter(|url| !url.is_empty());
        if let Some(url) = &redis_url
            && let Err(error) = SharedCache::check(url.reveal())
        {
            wrong.push(format!("redis_url (EVENTLY_REDIS_URL): {error}"));
        }
        if let Err(error) = infra::telemetry::check(&self.log) {
            wrong.push(format!("log: {error}"));
        }
        let log_format = self.log_format.parse();
        let log_format = log_format.map_err(|e| wrong.push(format!("log_format: {e}"))).ok();
        self.traces.check(&mut wrong);
        match (listen, log_format) {
            (Some(listen), Some(log_format)) if wrong.is_empty() => Ok(Checked {
                data: self.data.clone(),
                shared: self.shared.clone(),
                listen,
                database_url,
                log_url,
                master_key,
                mail,
                rates,
                trusted_proxies,
                origins,
                redis_url,
                log: self.log.clone(),
                log_format,
            }),
            _ => Err(wrong),
        }
    }

    fn mail(&self, wrong: &mut Vec<String>) -> Option<(Secret, String)> {
        let url = self.smtp_url.clone().filter(|url| !url.is_empty())?;
        let Some(from) = self.mail_from.clone().filter(|from| !from.is_empty()) else {
            wrong.push(
                "smtp_url (EVENTLY_SMTP_URL) is set, but not mail_from (EVENTLY_MAIL_FROM): \
                 name the sender of mails"
                    .to_owned(),
            );
            return None;
        };
        if let Err(error) = SmtpMailer::new(url.reveal(), &from, Arc::new(SystemClock)) {
            let key = match error {
                AddressError::Server(_) => "smtp_url (EVENTLY_SMTP_URL)",
                AddressError::Sender(_) => "mail_from (EVENTLY_MAIL_FROM)",
            };
            wrong.push(format!("{key}: {error}"));
        }
        Some((url, from))
    }

    fn edge(&self, wrong: &mut Vec<String>) -> (Option<Rates>, TrustedProxies, Origins) {
        let rates = or_wrong(wrong, "rate_limits", Rates::parse(&self.rate_limits));
        let proxies = self.trusted_proxies.as_deref().unwrap_or_default();
        let proxies = or_wrong(wrong, "trusted_proxies", proxies.parse());
        let origins = self.cors_origins.as_deref().unwrap_or_default();
        (rates, proxies, or_wrong(wrong, "cors_origins", origins.parse()))
    }

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
            "shared" => self.shared.as_ref().map(|shared| shared.display().to_string()),
            "master_key" => self.master_key.as_ref().map(ToString::to_string),
            "smtp_url" => self.smtp_url.as_ref().map(ToString::to_string),
            "mail_from" => self.mail_from.clone(),
            "rate_limits" => Some(self.rate_limits.clone()),
            "trusted_proxies" => self.trusted_proxies.clone(),
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

fn or_wrong<T: Default, E: fmt::Display>(
    wrong: &mut Vec<String>,
    key: &str,
    value: Result<T, E>,
) -> T {
    value.unwrap_or_else(|error| {
        wrong.push(format!("{key} (EVENTLY_{}): {error}", key.to_uppercase()));
        T::default()
    })
}

fn is_database(url: &str) -> bool {
    // Other databases' addresses are parsed without a complaint.
    (url.starts_with("postgres://") || url.starts_with("postgresql://"))
        && infra::postgres::connect(url, 1).is_ok()
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        format!("listen is {text:?}, not an address like 127.0.0.1:8080 or [::1]:8080")
    })
}
