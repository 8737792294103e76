//! The measures: what each runs and compares. docs/BENCH.md explains them.

mod bench;
mod inventory;
mod round;

use clap::ValueEnum;

use crate::baseline::row_locks::RowLockError;
use crate::load::LoadError;
use crate::postgres::PostgresError;
use crate::report::{Row, Sample, Target};
use round::Round;

pub use bench::{Bench, SetUpError};

/// Why a measure has no figure.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The load did not run through.
    #[error("the load failed")]
    Load(#[from] LoadError),
    /// There is no PostgreSQL.
    #[error("no PostgreSQL to compare with")]
    Postgres(#[from] PostgresError),
    /// The baseline did not run through.
    #[error("the row-lock baseline failed")]
    RowLocks(#[from] RowLockError),
    /// The log could not be opened.
    #[error("the log cannot be opened")]
    OpenLog(#[from] infra::log::embedded::OpenError),
    /// The log could not be written.
    #[error("the log was not written")]
    Append(#[from] infra::log::AppendError),
    /// The log could not be read.
    #[error("the log was not read")]
    Read(#[from] infra::log::ReadError),
    /// The log does not hold what was written.
    #[error("a record is not the fact that was written")]
    Fact(#[from] domain::FactError),
    /// A server could not be started or stopped.
    #[error("the server failed")]
    Server(#[from] std::io::Error),
}

/// What `--only` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// restart: from opening the log to an inventory of 1,000,000 facts that can decide
    Load,
    /// bytes of an inventory of 1,000,000 facts, for each booking
    Memory,
    /// axum parsing and echoing a reservation: the baseline of the reserve measures
    Echo,
    /// axum answering with constant bytes: the baseline of the availability measure
    Constant,
    /// axum echo at half its maximum, open loop: what any reservation takes at least
    EchoP99,
    /// PostgreSQL row locks: the other baseline of the hot event
    RowLocks,
}

impl Measure {
    /// Name, title, unit and target of its row.
    fn describe(self) -> (&'static str, &'static str, &'static str, Target) {
        match self {
            Self::Load => {
                ("load", "load an inventory of 1,000,000 facts", "s", Target::AtMost(2.0))
            }
            Self::Memory => {
                ("memory", "memory of an inventory, per booking", "bytes", Target::AtMost(300.0))
            }
            Self::Echo => ("echo", "axum echo of a reservation", "req/s", Target::Shown),
            Self::Constant => ("constant", "axum constant answer", "req/s", Target::Shown),
            Self::EchoP99 => ("echo-p99", "axum echo at half its maximum", "ms", Target::Shown),
            Self::RowLocks => ("row-locks", "PostgreSQL row locks", "bookings/s", Target::Shown),
        }
    }

    fn run(self, round: &Round<'_>) -> Result<Sample, MeasureError> {
        match self {
            Self::Load => round.load(),
            Self::Memory => Ok(inventory::memory(round.sale())),
            Self::Echo => Ok(Sample::of(round.echo()?.rate).with("load", round.echo()?.seen())),
            Self::Constant => {
                let constant = round.constant()?;
                Ok(Sample::of(constant.rate).with("load", constant.seen()))
            }
            Self::EchoP99 => {
                let half = round.half_echo()?;
                Ok(Sample::of(half.latency_ms(0.99)).with("load", half.seen()))
            }
            Self::RowLocks => {
                let row_locks = round.row_locks()?;
                Ok(Sample::of(row_locks.best()).with("forms", row_locks.seen()))
            }
        }
    }
}

/// Runs `measures` as often as the settings say, run by run, so that a slow moment of the machine
/// falls on what is compared alike.
pub fn all(bench: &Bench, measures: &[Measure], progress: &impl Fn(u32, &str)) -> Vec<Row> {
    let mut samples = vec![Vec::new(); measures.len()];
    let mut missing = vec![None; measures.len()];
    for run in 1..=bench.settings.runs {
        let round = Round::new(bench);
        for (place, measure) in measures.iter().enumerate() {
            if missing[place].is_some() {
                continue;
            }
            progress(run, measure.describe().1);
            match measure.run(&round) {
                Ok(sample) => samples[place].push(sample),
                Err(error) => missing[place] = Some(chain(&error)),
            }
        }
    }
    let rows = measures.iter().zip(samples).zip(missing);
    rows.map(|((measure, runs), missing)| Row::new(measure.describe(), runs, missing)).collect()
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
