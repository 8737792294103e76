//! Which keys belong to the folder, and who works with the keys of persons while no server serves it.

use std::fs::{File, TryLockError};

use serde::{Deserialize, Serialize};

use super::{DataFolder, DataFolderError, Marker};

/// Commands that make keys share a lock on this file; who replaces the master key has it alone.
const LOCK: &str = "keys.lock";

/// The keys stay wrapped as they are, or nobody else makes any, until this is dropped.
#[derive(Debug)]
pub struct KeysHeld {
    _file: File,
}

/// Keys that were there once: none of them is made in place of one that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeysKnown {
    /// What signs tokens.
    pub signing: bool,
    /// The master key, and a store that it fits.
    pub persons: bool,
}

impl KeysKnown {
    /// Of a folder that is new.
    pub const NONE: Self = Self { signing: false, persons: false };

    /// What is known from one or the other.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { signing: self.signing || other.signing, persons: self.persons || other.persons }
    }
}

impl DataFolder {
    /// Which keys the folder is known to have. One from before this was noted says of none.
    ///
    /// # Errors
    /// The folder is not ours, or cannot be read.
    pub fn keys_known(&self) -> Result<KeysKnown, DataFolderError> {
        Ok(self.existing_marker()?.keys)
    }

    /// Notes which keys there are, besides those that are known. For who serves the folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn note_keys(&self, keys: KeysKnown) -> Result<(), DataFolderError> {
        let marker = self.existing_marker()?;
        let keys = keys.or(marker.keys);
        if keys == marker.keys { Ok(()) } else { self.mark(&Marker { keys, ..marker }) }
    }

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
