//! `evently token`

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use domain::UserId;
use infra::auth::Role;
use infra::clock::{Clock, SystemClock};
use infra::ids;

use super::Failure;
use crate::keys;
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently token                                    a new attendee
  evently token --role organizer --ttl 8h
  evently token --user usr_01jd2yc5f9e7kbg4v1rm0n8wq3 --role admin --role auditor
  curl -H \"Authorization: Bearer $(evently token)\" http://127.0.0.1:8080/api/v1/users/me/bookings";

/// Who the token is for.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TokenArgs {
    /// The person; a new one, told on standard error, if absent
    #[arg(long, value_name = "USER")]
    user: Option<UserId>,
    /// What they may be: attendee, organizer, admin, box_office or auditor; may be repeated
    #[arg(long = "role", value_name = "ROLE", default_value = "attendee")]
    roles: Vec<Role>,
    /// How long it is valid: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ttl)]
    // A mistake to be told, as any other.
    #[arg(allow_hyphen_values = true)]
    ttl: Duration,
}

/// Prints a token of the installation whose data folder it is, and nothing else.
pub(super) fn run(args: &TokenArgs, settings: &Checked) -> Result<(), Failure> {
    let keys = keys::of_commands(settings)?;
    let user = args.user.unwrap_or_else(|| {
        let user = UserId::from_u128(ids::time_ordered(SystemClock.now()));
        // The token is what matters.
        let _ = writeln!(io::stderr(), "for {user}");
        user
    });
    writeln!(io::stdout(), "{}", keys.issue(user, &args.roles, args.ttl)?)?;
    Ok(())
}

fn ttl(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a number with s, m, h or d, from 1s to 365d";
    let unit_s = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(EXPECTED),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| EXPECTED)?;
    let seconds = number.checked_mul(unit_s).filter(|s| (1..=365 * 86_400).contains(s));
    seconds.map(Duration::from_secs).ok_or(EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        assert_eq!(ttl("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(ttl("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(ttl("365d"), Ok(Duration::from_secs(365 * 86_400)));
        for wrong in ["", "0s", "366d", "15", "m", "1.5h", "-1h", "9999999999999999999d", "1ü"] {
            assert!(ttl(wrong).is_err(), "{wrong}");
        }
    }
}
