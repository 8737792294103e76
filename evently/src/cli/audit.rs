//! `evently audit`

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::event::Event;
use domain::{Aggregate, EventId, Time};
use futures::StreamExt;
use infra::data_folder::DataFolder;
use infra::errors::chain;
use infra::identity::Reasons;
use infra::log::Position;
use infra::log::chain::Seal;
use infra::shapes::AuditRecord;
use serde_json::{Value, json};

use super::keys::NOWHERE;
use super::{Failure, Invocation, progress};
use crate::audit::export::{Filter, Format, Writer};
use crate::audit::source::Batches;
use crate::audit::verdict::{self, Problem, Verdict};
use crate::audit::verify::Proven;
use crate::identity;
use crate::log::OpenLog;
use crate::settings::{Checked, Origin, Settings};
use crate::signals::Signals;

pub(super) const EXAMPLES: &str = "\
Examples:
  evently audit verify
  evently audit export --format csv > log.csv
  evently audit tail --after 0";

const VERIFY_EXAMPLES: &str = "\
Examples:
  evently audit verify
  evently audit verify --data /srv/evently --json
  evently audit verify --expect 81920:7c1e...   the seal that an earlier audit printed
  evently audit export > log.ndjson && evently audit verify --export log.ndjson";

const EXPORT_EXAMPLES: &str = "\
Examples:
  evently audit export > log.ndjson
  evently audit export --format csv --event evt_01jd2yc5f9e7kbg4v1rm0n8wq3 > event.csv
  evently audit export --from 1000 --to 1999
  evently audit export --reasons --format csv > for-the-auditor.csv
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
    /// on a stopped or a running server's data folder, or on an export, without any server. Of a data
    /// folder's log it also sees that its indexes lead to every record, as servers read by them, and of
    /// a log server's that nobody else wrote to a stream of the product. A folder that is named by
    /// --data is looked at also where EVENTLY_LOG_URL names a log server; what was read is told first.
    ///
    /// Hashes that follow from each other prove what is there, not that whole streams or the end of
    /// the log are still there, nor that nobody who can write the file wrote it anew. For that, note
    /// the seal that an audit prints, at a place that the server cannot write, and give it as
    /// --expect later: every record up to there has to be the same. A server's wake list says how far
    /// its log went, and is compared too.
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
    /// Fail unless all records up to here are those of this seal, or at least there: a position
    #[arg(long, value_name = "SEAL")]
    expect: Option<Seal>,
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
    /// Open the reasons that admins gave for what they did to others, which the log has sealed. What is
    /// printed then is personal, and stays when the person is erased
    #[arg(long)]
    reasons: bool,
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            AuditCommand::Verify(args) => verify(args, settings).await,
            AuditCommand::Export(args) => export(args, settings).await,
            AuditCommand::Tail(args) => tail(args, settings).await,
        }
    })
}

/// Who names a folder wants the log in it, a backup for instance, and not the one that the
/// environment names for all commands: a proof of that would prove nothing of the folder.
pub(super) fn of_named_log(asked: &Invocation) -> Settings {
    let settings = &asked.cli.settings;
    let is_named = |key| settings.origin(key, &asked.matches, &asked.file) == Origin::Flag;
    let log_url = settings.log_url.clone().filter(|_| is_named("log_url") || !is_named("data"));
    Settings { log_url, ..settings.clone() }
}

/// What was looked at, without secrets.
fn looked_at(args: &VerifyArgs, settings: &Checked) -> String {
    match (&args.export, &settings.log_url) {
        (Some(export), _) => format!("the export {}", export.display()),
        (None, Some(url)) => format!("the log at {url}"),
        (None, None) => format!("the log in the folder {}", settings.data.display()),
    }
}

async fn verify(args: &VerifyArgs, settings: &Checked) -> Result<(), Failure> {
    let log = looked_at(args, settings);
    let looked = match &args.export {
        None => verdict::of_log(settings, args.expect, &progress::bar(0, "verifying")).await,
        Some(path) => verdict::of_export(path, args.expect, &progress::bytes(0, "verifying")),
    };
    let mut out = io::stdout().lock();
    let verdict = match looked {
        Err(error) if args.json => {
            writeln!(out, "{:#}", json!({"log": log, "error": chain(&error)}))?;
            return Err(error.into());
        }
        looked => looked?,
    };
    if args.json {
        let mut told = in_json(&verdict);
        told["log"] = log.as_str().into();
        writeln!(out, "{told:#}")?;
    }
    if verdict.problems.is_empty() {
        if !args.json {
            write!(out, "read: {log}\n{}", in_words(&verdict))?;
        }
        return Ok(());
    }
    let mut lines: Vec<String> = verdict.problems.iter().map(|problem| chain(problem)).collect();
    let Proven { records, position, .. } = verdict.proven;
    lines.push(format!("{records} records are as written, up to position {position}, of {log}"));
    Err(Failure::Wrong(lines))
}

/// What a chain of hashes leaves open.
fn not_proven(expected: Option<Seal>) -> String {
    let since = match expected {
        Some(seal @ Seal { digest: Some(_), .. }) => format!("since seal {seal}"),
        _ => "since the last seal that you noted elsewhere (--expect)".to_owned(),
    };
    format!("that nothing was cut off at the end or written anew {since}")
}

fn in_json(verdict: &Verdict) -> Value {
    let Verdict { proven, problems, .. } = verdict;
    if problems.is_empty() {
        let seal = verdict.seal.to_string();
        let open = not_proven(verdict.expected);
        return json!({"intact": true, "proven": proven, "seal": seal, "not_proven": open});
    }
    let told: Vec<String> = problems.iter().map(|problem| chain(problem)).collect();
    let mut told = json!({
        "intact": false, "problems": told, "records": proven.records, "position": proven.position
    });
    let first = problems.iter().find_map(|problem| match problem {
        Problem::Record(finding) => Some(finding),
        _ => None,
    });
    if let Some(finding) = first {
        let position = finding.position();
        told["first_bad_record"] = json!({"position": position, "problem": chain(finding)});
    }
    told
}

fn in_words(verdict: &Verdict) -> String {
    let Proven { records, streams, position, inventories, capacity, sold, held } = verdict.proven;
    let mut words = String::new();
    if records == 0 {
        words += "empty: nothing to prove\n";
    } else {
        words += &format!(
            "unaltered: {records} records in {streams} streams, up to position {position}\n\
             never oversold: {inventories} inventories, {sold} sold and {held} held of {capacity} \
             places\n"
        );
    }
    if let Some(known) = verdict.known {
        words += &format!("nothing is missing up to position {known}, says the wake list\n");
    }
    if let Some(Seal { position, digest: Some(_) }) = verdict.expected {
        words += &format!("the same as when it was sealed, up to position {position}\n");
    }
    if records > 0 {
        words += &format!("seal: {}\n", verdict.seal);
    }
    words + &format!("not proven: {}\n", not_proven(verdict.expected))
}

async fn export(args: &ExportArgs, settings: &Checked) -> Result<(), Failure> {
    let ExportArgs { format, from, to, event, since, until, reasons } = *args;
    let filter = Filter { from, to, event, since, until };
    filter.check().map_err(|empty| Failure::Usage(vec![empty.to_owned()]))?;
    let reasons = if reasons { reasons_of(settings)? } else { Reasons::default() };
    let opened = OpenLog::look_at(settings)?;
    let log = opened.shared();
    if let Some(event) = event
        && log.read_stream(&Event::stream(event), 0, 1).await?.is_empty()
    {
        return Err(Failure::Wrong(vec![format!("the log knows no event {event}")]));
    }
    let upto = filter.upto(opened.end_to_read_to().await?);
    let bar = progress::bar(upto.0.saturating_sub(filter.after().0), "exporting");
    let mut out = Writer::new(format, BufWriter::new(io::stdout().lock()))?;
    let mut batches = Batches::new(&opened, filter.after(), upto);
    loop {
        let records = batches.next().await?;
        let Some(last) = records.last() else { break };
        bar.set_position(last.position.0 - filter.after().0);
        let wanted = records.into_iter().filter(|record| filter.takes(record));
        let mut wanted: Vec<_> = wanted.map(AuditRecord::from).collect();
        reasons.open(&mut wanted).await;
        for record in &wanted {
            out.write(record)?;
        }
    }
    bar.finish_and_clear();
    Ok(out.flush()?)
}

/// What opens them: the keys of persons that the server has.
fn reasons_of(settings: &Checked) -> Result<Reasons, Failure> {
    let folder = DataFolder::open_existing(&settings.data)?;
    if settings.database_url.is_none() && !folder.identity().exists() {
        return Err(Failure::Wrong(vec![NOWHERE.to_owned()]));
    }
    Ok(identity::reasons(settings, identity::store(settings, &folder, folder.keys_known()?)?))
}

async fn tail(args: &TailArgs, settings: &Checked) -> Result<(), Failure> {
    let filter = Filter { event: args.event, ..Filter::default() };
    let mut signals = Signals::listen()?;
    let log = OpenLog::look_at(settings)?.shared();
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
                out.write(&AuditRecord::from(record))?;
                left -= 1;
            }
        }
        out.flush()?;
    }
    Ok(())
}
