//! A native PostgreSQL of our own: a fresh cluster in a temporary folder, durable as installed,
//! stopped and deleted at the end.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Who owns the databases.
pub const USER: &str = "evently";
/// How long starting and stopping may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings beside the installed ones. Everything that makes a commit durable stays on; memory and
/// log size are raised so that checkpoints do not disturb.
const SETTINGS: [&str; 8] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=",
    "max_connections=150",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
];

/// Why there is no PostgreSQL to compare with.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No binaries.
    #[error("no PostgreSQL in /usr/lib/postgresql/*/bin: install it or pass --postgres-bin")]
    Absent,
    /// It refuses to run as root, and there is nobody else to run it as.
    #[error("running as root, and there is no user postgres to run PostgreSQL as")]
    NoUser,
    /// A file or process could not be handled.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// Its last lines.
        said: String,
    },
}

/// A running cluster.
pub struct Postgres {
    bin: PathBuf,
    owner: Option<(u32, u32)>,
    child: Child,
    data: TempDir,
    /// Beside the data because the path of a socket must be short.
    socket: TempDir,
}

impl Postgres {
    /// Makes a cluster in a temporary folder below `folder` and starts it.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start(folder: &Path, bin: Option<&Path>) -> Result<Self, PostgresError> {
        let bin = bin.map(Path::to_path_buf).or_else(newest).ok_or(PostgresError::Absent)?;
        let owner = owner()?;
        let data = private(TempDir::with_prefix_in("postgres-", folder), owner)?;
        let socket = private(TempDir::with_prefix("pg-"), owner)?;
        let mut initdb = command(&bin, "initdb", owner);
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--username", USER, "--pgdata"]).arg(data.path());
        said("initdb", &mut initdb)?;
        let log = fs::File::create(data.path().join("server.log"))
            .map_err(io("create PostgreSQL's log file"))?;
        let mut server = command(&bin, "postgres", owner);
        server.arg("-D").arg(data.path()).arg("-k").arg(socket.path());
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let child = server.stderr(log).spawn().map_err(io("start postgres"))?;
        let mut postgres = Self { bin, owner, child, data, socket };
        postgres.wait_until_ready()?;
        Ok(postgres)
    }

    /// The folder of its socket: its host.
    pub fn host(&self) -> &Path {
        self.socket.path()
    }

    /// The address of its one database.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@localhost/postgres?host={}", self.host().display())
    }

    /// Version as the server says, e.g. `postgres (PostgreSQL) 15.18`.
    ///
    /// # Errors
    /// The binary cannot be asked.
    pub fn version(&self) -> Result<String, PostgresError> {
        said("postgres", command(&self.bin, "postgres", self.owner).arg("--version"))
    }

    fn wait_until_ready(&mut self) -> Result<(), PostgresError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut ready = command(&self.bin, "pg_isready", self.owner);
            ready.arg("-q").arg("-h").arg(self.socket.path());
            if ready.status().map_err(io("run pg_isready"))?.success() {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(io("wait for postgres"))?.is_some();
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.data.path().join("server.log"));
                let said = last_lines(&log.unwrap_or_default());
                return Err(PostgresError::Failed { program: "postgres", said });
            }
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Fast: what is left in the folder goes anyway.
        let mut stop = command(&self.bin, "pg_ctl", self.owner);
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]).arg(self.data.path());
        if stop.status().is_ok_and(|status| status.success()) {
            let _ = self.child.wait();
        } else {
            let _ = self.child.kill();
        }
    }
}

/// The binaries of the newest version installed where Debian puts them.
fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let bin = version.path().join("bin");
            bin.join("postgres").exists().then_some((number, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}

/// User and group to run as when this process is root: PostgreSQL refuses to be.
fn owner() -> Result<Option<(u32, u32)>, PostgresError> {
    let us = fs::metadata("/proc/self").map_err(io("see who runs this process"))?;
    if us.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(io("read /etc/passwd"))?;
    let fields = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut numbers = fields.into_iter().flat_map(|rest| rest.split(':').skip(1));
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    number().zip(number()).map(Some).ok_or(PostgresError::NoUser)
}

fn private(
    folder: io::Result<TempDir>,
    owner: Option<(u32, u32)>,
) -> Result<TempDir, PostgresError> {
    let folder = folder.map_err(io("make a folder for PostgreSQL"))?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))
        .map_err(io("protect PostgreSQL's folder"))?;
    if let Some((user, group)) = owner {
        chown(folder.path(), Some(user), Some(group))
            .map_err(io("give PostgreSQL's folder to the user postgres"))?;
    }
    Ok(folder)
}

fn command(bin: &Path, program: &str, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(bin.join(program));
    // The present folder may be closed to the user postgres.
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// Runs a program to its end and gives what it said.
fn said(program: &'static str, command: &mut Command) -> Result<String, PostgresError> {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().map_err(io("run a program of PostgreSQL"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = last_lines(&String::from_utf8_lossy(&output.stderr));
    Err(PostgresError::Failed { program, said })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> PostgresError {
    move |source| PostgresError::Io { doing, source }
}
