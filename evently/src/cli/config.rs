//! `evently config`

use std::io::{self, Write};
use std::path::Path;

use clap::{CommandFactory, Subcommand};
use infra::data_folder::{DataFolder, DataFolderError};
use infra::errors::chain;
use serde_json::json;

use super::{Failure, Invocation, unknown};
use crate::settings::Shown;

pub(super) const EXAMPLES: &str = "\
Examples:
  evently config check
  evently config check --config /etc/evently.toml
  EVENTLY_LISTEN=0.0.0.0:80 evently config check --json";

/// A comment, so that what is printed is a settings file still.
const SOUND: &str = "# Nothing is wrong with these settings, and the data folder can be used.";

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting with where it comes from, and what is wrong; 1 if anything is
    ///
    /// Prints a settings file in which each line says where its value comes from: flag, environment,
    /// file or default, and the last one that all is well, if it is. Passwords are masked. Whether the
    /// data folder can be made and written is tried out, and nothing left there. Nothing is started or
    /// connected to.
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
    wrong.extend(unknown::here(&super::Cli::command()));
    let is_sound = wrong.is_empty();
    let mut out = io::stdout().lock();
    if *json {
        let settings = shown.iter().map(|setting| {
            json!({"key": setting.key, "value": setting.value, "origin": setting.origin.to_string()})
        });
        let settings: Vec<_> = settings.collect();
        writeln!(out, "{:#}", json!({"settings": settings, "sound": is_sound, "wrong": wrong}))?;
    } else {
        shown.iter().try_for_each(|setting| writeln!(out, "{}", line(setting)))?;
        if is_sound {
            writeln!(out, "{SOUND}")?;
        }
    }
    if is_sound { Ok(()) } else { Err(Failure::Wrong(wrong)) }
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

/// Why the data folder cannot be used. None is no fault, if it can be made.
fn unusable(data: &Path) -> Option<String> {
    match DataFolder::open_existing(data) {
        Ok(_) | Err(DataFolderError::Missing(_)) => {
            let path = data.to_owned();
            let tried =
                try_out(data).map_err(|source| DataFolderError::Unreachable { path, source });
            tried.err().map(|error| chain(&error))
        }
        Err(error) => Some(chain(&error)),
    }
}

/// Writes a file without a name into the folder, or makes and removes another one where it is to be
/// made. Permissions alone would not tell of a file system that is read-only, full or none at all.
fn try_out(data: &Path) -> io::Result<()> {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    if is_there(data) {
        return tempfile::tempfile_in(data)?.write_all(b"?");
    }
    let above = data.ancestors().skip(1).find(|above| is_there(above));
    // The first part of a relative path is made here.
    tempfile::tempdir_in(above.unwrap_or(Path::new(".")))?.close()
}
