//! What an audit comes to: what was proven, and all that speaks against it.

use std::path::Path;

use command_api::{LostEnd, followed_to};
use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use infra::data_folder::DataFolder;
use infra::log::chain::Seal;
use infra::log::embedded::{EmbeddedLog, Misled};
use infra::log::eventstore::EventStoreError;
use infra::log::{Position, ReadError};

use super::source::{Batches, Export, SourceError};
use super::verify::{Finding, Proven, Verifier};
use crate::log::{OpenLog, UNREADABLE_END, wake_list};
use crate::settings::Checked;

/// Something that speaks against what was looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// A record is not as it has to be. It is the first; those after it were not looked at.
    #[error(transparent)]
    Record(#[from] Finding),
    /// Somebody made room for changes.
    #[error(
        "what guards the log's records is missing or was changed: {}; the server refuses such a \
         log: restore log.sqlite from a backup",
        .0.join(", ")
    )]
    Guards(Vec<String>),
    /// The wake list knows better.
    #[error(transparent)]
    LostEnd(#[from] LostEnd),
    /// Whoever asked knows better.
    #[error("the last record is at position {position}, but there should be one at {expected}")]
    Short { position: Position, expected: Position },
    /// A part of the file is damaged.
    #[error(transparent)]
    Unread(SourceError),
    /// The records are as they were written, but not all of them are found.
    #[error(
        "{0}: no server decides on such a log; restore log.sqlite from a backup, or have the indexes \
         made anew on a copy, as docs/OPERATIONS.md says under \"Proving a copy\", and prove that"
    )]
    Misled(Misled),
    /// Nor can be.
    #[error(
        "the indexes of the log cannot be read: restore log.sqlite from a backup, or have them made \
         anew on a copy, as docs/OPERATIONS.md says under \"Proving a copy\", and prove that"
    )]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else wrote to a stream of the product, which nobody can read from there on.
    #[error(
        "nothing more is decided on that stream: see that nobody else can write to the log server, and \
         restore its log from a backup of before"
    )]
    Foreign(#[source] EventStoreError),
    /// Nothing is in it, which no sound export is.
    #[error("the export is empty: nothing to prove")]
    Empty,
}

/// What an audit comes to.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// What the records before the first bad one prove.
    pub(crate) proven: Proven,
    /// The same records, to be noted elsewhere.
    pub(crate) seal: Seal,
    /// What was noted before: the records up to there are the same, if there is no problem.
    pub(crate) expected: Option<Seal>,
    /// To which position the log is known to have gone, without it.
    pub(crate) known: Option<Position>,
    /// What speaks against it.
    pub(crate) problems: Vec<Problem>,
}

impl Verdict {
    fn of(
        verifier: &Verifier,
        known: Option<Position>,
        expected: Option<Seal>,
        mut problems: Vec<Problem>,
    ) -> Self {
        let (proven, seal) = (verifier.proven(), verifier.seal());
        // Where the records end is not known when one of them could not be taken.
        let cut = problems.iter().any(|p| matches!(p, Problem::Record(_) | Problem::Unread(_)));
        let position = seal.position;
        let beyond = expected.map(|seal| seal.position).filter(|it| !cut && *it > position);
        problems.extend(beyond.map(|expected| Problem::Short { position, expected }));
        Self { proven, seal, expected, known, problems }
    }
}

/// Looks at the log that the settings name, whether a server runs on it or not, which had the
/// `expected` records before.
pub(crate) async fn of_log(
    settings: &Checked,
    expected: Option<Seal>,
    bar: &ProgressBar,
) -> Result<Verdict, SourceError> {
    let log = OpenLog::look_at(settings)?;
    // Before the end of the log is looked at: both grow. Where the log is a server's, it may never
    // have been followed from here.
    let folder = DataFolder::open_existing(&settings.data).ok();
    let list = folder.map(|folder| wake_list(settings, &folder));
    let known = list.as_deref().and_then(followed_to);
    let end = log.end_to_read_to().await?;
    bar.set_length(if end == UNREADABLE_END { 0 } else { end.0 });
    let mut problems = vec![];
    if !log.changed_guards().is_empty() {
        problems.push(Problem::Guards(log.changed_guards().to_vec()));
    }
    if let Some((list, followed)) = list.as_deref().zip(known) {
        problems.extend(LostEnd::check(list, followed, end).err().map(Problem::from));
    }
    let mut verifier = Verifier::of_whole_log(log.is_file()).expecting(expected);
    let mut batches = Batches::new(&log, Position(0), end);
    let mut index = Index::of(&log);
    let is_read = loop {
        let records = match batches.next().await {
            Ok(records) => records,
            Err(error @ SourceError::Unread { .. }) => {
                problems.push(Problem::Unread(error));
                break false;
            }
            Err(error) => return Err(error),
        };
        let Some(last) = records.last() else { break true };
        if let Err(finding) = records.iter().try_for_each(|record| verifier.take(record)) {
            problems.push(finding.into());
            break false;
        }
        index.leads_to(last.position).await;
        bar.set_position(last.position.0);
    };
    problems.extend(index.problem(is_read).await);
    if is_read && !log.is_file() {
        problems.extend(foreign(&log, &verifier).await?);
    }
    bar.finish_and_clear();
    Ok(Verdict::of(&verifier, known, expected, problems))
}

/// What follows the last record of a stream on a server and is not of the product. Among all records it is
/// passed over, as a server may have others.
async fn foreign(log: &OpenLog, verifier: &Verifier) -> Result<Option<Problem>, ReadError> {
    const AT_ONCE: usize = 32;
    let log = log.shared();
    let ends = verifier.ends().map(|(stream, last)| {
        let log = log.clone();
        async move { log.read_stream(&stream, last + 1, 1).await }
    });
    let mut reads = stream::iter(ends).buffer_unordered(AT_ONCE);
    while let Some(read) = reads.next().await {
        let Err(ReadError(source)) = read else { continue };
        match source.downcast::<EventStoreError>() {
            Ok(error) if matches!(*error, EventStoreError::Foreign { .. }) => {
                return Ok(Some(Problem::Foreign(*error)));
            }
            Ok(error) => return Err(ReadError(error)),
            Err(source) => return Err(ReadError(source)),
        }
    }
    Ok(None)
}

/// What leads to the records of a file, looked at beside them, up to the first thing that is wrong.
struct Index<'a> {
    /// How a server keeps its log is its own.
    file: Option<&'a EmbeddedLog>,
    upto: Position,
    problem: Option<Problem>,
}

impl<'a> Index<'a> {
    fn of(log: &'a OpenLog) -> Self {
        Self { file: log.file(), upto: Position(0), problem: None }
    }

    /// Sees that the next records up to here are found.
    async fn leads_to(&mut self, position: Position) {
        let after = std::mem::replace(&mut self.upto, position);
        if let Some(file) = self.file.filter(|_| self.problem.is_none()) {
            self.problem = told(file.find_misled(after, position).await);
        }
    }

    /// What is wrong; if all records were read, also with what none of them shows.
    async fn problem(self, is_read: bool) -> Option<Problem> {
        match self.file.filter(|_| is_read && self.problem.is_none()) {
            Some(file) => told(file.find_misled_at_all().await),
            None => self.problem,
        }
    }
}

fn told(found: Result<Option<Misled>, ReadError>) -> Option<Problem> {
    match found {
        Ok(misled) => misled.map(Problem::Misled),
        Err(ReadError(source)) => Some(Problem::Index(source)),
    }
}

/// Looks at the export at `path`, which had the `expected` records before.
pub(crate) fn of_export(
    path: &Path,
    expected: Option<Seal>,
    bar: &ProgressBar,
) -> Result<Verdict, SourceError> {
    let (mut export, length) = Export::open(path)?;
    bar.set_length(length);
    let mut verifier = Verifier::default().expecting(expected);
    let mut problems = vec![];
    while let Some((record, bytes)) = export.next()? {
        if let Err(finding) = verifier.take(&record) {
            problems.push(finding.into());
            break;
        }
        bar.inc(bytes);
    }
    bar.finish_and_clear();
    if verifier.proven().records == 0 && problems.is_empty() {
        problems.push(Problem::Empty);
    }
    Ok(Verdict::of(&verifier, None, expected, problems))
}
