//! The product's log server as a process of its own.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The first argument that makes this program the product's; those after it are the product's.
pub const AS_THE_PRODUCT: &str = "evently";

/// A running log server on a fresh folder. Killed when it is dropped.
pub struct LogServer {
    /// Where it is.
    pub url: String,
    process: Child,
    folder: TempDir,
}

/// Why there is no log server.
#[derive(Debug, thiserror::Error)]
pub enum LogServerError {
    /// It was not started or stopped.
    #[error("its process failed")]
    Io(#[from] io::Error),
    /// It ended instead of saying where it is.
    #[error("it did not say where it listens, but {0:?}")]
    Silent(String),
}

impl LogServer {
    /// Starts one with its data in a folder below `data`.
    ///
    /// # Errors
    /// See [`LogServerError`].
    pub fn start(data: &Path) -> Result<Self, LogServerError> {
        let folder = TempDir::with_prefix_in("log-server-", data)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([AS_THE_PRODUCT, "log-server", "--listen", "127.0.0.1:0", "--data"]);
        let mut process = command.arg(folder.path()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        let url = said.split_whitespace().find(|word| word.starts_with("esdb://"));
        match url.map(str::to_owned) {
            Some(url) => Ok(Self { url, process, folder }),
            None => {
                let _ = process.kill();
                process.wait()?;
                Err(LogServerError::Silent(said))
            }
        }
    }

    /// Ends it. What it acknowledged is in the folder.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn stop(&mut self) -> io::Result<&Path> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.folder.path())
    }
}

impl Drop for LogServer {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
