//! `evently admin`

use std::io::{self, Read, Write};

use clap::Subcommand;
use command_api::NewAccount;
use domain::account::{Email, Profile};
use infra::ids;

use super::{Failure, people};
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently admin create --email ada@example.org
  evently admin create --email ada@example.org --name Ada --password-stdin < password.txt";

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Make somebody an admin, with an account if they have none
    ///
    /// Prints their user id and, for a new account, a password that was made up; with --password-stdin it
    /// is the first line of standard input and is not printed. Somebody who has an account keeps their
    /// password; an account that nobody verified yet may be a stranger's, and is as a new one.
    #[command(after_help = EXAMPLES)]
    Create {
        /// Their address; it is taken to be theirs
        #[arg(long, value_name = "EMAIL", value_parser = email)]
        email: Email,
        /// As they want to be called
        #[arg(long, value_name = "NAME", default_value = "Admin")]
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

pub(super) fn email(text: &str) -> Result<Email, String> {
    text.parse()
        .map_err(|invalid: domain::seating::Invalid| format!("expected {}", invalid.problem))
}

/// Prints who it is, and how they log in.
pub(super) fn run(command: &AdminCommand, settings: &Checked) -> Result<(), Failure> {
    let AdminCommand::Create { email, name, password_stdin } = command;
    let password = if *password_stdin { read()? } else { make_up()? };
    let profile = Profile { name: name.clone(), phone: None, language: None };
    let new = NewAccount { email: email.clone(), password: password.clone().into(), profile };
    let (user, is_theirs) = people::with(settings, async |accounts| {
        let (user, is_theirs) = accounts.provide(new).await?;
        accounts.make_admin(user, "made an admin from the command line").await?;
        Ok((user, is_theirs))
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "{user}")?;
    if is_theirs && !password_stdin {
        writeln!(out, "{password}")?;
    }
    Ok(())
}

fn read() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().lock().take(1_024).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// 128 random bits.
fn make_up() -> Result<String, Failure> {
    let bytes: [u8; 16] = ids::secret_bytes()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
