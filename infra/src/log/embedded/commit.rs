//! One transaction for all appends that wait: decided, written, made durable together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::error::{StorageError, Whole};
use super::file::LogFile;
use super::known::{Known, Transaction};
use crate::log::{AppendError, Appended, Expected, NewRecord, Record};
use crate::room;

/// What the writer needs again are the last page of the records and, of each stream that sells, the
/// last page of its revisions: 8 MiB are 2,000 streams. Where pages of an index are put in order,
/// SQLite goes through all of its cache after the commit, so that a large one costs every commit.
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
    whole: Whole,
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
    pub(super) fn open(file: &LogFile, whole: Whole) -> Result<Self, StorageError> {
        let connection = file.connect()?;
        connection.execute_batch(CACHE)?;
        // The guards are against others: this writer only ever inserts, and looks where itself.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let room = file.beside("-room");
        Ok(Self { connection, known: Known::default(), room, failing: Arc::default(), whole })
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
        self.whole.met(&error);
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
mod tests {
    use std::fs;

    use domain::Time;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;

    fn committer() -> (Committer, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::open(&folder.path().join("log.sqlite"), None).unwrap();
        (Committer::open(&file, Whole::default()).unwrap(), folder)
    }

    /// A record of this many bytes for a stream of its own.
    fn append(number: u128, bytes: usize) -> Append {
        let new = NewRecord {
            id: Uuid::from_u128(number),
            kind: "Reserved".into(),
            version: 1,
            at: Time::from_ms(0),
            metadata: "{}".to_owned(),
            data: vec![b' '; bytes].into(),
        };
        Append {
            stream: number.to_string().into(),
            expected: Expected::NoStream,
            records: vec![new],
        }
    }

    fn stored(committer: &Committer) -> Vec<u128> {
        let sql = "SELECT id FROM records ORDER BY position";
        let mut statement = committer.connection.prepare(sql).unwrap();
        let ids = statement.query_map([], |row| row.get(0)).unwrap();
        ids.map(|id| u128::from_be_bytes(id.unwrap())).collect()
    }

    #[test]
    fn a_full_disk_refuses_appends_until_there_is_space() {
        let (mut committer, _folder) = committer();
        let committed = committer.commit(&[append(1, 10)]);
        assert_eq!(committed.records.len(), 1);
        let pages = |committer: &Committer, pages: u32| {
            committer.connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        let used: u32 =
            committer.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        pages(&committer, used + 2);
        let committed = committer.commit(&[append(2, 10), append(3, 50_000)]);
        assert!(committed.records.is_empty());
        for outcome in committed.outcomes {
            let error = outcome.expect_err("the disk is full");
            let AppendError::Unavailable(cause) = error else { unreachable!("{error:?}") };
            assert_eq!(cause.to_string(), "the disk is full");
        }
        assert_eq!(stored(&committer), [1]);
        // What fits is still taken, and the rest once there is space.
        assert!(committer.commit(&[append(2, 10)]).outcomes[0].is_ok());
        pages(&committer, u32::MAX);
        let committed = committer.commit(&[append(3, 50_000), append(4, 10)]);
        let positions: Vec<u64> =
            committed.outcomes.into_iter().map(|outcome| outcome.unwrap().position.0).collect();
        assert_eq!(positions, [3, 4]);
        assert_eq!(stored(&committer), [1, 2, 3, 4]);
    }

    #[test]
    fn a_failure_of_one_append_is_its_own() {
        let (mut committer, _folder) = committer();
        committer.connection.execute_batch("CREATE UNIQUE INDEX one_id ON records (id)").unwrap();
        committer.commit(&[append(1, 10)]);
        let mut doubled = append(2, 10);
        doubled.records[0].id = Uuid::from_u128(1);
        let committed = committer.commit(&[append(3, 10), doubled, append(4, 10)]);
        let succeeded: Vec<bool> = committed.outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(succeeded, [true, false, true]);
        let positions: Vec<u64> = committed.records.iter().map(|r| r.position.0).collect();
        assert_eq!(positions, [2, 3]);
        assert_eq!(stored(&committer), [1, 3, 4]);
    }

    /// Makes the next `failures` commits fail.
    fn fail_commits(committer: &Committer, mut failures: u32) {
        let hook = move || {
            let fails = failures > 0;
            failures = failures.saturating_sub(1);
            fails
        };
        committer.connection.commit_hook(Some(hook)).unwrap();
    }

    #[test]
    fn a_failed_commit_is_known_to_be_lost_once_another_took_its_place() {
        let (mut committer, _folder) = committer();
        fail_commits(&committer, 1);
        let outcome = committer.commit(&[append(1, 10)]).outcomes.remove(0);
        assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
        let settled: i64 = committer
            .connection
            .query_row("SELECT settled FROM log", [], |row| row.get(0))
            .unwrap();
        assert_eq!(settled, 1);
        assert!(committer.commit(&[append(1, 10)]).outcomes[0].is_ok());
    }

    #[test]
    fn a_check_tells_what_is_wrong_until_it_is_mended() {
        let (mut committer, folder) = committer();
        let failing = committer.failing();
        fail_commits(&committer, 2);
        committer.check().unwrap();
        committer.commit(&[append(1, 10)]);
        assert!(failing.load(Ordering::Relaxed));
        // The second failure was the settling's: the check is refused by the folder alone.
        fs::create_dir(&committer.room).unwrap();
        let error = committer.check().unwrap_err();
        assert_eq!(error.reason().as_deref(), Some("the log's folder cannot be written"));
        fs::remove_dir(&committer.room).unwrap();
        #[cfg(target_os = "linux")]
        {
            std::os::unix::fs::symlink("/dev/full", &committer.room).unwrap();
            let error = committer.check().unwrap_err();
            assert_eq!(error.reason().as_deref(), Some("the disk is full"));
        }
        fail_commits(&committer, 1);
        let error = committer.check().unwrap_err();
        assert_eq!(error.reason().as_deref(), Some("the log's file failed"));
        assert!(failing.load(Ordering::Relaxed));
        committer.check().unwrap();
        assert!(!failing.load(Ordering::Relaxed));
        assert!(stored(&committer).is_empty());
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("room")));
    }

    #[test]
    fn damage_that_is_met_while_writing_is_told_as_what_it_is() {
        let (mut first, folder) = committer();
        first.commit(&[append(1, 10)]);
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'records'";
        let page: usize =
            first.connection.query_row(sql, [], |row| Ok(row.get::<_, u32>(0)? as usize)).unwrap();
        first.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(first);
        let path = folder.path().join("log.sqlite");
        let mut bytes = fs::read(&path).unwrap();
        bytes[(page - 1) * 4_096..][..4_096].fill(0xA5);
        fs::write(&path, bytes).unwrap();
        let file = LogFile::open(&path, None).unwrap();
        let whole = Whole::default();
        let mut committer = Committer::open(&file, whole.clone()).unwrap();
        let outcome = committer.commit(&[append(2, 10)]).outcomes.remove(0);
        assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
        assert!(matches!(whole.check(), Err(StorageError::NotWhole)));
    }

    #[test]
    fn otherwise_its_outcome_is_unknown() {
        let (mut committer, _folder) = committer();
        fail_commits(&committer, 2);
        let committed = committer.commit(&[append(1, 10), append(2, 10)]);
        assert!(committed.records.is_empty());
        for outcome in committed.outcomes {
            assert!(matches!(outcome, Err(AppendError::OutcomeUnknown(_))), "{outcome:?}");
        }
        assert!(committer.commit(&[append(1, 10)]).outcomes[0].is_ok());
        assert_eq!(stored(&committer), [1]);
    }
}
