//! The folder that holds everything a server keeps, and who serves it.

mod error;
mod keys;
mod log;

use std::borrow::Cow;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::embedded;

pub use error::DataFolderError;
pub use keys::{KeysHeld, KeysKnown};
pub use log::LogError;

/// Names the folder as ours, for people too.
const MARKER: &str = "evently.json";
const WHAT: &str = "data folder of Evently";
const FORMAT: u32 = 1;

/// Who serves the folder holds a lock on this file.
const LOCK: &str = "serve.lock";

/// Who only looks whether the folder is served holds the lock for an instant, and one who starts to
/// serve writes who it is an instant after it has the lock.
const INSTANTS: u32 = 40;
const INSTANT: Duration = Duration::from_millis(5);

/// A folder that was found to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    path: PathBuf,
}

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Where it listens; absent while it starts.
    pub address: Option<SocketAddr>,
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            Some(address) => write!(f, "a server (process {}, at {address})", self.pid),
            None => write!(f, "a server or command (process {})", self.pid),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Marker {
    what: Cow<'static, str>,
    format: u32,
    /// Identity of the log, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<Uuid>,
    /// Which keys there are, once there are any.
    #[serde(default)]
    keys: KeysKnown,
}

impl Marker {
    const fn new() -> Self {
        Self { what: Cow::Borrowed(WHAT), format: FORMAT, log: None, keys: KeysKnown::NONE }
    }
}

impl DataFolder {
    /// Opens the folder at `path`; made if there is none, taken if it is empty.
    ///
    /// # Errors
    /// It is not ours, or cannot be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataFolderError> {
        let folder = Self { path: path.as_ref().to_owned() };
        make_private(&folder.path).map_err(|e| folder.unreachable(e))?;
        if folder.marker()?.is_none() {
            folder.mark(&Marker::new())?;
        }
        Ok(folder)
    }

    /// Opens the folder at `path` without making or changing anything.
    ///
    /// # Errors
    /// It is not there, not ours, or cannot be read.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, DataFolderError> {
        let folder = Self { path: path.as_ref().to_owned() };
        folder.existing_marker()?;
        Ok(folder)
    }

    /// The folder itself: the key pair lies in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.sqlite")
    }

    /// What the database of the views keeps when it runs inside the process. Can be deleted while no
    /// server runs: it is filled again from the log.
    pub fn views(&self) -> PathBuf {
        self.path.join("views")
    }

    /// Which inventory has something due when. Can be deleted while no server runs.
    pub fn wake_list(&self) -> PathBuf {
        self.path.join("wake.json")
    }

    /// The same for the log at `url` instead of the one in the folder. Another user, password or option in
    /// it names no other log.
    pub fn wake_list_of(&self, url: &str) -> PathBuf {
        let place = url.split_once("://").map_or(url, |(_, place)| place);
        let place = place.split(['?', '#']).next().unwrap_or_default();
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place).trim_end_matches('/');
        self.path.join(format!("wake-{}.json", &blake3::hash(place.as_bytes()).to_hex()[..16]))
    }

    /// Keys of persons, sessions and codes, when no PostgreSQL keeps them.
    pub fn identity(&self) -> PathBuf {
        self.path.join("keys").join("identity.sqlite")
    }

    /// Where mails are written when there is no mail server, in the folder `shared` by all who write
    /// any: who forgets a person has to find them.
    pub fn mail(shared: &Path) -> PathBuf {
        shared.join("mail")
    }

    /// A name for the process that serves the folder, the same after each start; made if there is
    /// none.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn process(&self) -> Result<Uuid, DataFolderError> {
        let path = self.path.join("process");
        let known = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(known) = known {
            return Ok(known);
        }
        let new = Uuid::from_u128(crate::ids::random_u128());
        fs::write(&path, new.to_string()).map_err(|e| self.unreachable(e))?;
        Ok(new)
    }

    /// The ledger of the mock payment provider, in the folder `shared` by all who charge.
    pub fn mock_payments(shared: &Path) -> PathBuf {
        shared.join("mock-payments.sqlite")
    }

    /// Takes the folder for this process until the answer is dropped or the process ends, however
    /// it ends.
    ///
    /// # Errors
    /// Another process serves it.
    pub fn serve(&self) -> Result<Serving, DataFolderError> {
        let file = self.lock_file(true).map_err(|e| self.unreachable(e))?;
        for instant in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(self.unreachable(error)),
            }
            if instant >= INSTANTS
                && let Some(running) = self.running()?
            {
                return Err(DataFolderError::Served { path: self.path.clone(), running });
            }
            std::thread::park_timeout(INSTANT);
        }
        let mut serving = Serving { file, folder: self.clone() };
        serving.say(None)?;
        Ok(serving)
    }

    /// Who serves the folder now.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn running(&self) -> Result<Option<Running>, DataFolderError> {
        let mut file = match self.lock_file(false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| self.unreachable(e))?,
        };
        for _ in 0..INSTANTS {
            match file.try_lock_shared() {
                Ok(()) => return Ok(None),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(self.unreachable(error)),
            }
            let mut text = Vec::new();
            file.rewind()
                .and_then(|()| file.read_to_end(&mut text))
                .map_err(|e| self.unreachable(e))?;
            if let Ok(running) = serde_json::from_slice(&text) {
                return Ok(Some(running));
            }
            std::thread::park_timeout(INSTANT);
        }
        let source = io::Error::new(io::ErrorKind::InvalidData, "serve.lock names no process");
        Err(self.unreachable(source))
    }

    fn lock_file(&self, make: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(make).create(make).truncate(false);
        options.open(self.path.join(LOCK))
    }

    fn existing_marker(&self) -> Result<Marker, DataFolderError> {
        self.marker()?.ok_or_else(|| DataFolderError::Missing(self.path.clone()))
    }

    fn marker(&self) -> Result<Option<Marker>, DataFolderError> {
        let text = match fs::read(self.path.join(MARKER)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match self.is_empty()? {
                    true => Ok(None),
                    false if embedded::is_log(&self.log()) => {
                        Err(DataFolderError::Unmarked(self.path.clone()))
                    }
                    false => Err(self.foreign()),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && self.path.is_file() => {
                return Err(DataFolderError::File(self.path.clone()));
            }
            Err(error) => return Err(self.unreachable(error)),
        };
        match serde_json::from_slice::<Marker>(&text) {
            Ok(marker) if marker.what != WHAT => Err(self.foreign()),
            Ok(Marker { format, .. }) if format > FORMAT => {
                Err(DataFolderError::Newer { path: self.path.clone(), found: format })
            }
            Ok(marker) => Ok(Some(marker)),
            Err(_) if self.log().exists() => Err(DataFolderError::Damaged(self.path.clone())),
            Err(_) => Err(self.foreign()),
        }
    }

    /// Whether nothing is in it, or what a file system puts into its root, or what a crash left of
    /// marking it.
    fn is_empty(&self) -> Result<bool, DataFolderError> {
        let ignored = ["lost+found".to_owned(), unfinished()];
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            entries => entries.map_err(|e| self.unreachable(e))?,
        };
        for entry in entries {
            let name = entry.map_err(|e| self.unreachable(e))?.file_name();
            if !ignored.iter().any(|ignored| name == ignored.as_str()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn mark(&self, marker: &Marker) -> Result<(), DataFolderError> {
        let unfinished = self.path.join(unfinished());
        let write = || {
            let mut file = File::create(&unfinished)?;
            serde_json::to_writer(&mut file, marker)?;
            file.sync_all()?;
            fs::rename(&unfinished, self.path.join(MARKER))?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|e| self.unreachable(e))
    }

    fn foreign(&self) -> DataFolderError {
        DataFolderError::Foreign(self.path.clone())
    }

    fn unreachable(&self, source: io::Error) -> DataFolderError {
        DataFolderError::Unreachable { path: self.path.clone(), source }
    }
}

/// This process serves the folder. Nobody else does until this is dropped.
#[derive(Debug)]
pub struct Serving {
    file: File,
    folder: DataFolder,
}

impl Serving {
    /// Lets others know where this process listens.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn at(&mut self, address: SocketAddr) -> Result<(), DataFolderError> {
        self.say(Some(address))
    }

    fn say(&mut self, address: Option<SocketAddr>) -> Result<(), DataFolderError> {
        let running = Running { pid: std::process::id(), address };
        let mut write = || {
            let text = serde_json::to_vec(&running)?;
            self.file.rewind()?;
            self.file.write_all(&text)?;
            self.file.set_len(text.len() as u64)
        };
        write().map_err(|e| self.folder.unreachable(e))
    }
}

fn unfinished() -> String {
    format!("{MARKER}.new")
}

/// Keys lie in the folder: only its owner may enter.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // It is a file, which is found out next.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}
