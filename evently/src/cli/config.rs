//! `evently config`

use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;
use infra::data_folder::{DataFolder, DataFolderError};
use serde_json::json;

use super::{Failure, Invocation, chain};
use crate::settings::Shown;

const EXAMPLES: &str = "\
Examples:
  evently config check
  evently config check --config /etc/evently.toml
  EVENTLY_LISTEN=0.0.0.0:80 evently config check --json";

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting with where it comes from, and what is wrong; 1 if anything is
    ///
    /// Prints a settings file in which each line says where its value comes from: flag, environment,
    /// file or default. Passwords are masked. Nothing is started, changed or connected to.
    #[command(after_help = EXAMPLES)]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Tells what the settings are and what is wrong with them.
pub(super) fn run(command: &ConfigCommand, asked: &Invocation) -> Result<(), Failure> {
    let ConfigCommand::Check { json } = command;
    let shown = asked.cli.settings.shown(&asked.matches, &asked.file);
    let mut wrong = asked.settings().err().unwrap_or_default();
    wrong.extend(unusable(&asked.cli.settings.data));
    let mut out = io::stdout().lock();
    if *json {
        let settings = shown.iter().map(|setting| {
            json!({"key": setting.key, "value": setting.value, "origin": setting.origin.to_string()})
        });
        let settings: Vec<_> = settings.collect();
        writeln!(out, "{:#}", json!({"settings": settings, "wrong": wrong}))?;
    } else {
        shown.iter().try_for_each(|setting| writeln!(out, "{}", line(setting)))?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Wrong(wrong)) }
}

/// As it could stand in a settings file.
fn line(setting: &Shown) -> String {
    let Shown { key, value, origin } = setting;
    match value {
        // The text of a TOML string is that of a JSON string, but for characters nobody uses.
        Some(value) => format!("{:<44} # {origin}", format!("{key} = {}", json!(value))),
        None => format!("{:<44} # not set", format!("# {key}")),
    }
}

/// Why the data folder cannot be used. None is no fault: it is made.
fn unusable(data: &Path) -> Option<String> {
    match DataFolder::open_existing(data) {
        Ok(_) | Err(DataFolderError::Missing(_)) => None,
        Err(error) => Some(chain(&error)),
    }
}
