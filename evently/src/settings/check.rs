//! Whether settings make sense.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use infra::clock::SystemClock;
use infra::http::Origins;
use infra::identity::MasterKeys;
use infra::limits::{Rates, TrustedProxies};
use infra::log::eventstore::EventStoreLog;
use infra::mail::{AddressError, SmtpMailer};
use infra::redis::SharedCache;

use super::{Checked, Secret, Settings};

impl Settings {
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
        let connections_per_address = self.connections_per_address(&mut wrong);
        let redis_url = self.redis_url.clone().filter(|url| !url.is_empty());
        if let Some(url) = &redis_url
            && let Err(error) = SharedCache::check(url.reveal())
        {
            wrong.push(format!("redis_url (EVENTLY_REDIS_URL): {error}"));
        }
        let kafka = self.kafka.check(&mut wrong);
        let oidc = self.oidc.check(&mut wrong);
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
                connections_per_address,
                oidc,
                origins,
                redis_url,
                kafka,
                log: self.log.clone(),
                log_format,
                unknown: vec![],
            }),
            _ => Err(wrong),
        }
    }

    fn connections_per_address(&self, wrong: &mut Vec<String>) -> Option<usize> {
        let text = self.connections_per_address.as_deref().filter(|text| !text.is_empty())?;
        let number = text.parse().ok().filter(|number| *number > 0);
        if number.is_none() {
            wrong.push(format!(
                "connections_per_address (EVENTLY_CONNECTIONS_PER_ADDRESS): expected a number from 1, \
                 not {text:?}"
            ));
        }
        number
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
}

pub(super) fn or_wrong<T: Default, E: fmt::Display>(
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
