//! One transaction for all appends that wait: decided, written, made durable together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::error::{Damage, StorageError};
use super::file::LogFile;
use super::known::{Known, Transaction};
use crate::log::{AppendError, Appended, Expected, NewRecord, Record};
use crate::room;

/// What the writer needs again are the last pages of the records and, when positions are put in order,
/// the last page of each stream that sells: 8 MiB are 2,000 streams. SQLite goes through all of its
/// cache after a commit that did so, so that a large one has its price.
const CACHE: &str = "PRAGMA cache_size = -8192";

/// One call of `append`, on its way to the file.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) stream: Arc<str>,
    pub(super) expected: Expected,
    pub(super) records: Vec<NewRecord>,
}

impl Append {
    /// Bytes of data and metadata.
    pub(super) fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len() + record.metadata.len()).sum()
    }
}

/// The only writer of this process: its connection, and what it knows of the file.
#[derive(Debug)]
pub(super) struct Committer {
    connection: Connection,
    known: Known,
    /// Where it is tried whether there is room.
    room: PathBuf,
    /// Whether the last transaction failed: the same failure is not reported again and again.
    failing: Arc<AtomicBool>,
    damage: Damage,
}

pub(super) type Outcome = Result<Appended, AppendError>;

/// What became of some appends.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// Of each append, in order.
    pub(super) outcomes: Vec<Outcome>,
    /// What was written, in order of position.
    pub(super) records: Vec<Record>,
}

/// A transaction that did not come about.
enum Failure {
    /// Nothing of it can be in the file.
    Before(StorageError),
    /// Syncing or writing its last page failed: a crash now may leave it in the file.
    Committing(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Before(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Before(error.into())
    }
}

impl Committer {
    pub(super) fn open(file: &LogFile, damage: Damage) -> Result<Self, StorageError> {
        let connection = file.connect()?;
        connection.execute_batch(CACHE)?;
        // The guards are against others: this writer only ever inserts, and looks where itself.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let room = file.beside("-room");
        Ok(Self { connection, known: Known::default(), room, failing: Arc::default(), damage })
    }

    /// Whether the last transaction failed; for others to look at.
    pub(super) fn failing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.failing)
    }

    /// After a failure, tries whether it is over.
    pub(super) fn check(&mut self) -> Result<(), AppendError> {
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        try_room(&self.room)?;
        self.connection.execute(SETTLE, []).map_err(StorageError::from)?;
        self.succeeded();
        Ok(())
    }

    fn succeeded(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the log can be written again");
        }
    }

    /// For checkpoints by the writer itself.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Answers each append, in order. All that succeeded are durable; one that was refused
    /// changed nothing for the others.
    pub(super) fn commit(&mut self, appends: &[Append]) -> Committed {
        match self.transact(appends) {
            Ok(committed) => {
                self.succeeded();
                committed
            }
            Err(failure) => {
                self.roll_back();
                self.after(failure, appends)
            }
        }
    }

    fn transact(&mut self, appends: &[Append]) -> Result<Committed, Failure> {
        let Self { connection, known, .. } = self;
        let mut transaction = Transaction::begin(connection)?;
        known.refresh(connection)?;
        let outcomes = appends
            .iter()
            .map(|append| known.append(&mut transaction, append))
            .collect::<Result<_, _>>()?;
        let records = transaction.records;
        known.put_in_order(connection)?;
        connection
            .prepare_cached("COMMIT")?
            .execute([])
            .map_err(|error| commit_failure(error.into()))?;
        Ok(Committed { outcomes, records })
    }

    fn roll_back(&mut self) {
        self.known = Known::default();
        // Many failures have ended the transaction already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot roll back");
        }
    }

    fn after(&mut self, failure: Failure, appends: &[Append]) -> Committed {
        let (error, surely_not_written) = match failure {
            // One of them may be at fault: it must not fail the others.
            Failure::Before(error) if appends.len() > 1 && is_of_one_append(&error) => {
                return self.commit_one_by_one(appends);
            }
            Failure::Before(error) => (error, true),
            Failure::Committing(error) => (error, self.settle()),
        };
        self.damage.note(&error);
        if !self.failing.swap(true, Ordering::Relaxed) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, surely_not_written, "the log cannot be written");
        }
        let refuse = |_| {
            let source = Box::new(error.clone());
            Err(match surely_not_written {
                true => AppendError::Unavailable(source),
                false => AppendError::OutcomeUnknown(source),
            })
        };
        Committed { outcomes: appends.iter().map(refuse).collect(), records: Vec::new() }
    }

    fn commit_one_by_one(&mut self, appends: &[Append]) -> Committed {
        let mut all = Committed::default();
        for one in appends.chunks(1) {
            let committed = self.commit(one);
            all.outcomes.extend(committed.outcomes);
            all.records.extend(committed.records);
        }
        all
    }

    /// Pages of a failed commit may lie behind the end of the write-ahead log, whole, and would be
    /// taken for committed after a crash. A transaction written in their place makes it certain
    /// that they are not. Tells whether it is certain.
    fn settle(&mut self) -> bool {
        self.connection.execute(SETTLE, []).is_ok()
    }
}

/// Writes something that is no record.
const SETTLE: &str = "UPDATE log SET settled = settled + 1";

/// Whether there is room beside the log for what has to be appended. A tiny transaction alone may find
/// its place in what failed ones left behind.
fn try_room(path: &Path) -> Result<(), StorageError> {
    room::try_room(path).map_err(|error| match room::is_lack(&error) {
        true => StorageError::NoRoom,
        false => StorageError::Folder(Arc::new(error)),
    })
}

/// A full disk is found before the last page is written, and without that page there is nothing to
/// find after a crash. Of other failures we cannot tell.
fn commit_failure(error: StorageError) -> Failure {
    match error {
        StorageError::Full(_) | StorageError::Locked(_) => Failure::Before(error),
        _ => Failure::Committing(error),
    }
}

/// Whether another append could succeed where this failed.
fn is_of_one_append(error: &StorageError) -> bool {
    [ErrorCode::ConstraintViolation, ErrorCode::TooBig, ErrorCode::TypeMismatch]
        .into_iter()
        .any(|code| error.is(code))
}

#[cfg(test)]
mod tests;
