//! `evently help`, and what the help of every command has in common.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{Arg, Args, Command};

use super::Failure;

const EXAMPLES: &str = "\
Examples:
  evently help settings
  evently help audit verify";

/// The one topic that is no command.
const SETTINGS: &str = "settings";

const EVERYWHERE: &str =
    "Settings, like --data DIR, go with every command: see evently help settings";

const ABOUT: &str = "Each of these goes with every command, as a flag, an environment variable, or a key \
    of the TOML file named by --config (data = \"/srv/evently\"), whichever of them is found first. \
    evently config check shows what is in force.";

/// What to say more of.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HelpArgs {
    /// A command, or `settings`
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

/// Prints the settings; what else is asked for is asked of the command itself.
pub(super) fn run(args: &HelpArgs, command: Command) -> Result<(), Failure> {
    if args.topic != [SETTINGS] {
        let mut again: Vec<OsString> = vec![command.get_name().into()];
        again.extend(args.topic.iter().map(OsString::from));
        again.push("--help".into());
        let Err(help) = with_short_helps(command).try_get_matches_from(again) else {
            return Ok(());
        };
        if help.use_stderr() {
            return Err(Failure::Usage(vec![format!(
                "there is no command {}",
                args.topic.join(" ")
            )]));
        }
        write!(io::stdout(), "{help}")?;
        return Ok(());
    }
    let settings: Vec<Arg> =
        command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let mut all = Command::new(SETTINGS)
        .about(ABOUT)
        .args(settings)
        .disable_help_flag(true)
        .help_template("{about}\n\n{all-args}\n");
    write!(io::stdout(), "{}", all.render_long_help())?;
    Ok(())
}

/// `command`, of whose commands none repeats the settings when it tells of itself.
pub(super) fn with_short_helps(mut command: Command) -> Command {
    command.build();
    command.mut_subcommands(without_settings)
}

fn without_settings(mut command: Command) -> Command {
    let said = command.get_after_help().map(|it| format!("{it}\n\n")).unwrap_or_default();
    // As it is while nothing is hidden: options are taken also where all of them are settings.
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let hide = |arg: Arg| if arg.is_global_set() { arg.hide(true) } else { arg };
    let command = command.mut_args(hide).after_help(format!("{said}{EVERYWHERE}"));
    command.override_usage(usage).mut_subcommands(without_settings)
}
