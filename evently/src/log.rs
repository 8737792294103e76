//! The log of this process: a file in the data folder, or at the other end of `log_url`.

use std::path::PathBuf;
use std::sync::Arc;

use infra::data_folder::{DataFolder, DataFolderError, LogError};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::eventstore::{self, EventStoreLog, EventStoreOptions};
use infra::log::measured::MeasuredLog;
use infra::log::{Log, Position, ReadError};

use crate::settings::Checked;

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no data folder to look for it in.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The file is gone, or not what it should be.
    #[error(transparent)]
    File(#[from] LogError),
    /// The address is none.
    #[error("log_url (EVENTLY_LOG_URL)")]
    Address(#[from] eventstore::OpenError),
}

/// Where a log is said to end whose end cannot be read: it is read until that fails.
pub(crate) const UNREADABLE_END: Position = Position(u64::MAX);

/// A log, and how it is closed.
pub(crate) enum OpenLog {
    /// One file, whose positions have no gaps.
    File(Arc<EmbeddedLog>),
    /// A log server or a database.
    Server(EventStoreLog),
}

impl OpenLog {
    /// To sell from it on the data in `folder`.
    pub(crate) fn open(settings: &Checked, folder: &DataFolder) -> Result<Self, OpenError> {
        match Self::at_url(settings)? {
            Some(log) => Ok(log),
            None => Ok(Self::File(Arc::new(folder.open_log(EmbeddedOptions::default())?))),
        }
    }

    /// To write down what a command is about to do, whether a server runs on it or not: at the address
    /// that is named, or in a data folder that has to be there.
    pub(crate) fn of_commands(settings: &Checked) -> Result<Self, OpenError> {
        match Self::at_url(settings)? {
            Some(log) => Ok(log),
            None => Self::open(settings, &DataFolder::open_existing(&settings.data)?),
        }
    }

    /// To look at it, whether a server runs on it or not. Nothing is changed.
    pub(crate) fn look_at(settings: &Checked) -> Result<Self, OpenError> {
        match Self::at_url(settings)? {
            Some(log) => Ok(log),
            None => {
                let folder = DataFolder::open_existing(&settings.data)?;
                Ok(Self::File(Arc::new(folder.open_log_read_only()?)))
            }
        }
    }

    fn at_url(settings: &Checked) -> Result<Option<Self>, OpenError> {
        let Some(url) = &settings.log_url else { return Ok(None) };
        let log = EventStoreLog::open(url.reveal(), EventStoreOptions::default())?;
        Ok(Some(Self::Server(log)))
    }

    /// For those who need not know where it is.
    pub(crate) fn shared(&self) -> Arc<dyn Log> {
        let log: Arc<dyn Log> = match self {
            Self::File(log) => log.clone(),
            Self::Server(log) => Arc::new(log.clone()),
        };
        Arc::new(MeasuredLog::new(log))
    }

    /// The file, if it is one on this machine.
    pub(crate) fn file(&self) -> Option<&EmbeddedLog> {
        match self {
            Self::File(log) => Some(log),
            Self::Server(_) => None,
        }
    }

    /// Whether it is a file on this machine: every position has a record, and what cannot be read
    /// now will not be readable later.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// What of a file's guards is missing or was changed. How a server keeps its log is its own.
    pub(crate) fn changed_guards(&self) -> &[String] {
        match self {
            Self::File(log) => log.changed_guards(),
            Self::Server(_) => &[],
        }
    }

    /// How far to read for all there is. A damaged end of a file does not keep what is before it
    /// from being read.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn end_to_read_to(&self) -> Result<Position, ReadError> {
        match self {
            Self::File(log) => Ok(log.head().await.unwrap_or(UNREADABLE_END)),
            Self::Server(log) => log.head().await,
        }
    }

    /// Ends subscriptions and refuses further calls. What was begun in a file is carried out first.
    pub(crate) async fn close(&self) {
        match self {
            Self::File(log) => log.close().await,
            Self::Server(log) => log.close(),
        }
    }
}

/// The wake list of the log that the settings name. Each log has one of its own, so that a folder
/// may be used with one log after another.
pub(crate) fn wake_list(settings: &Checked, folder: &DataFolder) -> PathBuf {
    match &settings.log_url {
        None => folder.wake_list(),
        Some(url) => folder.wake_list_of(url.reveal()),
    }
}
