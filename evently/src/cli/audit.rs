//! `evently audit`

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::{EventId, Time};
use futures::StreamExt;
use infra::log::{Log, Position};
use serde_json::json;

use super::{Failure, chain, progress};
use crate::audit::export::{Filter, Format, Writer};
use crate::audit::source::{Batches, Export, open_log};
use crate::audit::verify::{Finding, Proven, Verifier};
use crate::settings::Checked;
use crate::signals::Signals;

const VERIFY_EXAMPLES: &str = "\
Examples:
  evently audit verify
  evently audit verify --data /srv/evently --json
  evently audit export > log.ndjson && evently audit verify --export log.ndjson";

const EXPORT_EXAMPLES: &str = "\
Examples:
  evently audit export > log.ndjson
  evently audit export --format csv --event evt_01jd2yc5f9e7kbg4v1rm0n8wq3 > event.csv
  evently audit export --from 1000 --to 1999
  evently audit export --since 2027-06-01T00:00:00Z --until 2027-06-02T00:00:00Z";

const TAIL_EXAMPLES: &str = "\
Examples:
  evently audit tail                   what is written from now on
  evently audit tail --after 0         everything, then what is written
  evently audit tail --after 0 --count 10";

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Prove that nothing was altered and nothing oversold; 1 and the first bad record if not
    ///
    /// Computes every record's chain hash again and counts every inventory's stock from its facts,
    /// on a stopped or a running server's data folder, or on an export, without any server.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Print records, all or some
    ///
    /// Whole streams in NDJSON can be verified anywhere with `evently audit verify --export`: export
    /// without --from, --since and --until for that, with or without --event.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Print records as they are written, in NDJSON, until interrupted
    #[command(after_help = TAIL_EXAMPLES)]
    Tail(TailArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Verify this NDJSON export instead of the data folder's log
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// How records are written
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// From this position on
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Up to this position
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Of this event and its inventory
    #[arg(long, value_name = "EVENT")]
    event: Option<EventId>,
    /// Decided then or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    /// Decided before (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Begin after this position; what is written from now on if absent
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Of this event and its inventory
    #[arg(long, value_name = "EVENT")]
    event: Option<EventId>,
    /// End after so many records
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

/// Reads the log, and changes nothing.
pub(super) fn run(command: &AuditCommand, settings: &Checked) -> Result<(), Failure> {
    let data = &settings.data;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            AuditCommand::Verify(args) => verify(args, data).await,
            AuditCommand::Export(args) => export(args, data).await,
            AuditCommand::Tail(args) => tail(args, data).await,
        }
    })
}

async fn verify(args: &VerifyArgs, data: &Path) -> Result<(), Failure> {
    let verdict = match &args.export {
        None => verify_log(data).await?,
        Some(path) => verify_export(path)?,
    };
    let mut out = io::stdout().lock();
    match (&verdict, args.json) {
        (Ok(proven), true) => writeln!(out, "{:#}", json!({"intact": true, "proven": proven}))?,
        (Ok(proven), false) => write!(out, "{}", in_words(proven))?,
        (Err(finding), true) => {
            let first = json!({"position": finding.position(), "problem": chain(finding)});
            writeln!(out, "{:#}", json!({"intact": false, "first_bad_record": first}))?;
        }
        (Err(_), false) => {}
    }
    Ok(verdict.map(|_| ())?)
}

fn in_words(proven: &Proven) -> String {
    let Proven { records, streams, position, inventories, capacity, sold, held } = proven;
    format!(
        "unaltered: {records} records in {streams} streams, up to position {position}\n\
         never oversold: {inventories} inventories, {sold} sold and {held} held of {capacity} \
         places\n"
    )
}

async fn verify_log(data: &Path) -> Result<Result<Proven, Finding>, Failure> {
    let log = open_log(data)?;
    let head = log.head().await?;
    let bar = progress::bar(head.0, "verifying");
    let mut verifier = Verifier::of_whole_log();
    let mut batches = Batches::new(&log, Position(0), head);
    loop {
        let records = batches.next().await?;
        let Some(last) = records.last() else { break };
        if let Err(finding) = records.iter().try_for_each(|record| verifier.take(record)) {
            return Ok(Err(finding));
        }
        bar.set_position(last.position.0);
    }
    bar.finish_and_clear();
    Ok(Ok(verifier.proven()))
}

fn verify_export(path: &Path) -> Result<Result<Proven, Finding>, Failure> {
    let (mut export, length) = Export::open(path)?;
    let bar = progress::bytes(length, "verifying");
    let mut verifier = Verifier::default();
    while let Some((record, bytes)) = export.next()? {
        if let Err(finding) = verifier.take(&record) {
            return Ok(Err(finding));
        }
        bar.inc(bytes);
    }
    bar.finish_and_clear();
    Ok(Ok(verifier.proven()))
}

async fn export(args: &ExportArgs, data: &Path) -> Result<(), Failure> {
    let ExportArgs { format, from, to, event, since, until } = *args;
    let filter = Filter { from, to, event, since, until };
    let log = open_log(data)?;
    let upto = filter.upto(log.head().await?);
    let bar = progress::bar(upto.0.saturating_sub(filter.after().0), "exporting");
    let mut out = Writer::new(format, BufWriter::new(io::stdout().lock()))?;
    let mut batches = Batches::new(&log, filter.after(), upto);
    loop {
        let records = batches.next().await?;
        let Some(last) = records.last() else { break };
        bar.set_position(last.position.0 - filter.after().0);
        for record in records.into_iter().filter(|record| filter.takes(record)) {
            out.write(record)?;
        }
    }
    bar.finish_and_clear();
    Ok(out.flush()?)
}

async fn tail(args: &TailArgs, data: &Path) -> Result<(), Failure> {
    let filter = Filter { event: args.event, ..Filter::default() };
    let mut signals = Signals::listen()?;
    let log = open_log(data)?;
    let after = match args.after {
        Some(after) => Position(after),
        None => log.head().await?,
    };
    let mut out = Writer::new(Format::Ndjson, BufWriter::new(io::stdout().lock()))?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut records = log.subscribe_all(after);
    while left > 0 {
        let batch = tokio::select! {
            batch = records.next() => batch,
            () = signals.next() => break,
        };
        let Some(batch) = batch else { break };
        for record in batch?.into_iter().filter(|record| filter.takes(record)) {
            if left > 0 {
                out.write(record)?;
                left -= 1;
            }
        }
        out.flush()?;
    }
    Ok(())
}
