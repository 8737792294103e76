//! `evently demo`

use std::io::{self, Write};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Failure, progress};
use crate::demo::target::Target;
use crate::demo::{self, Report, Size};
use crate::settings::Checked;
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  evently demo                                    the server on ./data, or its own if none runs
  evently demo --buyers 2000 --seats 500 --json
  evently demo --data /srv/evently --url http://10.0.0.7:8080";

/// How large a sale, and where.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {
    /// People who want tickets, 1 to 1,000,000
    #[arg(long, value_name = "NUMBER", default_value = "20000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    buyers: u32,
    /// Places, half of them seats, half of them to stand: 2 to 500,000
    #[arg(long, value_name = "NUMBER", default_value = "5000")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=500_000))]
    seats: u32,
    /// Address of the server on the data folder, if it is not the one it is known to listen at
    #[arg(long, value_name = "URL", value_parser = address)]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The address of a server.
fn address(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| url.has_host());
    let url = url.filter(|url| ["http", "https"].contains(&url.scheme()));
    url.map(|_| text.to_owned()).ok_or_else(|| "expected e.g. http://127.0.0.1:8080".to_owned())
}

/// Runs an on-sale and prints what came of it.
pub(super) fn run(args: &DemoArgs, settings: &Checked) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let sold = Signals::listen()?.guard(&stop, sell(args, settings, &stop)).await;
        sold.unwrap_or_else(|| Err("given up at once, as a second signal ordered".into()))
    });
    runtime.shutdown_background();
    let report = outcome?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    report.broken_promise().map_or(Ok(()), |broken| Err(Failure::Wrong(vec![broken])))
}

/// Finds a server, sells, and leaves the server as it was found.
async fn sell(
    args: &DemoArgs,
    settings: &Checked,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    let target = Target::find(settings, args.url.as_deref()).await?;
    let whose = if target.is_own() { "its own server" } else { "the server" };
    writeln!(io::stderr(), "selling at {whose} {}", target.url())?;
    let size = Size { buyers: args.buyers, seats: args.seats };
    let bar = progress::bar(u64::from(args.buyers), "buyers come");
    let outcome = tokio::select! {
        outcome = stop.run_until_cancelled(demo::run(&target, size, &bar)) => outcome,
        never = progress::in_lines(&bar, io::stderr()) => match never {},
    };
    bar.finish_and_clear();
    // A log that tells of a whole sale is left for whoever wants to see for themselves.
    if let Some(left) = target.release(matches!(outcome, Some(Ok(_)))).await {
        let left = left.display();
        writeln!(io::stderr(), "the log of the sale stays in {left} until you remove that folder")?;
    }
    Ok(outcome.ok_or("interrupted: the sale did not come to its end")??)
}
