//! Why a data folder cannot be used.

use std::io;
use std::path::PathBuf;

use super::{FORMAT, MARKER, Running};

/// A marker that leaves the rest to be learned.
const UNMARKED: &str = r#"{"what":"data folder of Evently","format":1}"#;

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// There is none, and none was to be made.
    #[error(
        "there is no data folder at {}: start the server on it once, or name another with --data",
        .0.display()
    )]
    Missing(PathBuf),
    /// It is a file.
    #[error("{} is a file, not a folder: name a folder with --data", .0.display())]
    File(PathBuf),
    /// Other files are in it.
    #[error(
        "{} has files in it that are not Evently's: name an empty folder, a new one, \
         or one that Evently made, with --data",
        .0.display()
    )]
    Foreign(PathBuf),
    /// It is ours, but what says so cannot be read.
    #[error(
        "{}/{MARKER} is not as Evently wrote it, though there is a log beside it: restore that one \
         file from a backup; nothing was changed",
        .0.display()
    )]
    Damaged(PathBuf),
    /// It is ours, but what says so is gone.
    #[error(
        "{}/{MARKER} is missing, which says that the log beside it is Evently's and which keys belong \
         to it: restore that one file from a backup; if there is none, and log.sqlite and keys/ are as \
         they were, write {UNMARKED} into it, for the next start learns the rest from them",
        .0.display()
    )]
    Unmarked(PathBuf),
    /// A later version of the program made it.
    #[error(
        "the data folder {} has format {found}, this program knows formats up to {FORMAT}: \
         use the version of Evently that made it, or a later one",
        path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The operating system refuses.
    #[error(
        "the data folder {} cannot be used: see that you may write to it, \
         and that the disk has space",
        path.display()
    )]
    Unreachable {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Only one server at a time.
    #[error("{running} already has the data folder {}: let it end or stop it, or name another with --data",
        path.display())]
    Served {
        /// The folder.
        path: PathBuf,
        /// The server that has it.
        running: Running,
    },
    /// Whoever replaces the master key has to be alone with the keys.
    #[error("a command works with the keys in the data folder {}: let it end", .0.display())]
    KeysInUse(PathBuf),
}
