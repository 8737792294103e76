//! Where records to look at come from: the log in a data folder, or an export.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use infra::log::chain::ChainHashError;
use infra::log::{Log, Position, ReadError, Record};
use infra::shapes::AuditRecord;

use crate::log::{OpenError, OpenLog};

/// Records read at once.
const BATCH: usize = 8_192;

/// Why records cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "the log cannot be read after position {after}: leave it as it is, copy the data folder, \
         and restore log.sqlite from a backup"
    )]
    Unread {
        after: Position,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the export {} cannot be read", path.display())]
    Export {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {line} of the export is no record as `evently audit export` writes it")]
    Line {
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("the export is not NDJSON, as `evently audit export` writes it without --format csv")]
    Form,
    #[error("line {line} of the export has no chain hash")]
    Hash {
        line: usize,
        #[source]
        source: ChainHashError,
    },
}

/// The records of a log after one position up to another.
pub(crate) struct Batches {
    log: Arc<dyn Log>,
    after: Position,
    upto: Position,
    may_be_damaged: bool,
    /// Records read at once: fewer where some cannot be read, to come as near to them as can be.
    batch: usize,
}

impl Batches {
    pub(crate) fn new(opened: &OpenLog, after: Position, upto: Position) -> Self {
        let batch = BATCH;
        Self { log: opened.shared(), may_be_damaged: opened.is_file(), after, upto, batch }
    }

    /// The next ones; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<Record>, SourceError> {
        if self.after >= self.upto {
            return Ok(vec![]);
        }
        let mut records = loop {
            match self.log.read_all(self.after, self.batch).await {
                Ok(records) => break records,
                Err(error) if !self.may_be_damaged => return Err(error.into()),
                Err(_) if self.batch > 1 => self.batch /= 2,
                Err(ReadError(source)) => {
                    return Err(SourceError::Unread { after: self.after, source });
                }
            }
        };
        records.retain(|record| record.position <= self.upto);
        self.after = records.last().map_or(self.upto, |last| last.position);
        Ok(records)
    }
}

/// The records of an export in NDJSON, with the bytes that each took.
pub(crate) struct Export {
    path: PathBuf,
    lines: BufReader<File>,
    line: usize,
    text: String,
}

impl Export {
    /// Opens the file at `path`; gives its length in bytes too.
    pub(crate) fn open(path: &Path) -> Result<(Self, u64), SourceError> {
        let failed = |source| SourceError::Export { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let lines = BufReader::with_capacity(1 << 20, file);
        Ok((Self { path: path.to_owned(), lines, line: 0, text: String::new() }, length))
    }

    /// The next record and the length of its line; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Record, u64)>, SourceError> {
        self.text.clear();
        let read = self.lines.read_line(&mut self.text);
        let failed = |source| SourceError::Export { path: self.path.clone(), source };
        let length = read.map_err(failed)?;
        if length == 0 {
            return Ok(None);
        }
        self.line += 1;
        let line = self.line;
        if line == 1 && !self.text.starts_with('{') {
            return Err(SourceError::Form);
        }
        let shown: AuditRecord = serde_json::from_str(&self.text)
            .map_err(|source| SourceError::Line { line, source })?;
        let record = shown.try_into().map_err(|source| SourceError::Hash { line, source })?;
        Ok(Some((record, length as u64)))
    }
}
