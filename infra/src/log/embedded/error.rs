//! What can go wrong with the file under the log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::ErrorCode;

use crate::log::{AppendError, Position, ReadError};
use crate::sqlite::SqliteError;

/// The log's file cannot be opened as what it should be.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file, and none was to be created.
    #[error(
        "there is no log at {}: name the data folder of a server that was started at least once",
        .0.display()
    )]
    Missing(PathBuf),
    /// There was a log, and it is not there any more.
    #[error(
        "the log {} {what}: restore log.sqlite, together with its log.sqlite-wal if there is one, \
         from a backup; or, to begin anew, use another data folder (--data)",
        path.display()
    )]
    Lost {
        /// Where it was.
        path: PathBuf,
        /// What became of it.
        what: &'static str,
    },
    /// The file is something else.
    #[error(
        "{} is not an Evently log ({what}): choose another data folder, or move that file away",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A later version of the program wrote it.
    #[error(
        "the log {} has format {found}, this program knows formats up to {known}: \
         use the version of Evently that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest format known.
        known: i64,
    },
    /// A version of the program wrote it that was never released.
    #[error(
        "the log {} has format {found}, this program knows format {known} only: \
         use the version of Evently that wrote it, or another data folder (--data)",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The earliest format known.
        known: i64,
    },
    /// It is a log, but not whole.
    #[error(
        "the log {} is damaged ({what}): leave it as it is, copy the data folder, \
         and restore log.sqlite from a backup",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The file cannot be reached, or not in the way that was asked for.
    #[error(
        "the log {} cannot be opened: see that the folder exists, that you may write to it, \
         and that the disk has space",
        path.display()
    )]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// What the storage says.
        #[source]
        source: StorageError,
    },
}

impl OpenError {
    /// The same of a file that was a log once: whatever it is now, it was damaged.
    pub(super) fn of_known(self) -> Self {
        match self {
            Self::Foreign { path, what } => Self::Damaged { path, what: what.to_owned() },
            other => other,
        }
    }
}

/// Why the file under the log could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// There is no space for it.
    #[error("the disk is full")]
    Full(#[source] SqliteError),
    /// Nor for what was tried after that.
    #[error("the disk is full")]
    NoRoom,
    /// Nothing can be written beside the log.
    #[error("the log's folder cannot be written")]
    Folder(#[source] Arc<io::Error>),
    /// Another process kept the log locked for too long.
    #[error("another process keeps the log locked")]
    Locked(#[source] SqliteError),
    /// Reading, writing or syncing the file failed.
    #[error("the log's file failed")]
    Database(#[source] SqliteError),
    /// A row is not what was written.
    #[error("the record at position {position} is damaged ({what})")]
    Damaged {
        /// Which record.
        position: Position,
        /// What does not fit.
        what: &'static str,
    },
    /// Something in the file could not be read, and whatever is written goes into the same file.
    #[error("the log is damaged and has to be restored from a backup")]
    NotWhole,
    /// It was closed.
    #[error("the log is closed")]
    Closed,
    /// It was opened for reading.
    #[error("the log was opened for reading only")]
    ReadOnly,
    /// The operating system refused a thread, or one of them ended early.
    #[error("a part of the log stopped")]
    Stopped,
}

impl StorageError {
    /// Whether the file is not what was written.
    pub(in crate::log) fn is_damage(&self) -> bool {
        self.is(ErrorCode::DatabaseCorrupt)
            || self.is(ErrorCode::NotADatabase)
            || matches!(self, Self::Damaged { .. })
    }

    /// Whether SQLite answered with this.
    pub(super) fn is(&self, code: ErrorCode) -> bool {
        match self {
            Self::Full(e) | Self::Locked(e) | Self::Database(e) => e.code() == Some(code),
            _ => false,
        }
    }
}

/// Whether any of the file that was read or written so far was damaged.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<AtomicBool>);

impl Damage {
    /// Takes note of the error if it is damage, and tells of the first.
    pub(super) fn note(&self, error: &StorageError) {
        if error.is_damage() && !self.0.swap(true, Ordering::Relaxed) {
            let error: &dyn std::error::Error = error;
            tracing::error!(
                error,
                "the log is damaged, and nothing more is written: stop the server, leave the file \
                 as it is, copy the data folder, and restore log.sqlite from a backup"
            );
        }
    }

    /// Refuses if there was any.
    ///
    /// # Errors
    /// [`StorageError::NotWhole`].
    pub(super) fn check(&self) -> Result<(), StorageError> {
        if self.0.load(Ordering::Relaxed) { Err(StorageError::NotWhole) } else { Ok(()) }
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.into()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(error.into()),
            _ => Self::Database(error.into()),
        }
    }
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self(Box::new(error))
    }
}

impl From<StorageError> for AppendError {
    /// Only for failures after which nothing was written.
    fn from(error: StorageError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
