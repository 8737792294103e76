//! The measures: what each runs and compares. docs/BENCH.md explains them.

mod bench;
mod beside;
mod feed;
mod inventory;
mod logs;
mod round;
mod storm;
mod tokens;
mod views;

use clap::ValueEnum;
use infra::errors::chain;

use crate::baseline::row_locks::RowLockError;
use crate::desk::DeskError;
use crate::load::{LoadError, Outcome};
use crate::log_server::LogServerError;
use crate::postgres::PostgresError;
use crate::product::ProductError;
use crate::report::{Row, Sample, Target};
use crate::storm::StormError;
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
    /// The log server did not start or stop.
    #[error("the log server failed")]
    LogServer(#[from] LogServerError),
    /// The product did not start.
    #[error("the product does not start")]
    Product(#[from] ProductError),
    /// What is sold could not be set up, or what was bought could not be read.
    #[error("the product did not do as asked")]
    Desk(#[from] DeskError),
    /// The log and the answers differ: the product would not be doing its job.
    #[error("{answered} reservations were answered, the log has {stored}")]
    Lost {
        /// Answers.
        answered: u64,
        /// Reservations in the log.
        stored: u64,
    },
    /// Nobody could log in as was meant.
    #[error("the log-in storm failed")]
    Storm(#[from] StormError),
    /// A token that was issued here is refused.
    #[error("a token was refused")]
    Token(#[from] infra::auth::AuthError),
    /// A server could not be started or stopped, or a folder not made.
    #[error("a file or server failed")]
    Io(#[from] std::io::Error),
    /// The data folder.
    #[error("the data folder cannot be used")]
    Folder(#[from] infra::data_folder::DataFolderError),
    /// The log could not be opened.
    #[error("the log cannot be opened")]
    OpenLog(#[from] infra::log::embedded::OpenError),
    /// The log could not be written.
    #[error("the log was not written")]
    Append(#[from] infra::log::AppendError),
    /// The log could not be read.
    #[error("the log was not read")]
    Read(#[from] infra::log::ReadError),
    /// The database's address.
    #[error("the database cannot be addressed")]
    Address(#[from] infra::postgres::AddressError),
    /// The views could not be set up.
    #[error("the views cannot be set up")]
    Prepare(#[from] projections::PrepareError),
    /// A view was not built again.
    #[error("a view was not built again")]
    Rebuild(#[from] projections::RebuildError),
    /// The database inside the process.
    #[error("the embedded database does not start")]
    Embedded(#[from] evently::embedded_postgres::EmbeddedPostgresError),
    /// The brokers' address.
    #[error("Kafka cannot be addressed")]
    Kafka(#[from] infra::kafka::OpenError),
    /// There is nobody to feed.
    #[error("no Kafka to feed: name one with --kafka")]
    NoKafka,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// What goes on beside the load panicked, or the product never caught up, or this system does
    /// not tell what is needed.
    #[error("{0}")]
    Stuck(&'static str),
}

/// What `--only` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// durable reserve over HTTP on one event, against the echo
    Hot,
    /// the same, against PostgreSQL row locks
    HotRowLocks,
    /// reserve spread over 1,000 events, against the echo
    Spread,
    /// availability read, against a constant answer of the same size
    Availability,
    /// reserve on one event at half its maximum, open loop
    HotP99,
    /// the booking and availability views built again in native PostgreSQL
    Rebuild,
    /// the same in the PostgreSQL that runs inside the process
    RebuildEmbedded,
    /// from an acknowledged write to its sight in a view, at 2,000 writes/s
    Visible,
    /// a log of 1,000,000 facts fed to Kafka; needs --kafka
    Feed,
    /// from the start on an inventory of 1,000,000 facts to its first booking
    Load,
    /// bytes of an inventory of 1,000,000 facts, for each booking
    Memory,
    /// reserve on one event with all roles in one process, against the echo
    HotAllRoles,
    /// reserve on one event with the log in another process, against the log in the same one
    LogServer,
    /// reserve on one event by two command nodes that contend, against one
    TwoNodes,
    /// reserve on one event while as many log in as the product takes, against the same in calm
    LoginStorm,
    /// what part of a reservation's processor time the check of its token is
    TokenCheck,
    /// the check of a token that was not seen before
    TokenFirst,
    /// axum echo at half its maximum, open loop: what any reservation takes at least
    EchoP99,
}

impl Measure {
    /// Name, title, unit and target of its row.
    fn describe(self) -> (&'static str, &'static str, &'static str, Target) {
        use Target::{AtLeast, AtMost, RatioAtLeast, Shown};
        match self {
            Self::Hot => ("hot", "reserve on one event / axum echo", "req/s", RatioAtLeast(0.5)),
            Self::HotRowLocks => {
                ("hot-row-locks", "the same / PostgreSQL row locks", "req/s", RatioAtLeast(15.0))
            }
            Self::Spread => {
                ("spread", "reserve over 1,000 events / axum echo", "req/s", RatioAtLeast(0.35))
            }
            Self::Availability => {
                ("availability", "availability / axum constant", "req/s", RatioAtLeast(0.7))
            }
            Self::HotP99 => ("hot-p99", "p99 of reserve at half its maximum", "ms", AtMost(20.0)),
            Self::Rebuild => {
                ("rebuild", "rebuild bookings + availability", "facts/s", AtLeast(60_000.0))
            }
            Self::RebuildEmbedded => {
                ("rebuild-embedded", "the same, embedded database", "facts/s", AtLeast(25_000.0))
            }
            Self::Visible => ("visible", "p99 until a write is seen, 2,000/s", "ms", AtMost(100.0)),
            Self::Feed => ("feed", "public facts fed to Kafka", "facts/s", AtLeast(30_000.0)),
            Self::Load => ("load", "start with 1,000,000 facts and sell", "s", AtMost(2.0)),
            Self::Memory => ("memory", "inventory, for each booking", "bytes", AtMost(300.0)),
            Self::HotAllRoles => {
                ("hot-all-roles", "reserve, all roles at work / axum echo", "req/s", Shown)
            }
            Self::LogServer => (
                "log-server",
                "reserve, log in another process / in this",
                "req/s",
                RatioAtLeast(0.5),
            ),
            Self::TwoNodes => {
                ("two-nodes", "reserve, two nodes on one event / one", "req/s", RatioAtLeast(0.33))
            }
            Self::LoginStorm => {
                ("login-storm", "reserve in a log-in storm / in calm", "req/s", RatioAtLeast(0.7))
            }
            Self::TokenCheck => {
                ("token-check", "token check, part of a reservation", "%", AtMost(3.0))
            }
            Self::TokenFirst => ("token-first", "first check of a token", "us", Shown),
            Self::EchoP99 => ("echo-p99", "p99 of axum echo at half its maximum", "ms", Shown),
        }
    }

    fn run(self, round: &Round<'_>) -> Result<Sample, MeasureError> {
        match self {
            Self::Hot => Ok(round.hot()?.sample()),
            Self::HotRowLocks => {
                let (hot, row_locks) = (round.hot()?, round.row_locks()?);
                let sample = Sample::against(hot.load.rate, row_locks.best());
                Ok(sample.with("load", hot.load.seen()).with("row_locks", row_locks.seen()))
            }
            Self::Spread => Ok(round.beside_echo(|| round.spread())?.sample()),
            Self::Availability => {
                let (asked, constant) = round.availability()?;
                Ok(compared(&asked, &constant))
            }
            Self::HotP99 => Ok(p99(&round.half_hot()?)),
            Self::Rebuild => round.rebuild(),
            Self::RebuildEmbedded => round.rebuild_embedded(),
            Self::Visible => round.visible(),
            Self::Feed => round.feed(),
            Self::Load => round.restart(),
            Self::Memory => Ok(inventory::memory(round.bench.sale())),
            Self::HotAllRoles => Ok(round.beside_echo(|| round.hot_with_views())?.sample()),
            Self::LogServer => Ok(compared(&*round.distant()?, &round.hot()?.load)),
            Self::TwoNodes => Ok(compared(&round.two_nodes()?, &*round.distant()?)),
            Self::LoginStorm => storm::log_ins(round),
            Self::TokenCheck => tokens::check(round),
            Self::TokenFirst => tokens::first(round),
            Self::EchoP99 => Ok(p99(&round.half_echo()?)),
        }
    }
}

fn compared(product: &Outcome, baseline: &Outcome) -> Sample {
    Sample::against(product.rate, baseline.rate)
        .with("load", product.seen())
        .with("baseline_load", baseline.seen())
}

fn p99(outcome: &Outcome) -> Sample {
    Sample::of(outcome.latency_ms(0.99)).with("load", outcome.seen())
}

/// Runs `measures` as often as the settings say, run by run, so that a slow moment of the machine
/// falls on what is compared alike.
pub fn all(bench: &Bench, measures: &[Measure], progress: &impl Fn(u32, &str)) -> Vec<Row> {
    let mut samples = vec![Vec::new(); measures.len()];
    let mut missing = vec![None; measures.len()];
    for run in 1..=bench.settings().runs {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use infra::clock::SystemClock;

    use super::*;
    use crate::report::Settings;

    /// Rough, and of a debug build: that there are figures, not which.
    #[test]
    fn what_is_measured_of_accounts_has_figures() {
        let folder = tempfile::tempdir().unwrap();
        let (connections, generator_threads) = (8, 1);
        let (runs, warm_up_s, seconds, storm_s) = (1, 0.1, 0.5, 2.0);
        let settings =
            Settings { runs, connections, generator_threads, warm_up_s, seconds, storm_s };
        let bench = Bench::new(folder.path(), settings, None, None, Arc::new(SystemClock)).unwrap();
        for measure in [Measure::TokenFirst, Measure::TokenCheck, Measure::LoginStorm] {
            // A machine that is busy with something else may look at no password in that time.
            let mut failed = None;
            let sample = (0..20).find_map(|_| match measure.run(&Round::new(&bench)) {
                Ok(sample) => Some(sample),
                Err(error) => {
                    failed = Some(chain(&error));
                    None
                }
            });
            let sample = sample.unwrap_or_else(|| panic!("{measure:?}: {failed:?}"));
            assert!(sample.product > 0.0, "{measure:?}: {sample:?}");
        }
    }
}
