//! A PostgreSQL server for tests: one per test binary, one database per test.
//!
//! It lives in a temporary folder, is reached through a socket there, and is stopped and removed
//! when the test binary ends, however it ends.

use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

use super::{connect, migrate};

/// Runs the server until its own standard input ends, which it does when the test binary is gone, and
/// does to it what it is told there. A folder of one's own keeps a socket's path short enough.
const KEEPER: &str = r#"
programs=$0 folder=$1
"$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null \
    || exit 1
start() {
    "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= \
        -c max_connections=200 -c fsync=off -c full_page_writes=off -c shared_buffers=64MB \
        >>"$folder/log" 2>&1 &
    server=$!
}
all() {
    children=$(grep -ls "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status | cut -d/ -f3)
    echo $server $children
}
start
while read -r order; do
    case $order in
        # The first makes no more of the others.
        freeze) kill -STOP $server; kill -STOP $(all) ;;
        thaw) kill -CONT $(all) ;;
        kill) kill -KILL $(all); wait $server ;;
        restart) start ;;
    esac
done
kill -CONT $(all) 2>/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$folder"
"#;
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Set where PostgreSQL has to be installed: nothing may be left out there.
const REQUIRED: &str = "EVENTLY_TEST_POSTGRES";

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    databases: AtomicU32,
    template: OnceCell<()>,
    // Held open: its end is what stops the server.
    keeper: Mutex<ChildStdin>,
}

/// The server of this test binary; `None` when PostgreSQL is not installed on this machine, which
/// is said once.
///
/// # Panics
/// It is installed but does not start, or it is not although `EVENTLY_TEST_POSTGRES` is set.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let start = || match programs() {
        Some(programs) => Some(Server::start(&programs).expect("PostgreSQL starts")),
        None => {
            let required = std::env::var_os(REQUIRED).is_some();
            assert!(!required, "{REQUIRED} is set, but PostgreSQL is not installed");
            say_what_is_left_out();
            None
        }
    };
    SERVER.get_or_init(start).as_ref()
}

/// A server for one test alone, which it may freeze and kill; `None` as [`server`].
///
/// # Panics
/// As [`server`].
pub fn own_server() -> Option<Server> {
    server()?;
    programs().map(|programs| Server::start(&programs).expect("PostgreSQL starts"))
}

/// Not by a printing macro: what those write in a test that passes is not shown.
fn say_what_is_left_out() {
    const LEFT_OUT: &str = "LEFT OUT: what is tested on a PostgreSQL server. None is installed \
        (looked for in /usr/lib/postgresql/*/bin and PATH).\n";
    // Who closed standard error does not want to know.
    let _ = io::stderr().write_all(LEFT_OUT.as_bytes());
}

/// The folder with PostgreSQL's own programs: the newest installed by the system's packages, or on
/// the path.
fn programs() -> Option<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut packaged: Vec<_> = packaged.filter_map(|entry| Some(entry.ok()?.path())).collect();
    packaged.sort_by_key(version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let packaged = packaged.into_iter().rev().map(|folder| folder.join("bin"));
    packaged
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// User and group to run the server as: it refuses to run as root.
fn unprivileged() -> io::Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let entry = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = entry("postgres").or_else(|| entry("nobody"));
    found.map(Some).ok_or_else(|| io::Error::other("no user postgres or nobody to run it as"))
}

impl Server {
    fn start(programs: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("evently-pg-").tempdir()?.keep();
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg(programs).arg(&folder).current_dir("/");
        if let Some((user, group)) = unprivileged()? {
            chown(&folder, Some(user), Some(group))?;
            command.uid(user).gid(group);
        }
        // A group of its own: an interrupt from the keyboard is for the tests, whose end stops it.
        let mut keeper = command.process_group(0).stdin(Stdio::piped()).spawn()?;
        let stdin = keeper.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        let template = OnceCell::new();
        let keeper = Mutex::new(stdin);
        Ok(Self { folder, databases: AtomicU32::new(0), template, keeper })
    }

    /// It stands still: whoever asks waits.
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.order("thaw");
    }

    /// All of it is gone, in the middle of whatever it did.
    pub fn kill(&self) {
        self.order("kill");
    }

    /// It starts again on what it had, after [`Self::kill`].
    pub fn restart(&self) {
        self.order("restart");
    }

    fn order(&self, order: &str) {
        writeln!(self.keeper.lock(), "{order}").expect("its keeper listens");
    }

    /// The folder with everything that the server keeps.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The address of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// A connection to the database that is always there, as soon as the server takes any.
    async fn admin(&self) -> PgConnection {
        let url = self.url("postgres");
        let connected = async {
            loop {
                if let Ok(connection) = PgConnection::connect(&url).await {
                    break connection;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, connected).await.expect("PostgreSQL answers")
    }

    /// The address of a new database without any table.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn empty_database(&self) -> String {
        self.create("template0").await
    }

    /// The address of a new database with all tables of the views, empty.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn database(&self) -> String {
        let make = || async {
            let mut admin = self.admin().await;
            let create = AssertSqlSafe("CREATE DATABASE migrated");
            sqlx::raw_sql(create).execute(&mut admin).await.expect("a template");
            let pool = connect(&self.url("migrated"), 1).expect("an address");
            migrate(&pool).await.expect("migrations run");
            // A template must not be in use while it is copied.
            pool.close().await;
        };
        self.template.get_or_init(make).await;
        self.create("migrated").await
    }

    /// A pool of `connections` to a new database with all tables of the views, empty.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn pool(&self, connections: u32) -> PgPool {
        connect(&self.database().await, connections).expect("an address")
    }

    async fn create(&self, template: &str) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let create = AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"));
        let mut admin = self.admin().await;
        sqlx::raw_sql(create).execute(&mut admin).await.expect("a database");
        self.url(&name)
    }
}
