//! Records as text: NDJSON, from which the proof can be repeated offline, or CSV for people.

use std::io::{self, Write};

use domain::{EventId, Time};
use infra::log::{Position, Record};
use infra::shapes::AuditRecord;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line, as GET /api/v1/audit/records shows them.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
}

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    /// From this position on.
    pub(crate) from: Option<u64>,
    /// Up to this position.
    pub(crate) to: Option<u64>,
    /// Of the event and its inventory.
    pub(crate) event: Option<EventId>,
    /// Decided then or later.
    pub(crate) since: Option<Time>,
    /// Decided before.
    pub(crate) until: Option<Time>,
}

impl Filter {
    /// Says so when no record can be wanted.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err("--from is after --to: no record is between them");
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err("--since is not before --until: no record is between them");
        }
        Ok(())
    }

    /// Nothing up to here is wanted.
    pub(crate) fn after(&self) -> Position {
        Position(self.from.unwrap_or(0).saturating_sub(1))
    }

    /// Nothing after here is wanted, of what there is up to `head`.
    pub(crate) fn upto(&self, head: Position) -> Position {
        self.to.map_or(head, |to| head.min(Position(to)))
    }

    /// Whether a record between the two is wanted.
    pub(crate) fn takes(&self, record: &Record) -> bool {
        let event = self.event.is_none_or(|event| {
            let name = record.stream.split_once('-').map(|(_, name)| name);
            name.and_then(|name| name.parse().ok()) == Some(event)
        });
        event
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

/// Writes records one after the other.
pub(crate) enum Writer<W: Write> {
    Ndjson(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(format: Format, mut out: W) -> io::Result<Self> {
        const COLUMNS: [&str; 11] = [
            "position", "stream", "revision", "id", "type", "version", "at", "data", "metadata",
            "hash", "reason",
        ];
        Ok(match format {
            Format::Ndjson => {
                out.flush()?;
                Self::Ndjson(out)
            }
            Format::Csv => {
                let mut rows = csv::Writer::from_writer(out);
                rows.write_record(COLUMNS).map_err(in_row)?;
                Self::Csv(Box::new(rows))
            }
        })
    }

    pub(crate) fn write(&mut self, shown: &AuditRecord) -> io::Result<()> {
        match self {
            Self::Ndjson(out) => {
                serde_json::to_writer(&mut *out, shown)?;
                out.write_all(b"\n")
            }
            Self::Csv(rows) => {
                let reason = shown.reason.as_ref().and_then(|reason| reason.0.as_deref());
                let row = [
                    &shown.position.to_string(),
                    &shown.stream,
                    &shown.revision.to_string(),
                    &shown.id.to_string(),
                    &shown.kind,
                    &shown.version.to_string(),
                    &shown.at.to_string(),
                    shown.data.get(),
                    shown.metadata.get(),
                    &shown.hash,
                    reason.unwrap_or_default(),
                ];
                rows.write_record(row).map_err(in_row)
            }
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Ndjson(out) => out.flush(),
            Self::Csv(rows) => rows.flush(),
        }
    }
}

/// What went wrong itself. The usual conversion wraps it, and nobody would see any more that it is
/// a pipe that was closed.
fn in_row(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
