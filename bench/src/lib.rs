//! The figures Evently is to reach, measured beside what they are compared with.

pub mod args;
pub mod baseline;
pub mod cpu;
pub mod desk;
pub mod load;
pub mod log_server;
pub mod machine;
pub mod measure;
pub mod memory;
pub mod postgres;
pub mod product;
pub mod report;
pub mod sale;
pub mod server;
pub mod storm;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use infra::clock::{Clock, SystemClock};
use infra::telemetry;

use args::Args;
use machine::Machine;
use measure::{Bench, SetUpError};
use report::Report;

/// Why nothing was measured, or nothing could be written.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A debug build is ten times slower: its figures would be untrue.
    #[error("a debug build has no figures: use cargo run --release -p bench")]
    Debug,
    /// Durability costs nothing there.
    #[error("{0} keeps no data on a disk: pass --data with a folder that is on one")]
    NoDisk(String),
    /// What goes wrong could not be told.
    #[error("logging cannot be set up")]
    Telemetry(#[from] telemetry::TelemetryError),
    /// What every measure needs is not there.
    #[error("measuring cannot begin")]
    SetUp(#[from] SetUpError),
    /// A file, or the output.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

/// Measures and reports; a failure if anything could not be measured.
///
/// # Errors
/// See [`BenchError`].
pub fn run(args: &Args) -> Result<ExitCode, BenchError> {
    if cfg!(debug_assertions) {
        return Err(BenchError::Debug);
    }
    // As quiet as the product is by default about single requests, and at the same price.
    telemetry::init("warn", telemetry::Format::Text)?;
    fs::create_dir_all(&args.data).map_err(io(format!("make {}", args.data.display())))?;
    let now = SystemClock.now();
    let machine = Machine::look(&args.data, now).map_err(io("write to the data folder"))?;
    if !machine.durable() {
        return Err(BenchError::NoDisk(machine.filesystem));
    }
    let clock = Arc::new(SystemClock);
    let (postgres, kafka) = (args.postgres_bin.clone(), args.kafka.clone());
    let bench = Bench::new(&args.data, args.settings(), postgres, kafka, clock)?;
    let rows = measured(args, &bench);
    let whole = rows.iter().all(|row| row.missing.is_none());
    let report = Report { machine, settings: args.settings(), rows };
    let json = serde_json::to_string_pretty(&report).map_err(|error| BenchError::Io {
        doing: "write the figures as JSON".to_owned(),
        source: error.into(),
    })?;
    write(&args.out(), &json)?;
    let text = if args.json { json + "\n" } else { report.table() };
    io::stdout().write_all(text.as_bytes()).map_err(io("print the figures"))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measured(args: &Args, bench: &Bench) -> Vec<report::Row> {
    let measures = args.measures();
    let steps = u64::from(bench.settings().runs) * measures.len() as u64;
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let rows = measure::all(bench, &measures, &|run, title| {
        bar.inc(u64::from(!bar.message().is_empty()));
        bar.set_message(format!("run {run}: {title}"));
    });
    bar.finish_and_clear();
    rows
}

fn write(path: &Path, json: &str) -> Result<(), BenchError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io(format!("make {}", folder.display())))?;
    }
    fs::write(path, json).map_err(io(format!("write {}", path.display())))
}

fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> BenchError {
    move |source| BenchError::Io { doing: doing.into(), source }
}
