//! Who works with the keys of persons while no server serves the folder.

use std::fs::{File, TryLockError};

use super::{DataFolder, DataFolderError};

/// Commands that make keys share a lock on this file; who replaces the master key has it alone.
const LOCK: &str = "keys.lock";

/// The keys stay wrapped as they are, or nobody else makes any, until this is dropped.
#[derive(Debug)]
pub struct KeysHeld {
    _file: File,
}

impl DataFolder {
    /// Keeps the master key from being replaced. Waits while it is.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keys_in_use(&self) -> Result<KeysHeld, DataFolderError> {
        let file = self.keys_lock()?;
        file.lock_shared().map_err(|error| self.unreachable(error))?;
        Ok(KeysHeld { _file: file })
    }

    /// Keeps all others from making keys.
    ///
    /// # Errors
    /// [`DataFolderError::KeysInUse`]; the folder cannot be written.
    pub fn keys_alone(&self) -> Result<KeysHeld, DataFolderError> {
        let file = self.keys_lock()?;
        match file.try_lock() {
            Ok(()) => Ok(KeysHeld { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::KeysInUse(self.path.clone())),
            Err(TryLockError::Error(error)) => Err(self.unreachable(error)),
        }
    }

    fn keys_lock(&self) -> Result<File, DataFolderError> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(self.path.join(LOCK)).map_err(|error| self.unreachable(error))
    }
}
