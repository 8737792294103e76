//! The log of a data folder: once there is one, no other takes its place.

use super::{DataFolder, DataFolderError, Marker};
use crate::log::embedded::{EmbeddedLog, EmbeddedOptions, OpenError};

/// The folder's log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The log cannot be opened, or is gone.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl DataFolder {
    /// Opens the log, made if the folder never had one.
    ///
    /// # Errors
    /// It is gone, or not a log that this program can write.
    pub fn open_log(&self, options: EmbeddedOptions) -> Result<EmbeddedLog, LogError> {
        let marker = self.existing_marker()?;
        if let Some(identity) = marker.log {
            return Ok(EmbeddedLog::open_known(self.log(), identity, options)?);
        }
        // A folder from before identities were noted; a new one; or one whose server crashed
        // between the next two lines, which sold nothing yet.
        let log = EmbeddedLog::open(self.log(), options)?;
        self.mark(&Marker { log: Some(log.identity()), ..marker })?;
        Ok(log)
    }

    /// Opens the log without changing anything, whether a server writes it or not.
    ///
    /// # Errors
    /// It is gone, or not a log that this program can read.
    pub fn open_log_read_only(&self) -> Result<EmbeddedLog, LogError> {
        Ok(match self.existing_marker()?.log {
            Some(identity) => EmbeddedLog::open_known_read_only(self.log(), identity)?,
            None => EmbeddedLog::open_read_only(self.log())?,
        })
    }
}
