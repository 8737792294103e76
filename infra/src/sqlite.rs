//! What our SQLite files have in common.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// What SQLite says, once: its errors have causes that say the same again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SqliteError(Arc<rusqlite::Error>);

impl SqliteError {
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.0.sqlite_error_code()
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        Self(Arc::new(error))
    }
}

/// Makes an empty file at `path` that only its owner may read, if there is none: what SQLite puts
/// beside a database may be read by those who may read the database.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(_) => match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        },
    }
}
