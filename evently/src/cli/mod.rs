//! The command line. Results go to standard output, everything else to standard error; the exit
//! status is 0 when it is done, 1 when it failed, 2 when it was asked wrongly.

mod admin;
mod audit;
mod config;
mod demo;
mod feed;
mod help;
mod keys;
mod log_server;
mod orders;
mod people;
mod privacy;
mod progress;
mod projections;
mod room;
mod service_keys;
mod token;
mod unknown;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use infra::errors::chain;

use crate::app::Role;
use crate::settings::{Checked, File, Settings};

const EXAMPLES: &str = "\
Examples:
  evently                                    sell tickets at http://127.0.0.1:8080, data in ./data
  evently --data /srv/evently --listen 0.0.0.0:80
  evently token --role organizer             a bearer token for the API
  evently demo                               watch a sale of 5000 seats to 20000 buyers
  evently audit verify                       prove that nothing was altered or oversold";

const ROLE_EXAMPLES: &str = "\
Examples (all on one machine; README.md tells of more):
  evently log-server --data ./log &
  export EVENTLY_LOG_URL='esdb://127.0.0.1:2113?tls=false' EVENTLY_SHARED=./shared
  export DATABASE_URL=postgres://evently@localhost/evently
  evently command-api --data ./c1 --listen 127.0.0.1:8081 &
  evently command-api --data ./c2 --listen 127.0.0.1:8082 &
  evently query-api --data ./q1 --listen 127.0.0.1:8083 &
  evently projector --data ./p1 --listen 127.0.0.1:8084 &";

const SERVE_EXAMPLES: &str = "\
Examples:
  evently serve
  evently serve --data /srv/evently --listen 0.0.0.0:80
  DATABASE_URL=postgres://evently@db/evently evently serve
  evently serve --config /etc/evently.toml --log-format json";

/// Sells tickets to events that sell out in minutes.
#[derive(Debug, Parser)]
#[command(name = "evently", bin_name = "evently", version, about, after_help = EXAMPLES, after_long_help = EXAMPLES)]
#[command(disable_help_subcommand = true, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// File with settings (TOML): keys like the flags, with `_` for `-`
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve everything in one process (what `evently` alone does)
    ///
    /// Prints one line that says where to look, and serves until SIGTERM or SIGINT; then lets answers
    /// under way finish. A second signal ends it at once.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve,
    /// Decide on commands, as one of several processes on one log
    ///
    /// Any number may run at once, also on the same event: the log's expected revisions keep them
    /// right. Each needs --log-url, --database-url, a data folder of its own, and with the others
    /// --shared.
    #[command(name = "command-api", after_help = ROLE_EXAMPLES)]
    Decide,
    /// Answer reads, as one of several processes
    ///
    /// Each needs --log-url, --database-url, a data folder of its own, and with the others --shared.
    #[command(after_help = ROLE_EXAMPLES)]
    QueryApi,
    /// Keep the views up to date, or stand by while another process does
    ///
    /// When the one that does dies, another goes on within seconds. Each needs --log-url,
    /// --database-url, a data folder of its own, and with the others --shared.
    #[command(after_help = ROLE_EXAMPLES)]
    Projector,
    /// Serve the data folder's log to several processes, over the protocol of EventStoreDB
    ///
    /// Other processes of this product use it as `--log-url`, and any client of EventStoreDB or
    /// KurrentDB can read it, follow it and append JSON to it. It listens at 127.0.0.1:2113 unless
    /// --listen says otherwise, prints one line that says where, and serves until SIGTERM or SIGINT.
    LogServer(log_server::LogServerArgs),
    /// Print a bearer token for the API
    Token(token::TokenArgs),
    /// Watch a sale with many more buyers than seats, and its audit
    ///
    /// Makes a venue, a seated and a standing event, and sells them over HTTP: some pay, some cancel,
    /// some let their holds die, and those who come too late wait for what comes back. Then proves from
    /// the log that nothing was oversold. Runs against the server on the data folder, or, when none
    /// runs, against its own, whose log it leaves in a temporary folder to be looked at: it says where,
    /// and leaves it to you to remove. The exit status is 1 if anything was oversold or altered.
    Demo(demo::DemoArgs),
    /// Look after admins
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Look after what is personal
    #[command(subcommand)]
    Privacy(privacy::PrivacyCommand),
    /// Look after keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Prove, print or follow the log
    #[command(subcommand, after_help = audit::EXAMPLES)]
    Audit(audit::AuditCommand),
    /// Look after the views
    #[command(subcommand, after_help = projections::EXAMPLES)]
    Projections(projections::ProjectionsCommand),
    /// Look after the feed of public facts into Kafka
    #[command(subcommand, after_help = feed::EXAMPLES)]
    Feed(feed::FeedCommand),
    /// Look at the settings
    #[command(subcommand, after_help = config::EXAMPLES)]
    Config(config::ConfigCommand),
    /// Say more of a command, or of the settings
    Help(help::HelpArgs),
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked wrongly.
    Usage(Vec<String>),
    /// What it looked at is wrong.
    Wrong(Vec<String>),
    /// It failed.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Does what `args` ask for, the first of which is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    match parse(&args) {
        Ok(invocation) => report(run(&invocation)),
        Err(error) => {
            // Nothing can be done for someone who has no standard error.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
    }
}

/// What was asked for, with all that settings come from.
struct Invocation {
    cli: Cli,
    matches: ArgMatches,
    file: File,
}

/// The file is named by the arguments, and then stands below them.
fn parse(args: &[OsString]) -> Result<Invocation, clap::Error> {
    let matches = help::with_short_helps(Cli::command()).try_get_matches_from(args)?;
    let file = matches.get_one::<PathBuf>("config").map(|path| File::read(path));
    let file = file.unwrap_or_default();
    let command = help::with_short_helps(file.as_defaults(Cli::command()));
    let matches = command.try_get_matches_from(args)?;
    Ok(Invocation { cli: Cli::from_arg_matches(&matches)?, matches, file })
}

fn run(asked: &Invocation) -> Result<(), Failure> {
    if let Some(Command::Config(command)) = &asked.cli.command {
        return config::run(command, asked);
    }
    if let Some(Command::LogServer(args)) = &asked.cli.command {
        return log_server::run(args, asked);
    }
    if let Some(Command::Help(args)) = &asked.cli.command {
        return help::run(args, Cli::command());
    }
    let settings = match &asked.cli.command {
        Some(Command::Audit(_)) => asked.check(&audit::of_named_log(asked)),
        _ => asked.settings(),
    };
    let settings = settings.map_err(Failure::Usage)?;
    carry_out(asked, &settings).map_err(|failure| room::explained(failure, &settings))
}

fn carry_out(asked: &Invocation, settings: &Checked) -> Result<(), Failure> {
    let serve = |role| serve(role, asked, settings);
    match &asked.cli.command {
        None | Some(Command::Serve) => serve(Role::Serve),
        Some(Command::Decide) => serve(Role::CommandApi),
        Some(Command::QueryApi) => serve(Role::QueryApi),
        Some(Command::Projector) => serve(Role::Projector),
        Some(Command::Token(args)) => token::run(args, settings),
        Some(Command::Admin(command)) => admin::run(command, settings),
        Some(Command::Privacy(command)) => privacy::run(command, settings),
        Some(Command::Keys(command)) => keys::run(command, settings),
        Some(Command::Projections(command)) => projections::run(command, settings),
        Some(Command::Feed(command)) => feed::run(command, settings),
        Some(Command::Demo(args)) => demo::run(args, settings),
        Some(Command::Audit(command)) => audit::run(command, settings),
        Some(Command::Config(_) | Command::LogServer(_) | Command::Help(_)) => Ok(()),
    }
}

fn serve(role: Role, asked: &Invocation, settings: &Checked) -> Result<(), Failure> {
    role.check(settings).map_err(|missing| Failure::Usage(vec![missing]))?;
    // What is wrong with them was told with the rest.
    let traces = asked.cli.settings.traces.check(&mut vec![]);
    Ok(crate::serve::run(role, settings, traces)?)
}

impl Invocation {
    /// The settings, or everything that is wrong with them.
    fn settings(&self) -> Result<Checked, Vec<String>> {
        self.check(&self.cli.settings)
    }

    /// The same, of settings that were changed since.
    fn check(&self, settings: &Settings) -> Result<Checked, Vec<String>> {
        let mut wrong = self.file.wrong().to_vec();
        match settings.check() {
            Ok(checked) if wrong.is_empty() => {
                Ok(Checked { unknown: unknown::here(&Cli::command()), ..checked })
            }
            Ok(_) => Err(wrong),
            Err(more) => {
                wrong.extend(more);
                Err(wrong)
            }
        }
    }
}

fn report(outcome: Result<(), Failure>) -> ExitCode {
    let (lines, status) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(wrong)) => (wrong, 2),
        Err(Failure::Wrong(wrong)) => (wrong, 1),
        // Whoever read the results has seen enough.
        Err(Failure::Failed(error)) if is_broken_pipe(&*error) => return ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => (vec![chain(&*error)], 1),
    };
    for line in lines {
        // Nothing can be done for someone who has no standard error.
        let _ = writeln!(io::stderr(), "evently: {line}");
    }
    ExitCode::from(status)
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
