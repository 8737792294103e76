//! The file named by `--config`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Command;

use super::Settings;

/// What a settings file says: TOML, one key for each setting. A number or a boolean counts as its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    values: BTreeMap<String, String>,
    wrong: Vec<String>,
}

impl File {
    /// Reads the file at `path`. What is wrong with it is kept, to be told with all else.
    pub fn read(path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &path.display().to_string()),
            Err(error) => {
                let wrong = format!("the settings file {} cannot be read: {error}", path.display());
                Self { wrong: vec![wrong], ..Self::default() }
            }
        }
    }

    fn parse(text: &str, name: &str) -> Self {
        let mut file = Self::default();
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                file.wrong.push(format!("{name} is not TOML: {}", error.to_string().trim_end()));
                return file;
            }
        };
        for (key, value) in table {
            match value {
                _ if !Settings::KEYS.contains(&key.as_str()) => {
                    let known = Settings::KEYS.join(", ");
                    file.wrong.push(format!("{name} has an unknown key {key}; there are {known}"));
                }
                toml::Value::String(text) => {
                    file.values.insert(key, text);
                }
                toml::Value::Integer(number) => {
                    file.values.insert(key, number.to_string());
                }
                toml::Value::Float(number) => {
                    file.values.insert(key, number.to_string());
                }
                toml::Value::Boolean(is_so) => {
                    file.values.insert(key, is_so.to_string());
                }
                other => {
                    let found = other.type_str();
                    file.wrong.push(format!(
                        "{name}: {key} has to be a string, number or boolean, not {found}"
                    ));
                }
            }
        }
        // The order of a table's keys depends on what other crates ask of the parser.
        file.wrong.sort_unstable();
        file
    }

    /// What is wrong with the file, each as a sentence.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Whether it has a usable value for the setting.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// `command`, with what the file says instead of its defaults.
    pub fn as_defaults(&self, command: Command) -> Command {
        self.values.iter().fold(command, |command, (key, value)| {
            command.mut_arg(key, |arg| arg.default_value(value.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_boolean_counts_as_its_text() {
        let text = "kafka_partitions = 12\nlisten = \"[::1]:80\"\nrate_limits = false\n\
                    otel_traces_sampler_arg = 0.25";
        let file = File::parse(text, "evently.toml");
        assert_eq!(file.wrong(), [""; 0]);
        let values: Vec<_> =
            file.values.iter().map(|(key, text)| format!("{key} {text}")).collect();
        assert_eq!(
            values,
            [
                "kafka_partitions 12",
                "listen [::1]:80",
                "otel_traces_sampler_arg 0.25",
                "rate_limits false"
            ]
        );
    }

    #[test]
    fn only_known_keys_with_texts_are_taken() {
        let file = File::parse("data = \"/srv\"\nport = 80\nlisten = [8080]", "evently.toml");
        assert!(file.has("data") && !file.has("listen"));
        assert_eq!(
            file.wrong(),
            [
                "evently.toml has an unknown key port; there are data, listen, database_url, \
                 log_url, redis_url, kafka_brokers, kafka_partitions, kafka_replication, \
                 kafka_tls, kafka_tls_ca, kafka_user, kafka_password, shared, master_key, \
                 smtp_url, mail_from, rate_limits, trusted_proxies, \
                 connections_per_address, oidc_issuer, oidc_client_id, oidc_client_secret, \
                 oidc_scopes, oidc_redirect_url, cors_origins, log, log_format, \
                 otel_exporter_otlp_endpoint, otel_traces_sampler, otel_traces_sampler_arg",
                "evently.toml: listen has to be a string, number or boolean, not array",
            ]
        );
    }

    #[test]
    fn what_is_no_toml_is_told() {
        let file = File::parse("data = ", "evently.toml");
        assert!(file.wrong()[0].starts_with("evently.toml is not TOML"), "{file:?}");
        let file = File::read(Path::new("/nonexistent/evently.toml"));
        assert!(file.wrong()[0].contains("cannot be read"), "{file:?}");
    }
}
