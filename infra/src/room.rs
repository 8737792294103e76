//! Whether the disk under a folder has room. What failed for want of it says so in many ways: a database
//! that cannot make the files beside it only knows that something failed.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rusqlite::ErrorCode;

use crate::ids;
use crate::log::embedded::StorageError;
use crate::sqlite::SqliteError;

/// Bytes that have to be free for a disk not to be full. Less may be found in what is used already.
const ROOM: usize = 1 << 20;

/// Whether the operating system says that there is no room.
pub fn is_lack(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether what went wrong, or what caused it, may come of a full disk.
pub fn may_be_lack(error: &(dyn Error + 'static)) -> bool {
    let is_of_disk = |code| {
        use ErrorCode::{CannotOpen, DiskFull, SystemIoFailure};
        matches!(code, Some(DiskFull | SystemIoFailure | CannotOpen))
    };
    std::iter::successors(Some(error), |error| (*error).source()).any(|error| {
        error.downcast_ref().is_some_and(is_lack)
            || error.downcast_ref().is_some_and(|error: &SqliteError| is_of_disk(error.code()))
            || error
                .downcast_ref()
                .is_some_and(|error: &rusqlite::Error| is_of_disk(error.sqlite_error_code()))
            || matches!(error.downcast_ref(), Some(StorageError::NoRoom))
    })
}

/// Whether the disk that the folder is on, or would be made on, is full.
pub fn is_full(folder: &Path) -> bool {
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let path = there.join(format!(".evently-room-{:016x}", ids::random_u64()));
    try_room(&path).is_err_and(|error| is_lack(&error))
}

/// Fills a file at `path` as what has to be written would, and takes it away again.
pub(crate) fn try_room(path: &Path) -> io::Result<()> {
    let filled = File::create(path).and_then(|mut file| {
        file.write_all(&vec![b' '; ROOM])?;
        file.sync_all()
    });
    let removed = fs::remove_file(path);
    filled.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it cannot be opened")]
    struct Opening(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn a_full_disk_is_known_by_what_caused_the_error() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(may_be_lack(&full) && may_be_lack(&Opening(full.into())));
        let failed = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        let failed = rusqlite::Error::SqliteFailure(failed, None);
        assert!(may_be_lack(&Opening(SqliteError::from(failed).into())));
        let other = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(!may_be_lack(&Opening(other.into())));
    }

    #[test]
    fn a_disk_with_room_is_not_full_and_nothing_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_full(&folder.path().join("some/where")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(!is_full(&folder.path().join("file/below")));
    }
}
