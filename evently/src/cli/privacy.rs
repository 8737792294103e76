//! `evently privacy`

use std::io::{self, Write};

use clap::Subcommand;
use command_api::AccountError;
use domain::UserId;
use domain::account::Email;
use domain::administration::ErasureGround;

use super::{Failure, people};
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently privacy erase usr_01jd2yc5f9e7kbg4v1rm0n8wq3
  evently privacy erase ada@example.org
  evently privacy erase usr_01jd2yc5f9e7kbg4v1rm0n8wq3 --reason inactivity
  evently privacy erase usr_01jd2yc5f9e7kbg4v1rm0n8wq3 --leave-events";

#[derive(Debug, Subcommand)]
pub(super) enum PrivacyCommand {
    /// Forget a person for ever
    ///
    /// Destroys the key under which everything personal is kept. The log does not change and still
    /// verifies. Prints where in the log it says so. Can be asked again. Somebody who has published events
    /// that are not over is not forgotten before these are cancelled, or with --leave-events. Of an address
    /// by which somebody began to register, and came no further in a crash, that is forgotten.
    #[command(after_help = EXAMPLES)]
    Erase {
        /// Who: their id or their address
        #[arg(value_name = "USER", value_parser = person)]
        user: Person,
        /// Why: request, inactivity, law, abuse or mistake. It stays readable in the log
        #[arg(long, value_name = "GROUND", default_value = "request")]
        reason: ErasureGround,
        /// Let their events go on without them; admins look after these from then on
        #[arg(long)]
        leave_events: bool,
    },
}

/// Somebody, as they are named to the command.
#[derive(Debug, Clone)]
pub(super) enum Person {
    Id(UserId),
    Address(Email),
}

fn person(text: &str) -> Result<Person, String> {
    if text.contains('@') {
        return super::admin::email(text).map(Person::Address);
    }
    text.parse().map(Person::Id).map_err(|wrong: domain::IdError| format!("{wrong}, or an address"))
}

/// Forgets somebody.
pub(super) fn run(command: &PrivacyCommand, settings: &Checked) -> Result<(), Failure> {
    let PrivacyCommand::Erase { user, reason, leave_events } = command;
    let erased = people::with(settings, async |accounts| {
        let user = match user {
            Person::Id(user) => *user,
            Person::Address(email) => match accounts.holder(email).await {
                Err(AccountError::NotFound) => {
                    accounts.forget_claim(email).await?;
                    return Ok(None);
                }
                holder => holder?,
            },
        };
        match accounts.erase_by_order(user, *reason, *leave_events).await {
            Err(left @ AccountError::EventsNotOver(_)) => Err(Failure::Wrong(vec![format!(
                "{left}: let them be cancelled first, or erase {user} with --leave-events; \
                 admins look after their events from then on"
            )])),
            erased => Ok(Some((user, erased?))),
        }
    })?;
    match erased {
        Some((user, position)) => {
            writeln!(io::stdout(), "{user} is erased, as position {position} of the log says")?;
        }
        None => writeln!(
            io::stdout(),
            "nobody has an account with this address; what was left of beginning one is forgotten"
        )?,
    }
    Ok(())
}
