//! `evently demo`: an on-sale with many more buyers than seats, over HTTP, and its audit.

mod buyer;
mod client;
mod line;
mod report;
mod sale;
mod stage;
pub(crate) mod target;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use infra::auth::IssueError;
use infra::log::Position;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::app::StartError;
use crate::audit::source::{Batches, SourceError};
use crate::audit::verify::{Finding, Proven, Verifier};
use crate::log::{OpenError, OpenLog};
use buyer::Buyer;
use client::Client;
pub(crate) use report::Report;
use sale::Sale;
use stage::Stage;
use target::Target;

/// Requests under way at once, each on a connection of its own.
const AT_ONCE: u32 = 128;
/// After the last buyer came: how long the last holds and offers may take to come to an end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(200);

/// Why there was no demo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("no server could be started for the demo")]
    Start(#[from] StartError),
    #[error("no folder or port could be had for the demo's own server")]
    Own(#[source] io::Error),
    #[error(transparent)]
    Folder(#[from] infra::data_folder::DataFolderError),
    #[error("no tokens could be made for the buyers")]
    Keys(#[from] crate::keys::CommandError),
    #[error("no tokens could be made for the buyers")]
    Token(#[from] IssueError),
    #[error(
        "the server at {url} cannot be asked; see that it runs, and that it is the one on this data folder"
    )]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error(
        "the server at {url} does not know the keys in {}: name its data folder with --data",
        data.display()
    )]
    Stranger { url: String, data: PathBuf },
    #[error("the server answered {doing} with {status} {code}")]
    Refused { doing: &'static str, status: u16, code: String },
    #[error("the log cannot be audited")]
    Log(#[from] OpenError),
    #[error("the log cannot be audited")]
    Audit(#[from] SourceError),
}

/// How large a sale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) buyers: u32,
    pub(crate) seats: u32,
}

/// Sells `size.seats` to `size.buyers` at `target`, and audits what came of it.
pub(crate) async fn run(
    target: &Target,
    size: Size,
    bar: &ProgressBar,
) -> Result<Report, DemoError> {
    let client = Client::new(target.url());
    let stage = Stage::set(&client, target, size.seats).await.map_err(|error| match error {
        DemoError::Refused { status: 401, .. } => {
            DemoError::Stranger { url: target.url().to_owned(), data: target.data().to_owned() }
        }
        error => error,
    })?;
    let began = Instant::now();
    let sale = Arc::new(Sale::new(client, target.keys(), stage, size.buyers));
    let tasks = TaskTracker::new();
    let log = OpenLog::look_at(target.settings())?;
    let line = tokio::spawn(line::serve(sale.clone(), tasks.clone(), log.shared()));

    let places = Arc::new(Semaphore::new(AT_ONCE as usize));
    for number in 0..size.buyers {
        // Never closed, so there always is a place in the end.
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let sale = sale.clone();
        let token = sale.token(number)?;
        tasks.spawn(async move {
            Buyer::new(&sale, number, token).comes().await;
            drop(place);
        });
        bar.inc(1);
    }
    // All of them: the last buyer has been answered.
    let _ = places.acquire_many(AT_ONCE).await;
    let rush = began.elapsed();
    let left = wind_up(&sale, &tasks, bar).await?;
    line.abort();
    tasks.close();
    tasks.wait().await;
    let took = Took { rush, all: began.elapsed() };
    bar.set_message("the log is audited");
    let audit = audit(&log).await?;
    log.close().await;
    let data = log.is_file().then(|| target.data());
    Ok(Report::new(&sale, size, took, left, audit, data))
}

/// How long it took.
#[derive(Debug, Clone, Copy)]
struct Took {
    /// Until the last buyer had an answer.
    rush: Duration,
    /// Until the last hold had come to its end.
    all: Duration,
}

/// What is left of both events together.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    capacity: u64,
    available: u64,
    held: u64,
    sold: u64,
    waitlisted: u64,
    /// Sold and held beyond the capacity of a tier.
    oversold: u64,
}

/// Waits until nobody holds anything, or for as long as that can reasonably take.
async fn wind_up(sale: &Sale, tasks: &TaskTracker, bar: &ProgressBar) -> Result<Left, DemoError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let busy = !tasks.is_empty();
        let left = sale.left().await?;
        if (!busy && left.held == 0) || Instant::now() > deadline {
            return Ok(left);
        }
        bar.set_message(format!("places still held: {},", left.held));
        tokio::time::sleep(LOOK).await;
    }
}

/// The same verification as `evently audit verify`.
async fn audit(log: &OpenLog) -> Result<Result<Proven, Finding>, DemoError> {
    let head = log.shared().head().await.map_err(SourceError::from)?;
    let mut verifier = Verifier::of_whole_log(log.is_file());
    let mut batches = Batches::new(log, Position(0), head);
    loop {
        let records = batches.next().await?;
        if records.is_empty() {
            return Ok(Ok(verifier.proven()));
        }
        if let Err(finding) = records.iter().try_for_each(|record| verifier.take(record)) {
            return Ok(Err(finding));
        }
    }
}
