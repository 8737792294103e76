//! `evently privacy`

use std::io::{self, Write};

use clap::Subcommand;
use domain::UserId;

use super::{Failure, people};
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently privacy erase usr_01jd2yc5f9e7kbg4v1rm0n8wq3
  evently privacy erase usr_01jd2yc5f9e7kbg4v1rm0n8wq3 --reason \"letter of 3 May\"";

#[derive(Debug, Subcommand)]
pub(super) enum PrivacyCommand {
    /// Forget a person for ever
    ///
    /// Destroys the key under which everything personal is kept. The log does not change and still
    /// verifies. Prints where in the log it says so. Can be asked again.
    #[command(after_help = EXAMPLES)]
    Erase {
        /// Who
        #[arg(value_name = "USER")]
        user: UserId,
        /// Why; kept as unreadable as all else of the person
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// Forgets somebody.
pub(super) fn run(command: &PrivacyCommand, settings: &Checked) -> Result<(), Failure> {
    let PrivacyCommand::Erase { user, reason } = command;
    let position = people::with(settings, async |accounts| {
        Ok(accounts.erase_by_order(*user, reason.as_deref()).await?)
    })?;
    writeln!(io::stdout(), "{user} is erased, as position {position} of the log says")?;
    Ok(())
}
