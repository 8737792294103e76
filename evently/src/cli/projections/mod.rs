//! `evently projections` (OP-1): asks the server that runs on the data folder, or, when none runs,
//! does it itself.

mod folder;
mod server;

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use infra::data_folder::DataFolder;
use infra::log::Position;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::orders::plain_word;
use super::{Failure, progress};
use crate::settings::Checked;
use crate::signals::Signals;
use folder::Folder;
use server::Server;

pub(super) const EXAMPLES: &str = "\
Examples:
  evently projections status
  evently projections rebuild bookings
  evently projections retry bookings";

const STATUS_EXAMPLES: &str = "\
Examples:
  evently projections status
  evently projections status --data /srv/evently --json";

const REBUILD_EXAMPLES: &str = "\
Examples:
  evently projections rebuild bookings
  evently projections rebuild bookings --reason after-restore
  evently projections rebuild availability --data /srv/evently --json";

const RETRY_EXAMPLES: &str = "\
Examples:
  evently projections retry bookings
  evently projections retry waitlist --data /srv/evently --json";

#[derive(Debug, Subcommand)]
pub(super) enum ProjectionsCommand {
    /// Print how far every view is behind the log, and what it could not apply
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a view again from the log while the present one serves, then put it in its place
    #[command(after_help = REBUILD_EXAMPLES)]
    Rebuild(ViewArgs),
    /// Apply a view's parked records again, after what was wrong with them was mended
    #[command(after_help = RETRY_EXAMPLES)]
    Retry(ViewArgs),
}

#[derive(Debug, Args)]
pub(super) struct ViewArgs {
    /// The view
    #[arg(value_parser = views())]
    name: String,
    /// Why: letters, digits and dashes. It stays readable in the log for ever
    #[arg(long, value_name = "WORD", value_parser = plain_word)]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The names of all views.
fn views() -> PossibleValuesParser {
    PossibleValuesParser::new(projections::views::ALL.iter().map(|view| view.name()))
}

/// Who does it.
pub(super) enum Doer {
    Server(Server),
    Folder(Box<Folder>),
}

impl Doer {
    async fn find(settings: &Checked) -> Result<Self, Failure> {
        let folder = DataFolder::open_existing(&settings.data)?;
        match folder.running()?.and_then(|running| running.address) {
            Some(address) => Ok(Self::Server(Server::new(address, settings)?)),
            None => Ok(Self::Folder(Box::new(Folder::open(settings, folder).await?))),
        }
    }

    /// Every projection, as `GET /api/v1/admin/projections` shows them.
    async fn status(&self) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Server(server) => server.status().await,
            Self::Folder(folder) => folder.status().await,
        }
    }

    async fn rebuild(
        &self,
        view: &ViewArgs,
        bar: &ProgressBar,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        match self {
            Self::Server(server) => server.rebuild(&view.name, view.reason.as_deref(), bar).await,
            Self::Folder(folder) => {
                folder.rebuild(&view.name, view.reason.clone(), bar, stop).await
            }
        }
    }

    async fn retry(&self, view: &ViewArgs) -> Result<Value, Failure> {
        match self {
            Self::Server(server) => server.retry(&view.name, view.reason.as_deref()).await,
            Self::Folder(folder) => folder.retry(&view.name, view.reason.clone()).await,
        }
    }

    /// The feed, as `GET /api/v1/admin/feed` shows it.
    pub(super) async fn feed_status(&self) -> Result<Value, Failure> {
        match self {
            Self::Server(server) => server.feed_status().await,
            Self::Folder(folder) => folder.feed_status().await,
        }
    }

    pub(super) async fn replay_feed(
        &self,
        from: Position,
        reason: Option<&str>,
    ) -> Result<Value, Failure> {
        match self {
            Self::Server(server) => server.replay_feed(from, reason).await,
            Self::Folder(folder) => folder.replay_feed(from, reason.map(str::to_owned)).await,
        }
    }

    async fn close(self) {
        if let Self::Folder(folder) = self {
            folder.close().await;
        }
    }
}

/// Carries out a command.
pub(super) fn run(command: &ProjectionsCommand, settings: &Checked) -> Result<(), Failure> {
    with_doer(settings, async |doer, stop| carry_out(command, doer, stop).await)
}

/// Prints what comes of asking whoever there is to ask.
pub(super) fn with_doer(
    settings: &Checked,
    ask: impl AsyncFnOnce(&Doer, &CancellationToken) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        // Large: it holds a whole database.
        let done = Box::pin(async {
            let doer = Doer::find(settings).await?;
            let outcome = match &doer {
                // What it has to bring to an end is the server's.
                Doer::Server(_) => stop.run_until_cancelled(ask(&doer, &stop)).await,
                Doer::Folder(_) => Some(ask(&doer, &stop).await),
            };
            let outcome = outcome
                .unwrap_or_else(|| Err("interrupted; what the server has begun goes on".into()));
            doer.close().await;
            outcome
        });
        let done = Signals::listen()?.guard(&stop, done).await;
        done.unwrap_or_else(|| Err("given up at once, as a second signal ordered".into()))
    });
    runtime.shutdown_background();
    let text = outcome?;
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// What is to be printed.
async fn carry_out(
    command: &ProjectionsCommand,
    doer: &Doer,
    stop: &CancellationToken,
) -> Result<String, Failure> {
    match command {
        ProjectionsCommand::Status { json } => {
            let items = doer.status().await?;
            Ok(if *json { format!("{:#}", json!({"items": items})) } else { table(&items) })
        }
        ProjectionsCommand::Rebuild(view @ ViewArgs { name, json, .. }) => {
            let bar = progress::bar(0, "rebuilding");
            let done = doer.rebuild(view, &bar, stop).await;
            bar.finish_and_clear();
            done?;
            let position = bar.position();
            Ok(if *json {
                format!("{:#}", json!({"name": name, "position": position}))
            } else {
                format!("{name} was built again up to position {position}")
            })
        }
        ProjectionsCommand::Retry(view @ ViewArgs { name, json, .. }) => {
            let retried = doer.retry(view).await?;
            Ok(if *json {
                format!("{retried:#}")
            } else {
                let (applied, parked) = (&retried["applied"], &retried["still_parked"]);
                format!("{name}: {applied} records applied, {parked} still parked")
            })
        }
    }
}

/// A line for each projection, and one for each record that it could not apply.
fn table(items: &[Value]) -> String {
    let mut lines = vec![format!(
        "{:<14} {:>7} {:>12} {:>8} {:>10} {:>7}  {}",
        "view", "version", "position", "behind", "seconds", "parked", "rebuild"
    )];
    for item in items {
        let text = |key: &str| match &item[key] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let seconds = item["lag_seconds"].as_f64().unwrap_or_default();
        lines.push(format!(
            "{:<14} {:>7} {:>12} {:>8} {seconds:>10.1} {:>7}  {}",
            text("name"),
            text("version"),
            text("position"),
            behind(item),
            text("parked"),
            rebuild(item),
        ));
        if let Some(first) = item["first_parked"].as_object() {
            lines.push(format!(
                "  parked from position {} on ({} of {})",
                first["position"],
                first["kind"].as_str().unwrap_or_default(),
                first["stream"].as_str().unwrap_or_default(),
            ));
        }
    }
    lines.join("\n")
}

/// What was not counted to the end has a plus.
fn behind(item: &Value) -> String {
    let more = if item["lag_exceeded"] == true { "+" } else { "" };
    format!("{}{more}", item["lag_records"])
}

fn rebuild(item: &Value) -> String {
    match (&item["rebuild"], &item["last_rebuild"]["problem"]) {
        (Value::Object(rebuild), _) => {
            format!("at {} of {}", rebuild["position"], rebuild["target"])
        }
        (_, Value::String(problem)) => format!("failed: {problem}"),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_tells_what_is_wrong() {
        let item = |name: &str| {
            json!({"name": name, "version": 1, "position": 7, "lag_records": 2, "parked": 1,
                "lag_seconds": 0.25})
        };
        let mut items = vec![item("catalog"), item("bookings"), item("seats")];
        items[1]["first_parked"] =
            json!({"position": 3, "kind": "Reserved", "stream": "inventory-evt_1"});
        items[1]["rebuild"] = json!({"position": 5, "target": 9});
        items[2]["lag_records"] = json!(10_000);
        items[2]["lag_exceeded"] = json!(true);
        items[2]["last_rebuild"] = json!({"ended_at": "2027-06-01T19:30:00.000Z", "problem": "no"});
        let table = table(&items);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[1].starts_with("catalog ") && lines[1].ends_with("  -"), "{table}");
        assert!(lines[2].ends_with("at 5 of 9"), "{table}");
        assert_eq!(lines[3], "  parked from position 3 on (Reserved of inventory-evt_1)");
        assert!(lines[4].ends_with("failed: no"), "{table}");
        assert!(lines[1].contains(" 2 ") && lines[4].contains(" 10000+ "), "{table}");
    }
}
