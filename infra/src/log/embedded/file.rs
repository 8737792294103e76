//! The file under the log: made, recognised, connected to.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use super::error::{OpenError, StorageError};
use super::wal;
use crate::ids;
use crate::sqlite::make_private;

const SCHEMA: &str = include_str!("schema.sql");

/// The format that this program writes.
const FORMAT: i64 = 2;

/// `EVLG`: how SQLite tools and we tell the file from others.
const APPLICATION_ID: i64 = 0x4556_4C47;

/// How long a writer waits for another process, in steps of [`LOCK_STEP`].
const LOCK_STEPS: i32 = 10_000;
const LOCK_STEP: Duration = Duration::from_micros(500);

/// Pages of the write-ahead log are kept in the file after a checkpoint up to this many bytes.
const WAL_KEPT_BYTES: i64 = 64 << 20;

/// A log file that was found to be one.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    path: PathBuf,
    access: Access,
    identity: Uuid,
    changed: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Read,
    /// Nobody can write it, and SQLite need not look for anybody who does.
    ReadUnchanging,
}

impl LogFile {
    /// Makes the file if there is none, and checks that it is a log this program can write. One
    /// that is `known` is never made, and has to be that one.
    pub(super) fn open(path: &Path, known: Option<Uuid>) -> Result<Self, OpenError> {
        let mut file = Self::at(path, Access::Write);
        file.refuse_loss(known)?;
        file.refuse_altered_wal()?;
        if known.is_none() {
            // What refuses this refuses SQLite too, which then says why.
            let _ = make_private(path);
        }
        let mut connection = file.connect().map_err(|e| file.refuse(e))?;
        if known.is_none() && file.is_empty(&connection)? {
            create(&mut connection).map_err(|e| file.refuse(e))?;
        }
        file.recognise(&connection, known)?;
        if !file.changed.is_empty() {
            return Err(file.damaged(Changed(&file.changed).to_string()));
        }
        use_wal(&connection).map_err(|e| file.refuse(e))?;
        Ok(file)
    }

    /// Checks that the file is a log this program can read, without changing it, and that it is the
    /// one that is `known`.
    pub(super) fn open_read_only(path: &Path, known: Option<Uuid>) -> Result<Self, OpenError> {
        let file = Self::at(path, Access::Read);
        file.refuse_loss(known)?;
        file.refuse_altered_wal()?;
        if !path.exists() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        match file.clone().recognised(known) {
            // A folder that cannot be written has no room for SQLite's index of the write-ahead
            // log. Without such a log none is needed.
            Err(OpenError::Unreachable { .. }) if !file.has_wal() => {
                Self { access: Access::ReadUnchanging, ..file }.recognised(known)
            }
            outcome => outcome,
        }
    }

    fn at(path: &Path, access: Access) -> Self {
        Self { path: path.to_owned(), access, identity: Uuid::nil(), changed: vec![] }
    }

    fn recognised(mut self, known: Option<Uuid>) -> Result<Self, OpenError> {
        let connection = self.connect().map_err(|e| self.refuse(e))?;
        self.recognise(&connection, known)?;
        Ok(self)
    }

    /// Refuses to begin anew where a log was. SQLite must not even look: it deletes the write-ahead
    /// log of a database without pages, and with it what may be the last copy of records.
    fn refuse_loss(&self, known: Option<Uuid>) -> Result<(), OpenError> {
        // Looked at first: who makes the log at this moment makes it before its write-ahead log.
        let has_wal = self.has_wal();
        let missing = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Ok(file) if file.len() == 0 => false,
            _ => return Ok(()),
        };
        Err(self.lost(match (missing, known.is_some(), has_wal) {
            (_, false, false) => return Ok(()),
            (true, true, _) => "is missing, though this data folder had one",
            (false, true, _) => "is empty, though this data folder had one",
            (true, false, true) => "is missing, though its log.sqlite-wal is there",
            (false, false, true) => "is empty, though its log.sqlite-wal is not",
        }))
    }

    /// Refuses a write-ahead log that SQLite would take to end where it was altered.
    fn refuse_altered_wal(&self) -> Result<(), OpenError> {
        // What cannot be read here cannot be by SQLite, which then says why.
        let Ok(Some(frame)) = wal::altered_frame(&self.beside("-wal")) else { return Ok(()) };
        Err(self.damaged(format!(
            "frame {frame} of its log.sqlite-wal is not as it was written, and what was written after \
             it would be lost"
        )))
    }

    fn has_wal(&self) -> bool {
        fs::metadata(self.beside("-wal")).is_ok_and(|wal| wal.len() > 0)
    }

    /// The path of a file beside it: its own with `end` after it.
    pub(super) fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(end);
        path.into()
    }

    /// Made with the log, at random.
    pub(super) fn identity(&self) -> Uuid {
        self.identity
    }

    /// What guards the records and is missing or was changed, by name. Empty when writing.
    pub(super) fn changed(&self) -> &[String] {
        &self.changed
    }

    /// Another connection, with the settings for what it may do.
    pub(super) fn connect(&self) -> Result<Connection, StorageError> {
        let flags = match self.access {
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::ReadUnchanging => OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        } | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self.access {
            Access::ReadUnchanging => Connection::open_with_flags(unchanging(&self.path), flags)?,
            _ => Connection::open_with_flags(&self.path, flags)?,
        };
        connection.busy_handler(Some(wait_for_lock))?;
        connection.set_prepared_statement_cache_capacity(32);
        // Otherwise a statement is parsed and planned again whenever the bounds of a range change.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // References are filled by one writer from what it just looked up.
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;
             PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {WAL_KEPT_BYTES};"
        ))?;
        Ok(connection)
    }

    /// Another connection that cannot write.
    pub(super) fn connect_reader(&self) -> Result<Connection, StorageError> {
        let connection = self.connect()?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192;")?;
        Ok(connection)
    }

    fn is_empty(&self, connection: &Connection) -> Result<bool, OpenError> {
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map(|objects: i64| objects == 0)
            .and_then(|empty| Ok(empty && pragma(connection, "application_id")? == 0))
            .map_err(|e| self.refuse(e.into()))
    }

    fn recognise(&mut self, connection: &Connection, known: Option<Uuid>) -> Result<(), OpenError> {
        if self.is_empty(connection)? {
            return Err(match known {
                Some(_) => self.lost("is empty, though this data folder had one"),
                None => self.foreign("it is empty"),
            });
        }
        if pragma(connection, "application_id").map_err(|e| self.refuse(e.into()))?
            != APPLICATION_ID
        {
            return Err(self.foreign("it is the database of another program"));
        }
        let (found, identity): (i64, String) = connection
            .query_row("SELECT format, identity FROM log", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|_| self.damaged("it does not say which format it has"))?;
        if found > FORMAT {
            return Err(OpenError::Newer { path: self.path.clone(), found, known: FORMAT });
        }
        if found < FORMAT {
            return Err(OpenError::Older { path: self.path.clone(), found, known: FORMAT });
        }
        self.identity =
            Uuid::parse_str(&identity).map_err(|_| self.damaged("its identity is not a UUID"))?;
        if known.is_some_and(|known| known != self.identity) {
            return Err(self.lost("is not the one that this data folder had"));
        }
        self.compare(connection)
    }

    /// With what the program makes. Without a table nothing can be read.
    fn compare(&mut self, connection: &Connection) -> Result<(), OpenError> {
        let expected = in_memory().and_then(|c| objects(&c)).map_err(|e| self.refuse(e.into()))?;
        let present = objects(connection).map_err(|e| self.refuse(e.into()))?;
        for (name, object) in expected {
            if present.get(&name) == Some(&object) {
                continue;
            }
            if object.kind == "table" && !present.contains_key(&name) {
                return Err(self.damaged(Changed(&[name]).to_string()));
            }
            self.changed.push(name);
        }
        Ok(())
    }

    fn lost(&self, what: &'static str) -> OpenError {
        OpenError::Lost { path: self.path.clone(), what }
    }

    fn foreign(&self, what: &'static str) -> OpenError {
        OpenError::Foreign { path: self.path.clone(), what }
    }

    fn damaged(&self, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// Tells by what the storage said what is wrong with the file.
    pub(super) fn refuse(&self, source: StorageError) -> OpenError {
        if source.is(ErrorCode::NotADatabase) {
            self.foreign("it is not an SQLite database")
        } else if source.is(ErrorCode::DatabaseCorrupt) {
            self.damaged("SQLite finds its pages inconsistent")
        } else {
            OpenError::Unreachable { path: self.path.clone(), source }
        }
    }
}

/// Whether the file at `path` says in its first bytes that it is a log, whatever else it is.
pub fn is_log(path: &Path) -> bool {
    let mut head = [0; 72];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let id = APPLICATION_ID as u32;
    read.is_ok() && head.starts_with(b"SQLite format 3\0") && head[68..] == id.to_be_bytes()
}

/// All at once, so that a crash leaves an empty file or a log.
fn create(connection: &mut Connection) -> Result<(), StorageError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made it since we looked.
    if pragma(&transaction, "application_id")? == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let random = ids::random_u128().to_ne_bytes();
        let identity = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        transaction.execute(
            "INSERT INTO log (only, format, identity) VALUES (1, ?1, ?2)",
            (FORMAT, identity),
        )?;
    }
    Ok(transaction.commit()?)
}

/// Changing the mode asks nobody to wait, so another process opening the log is waited for here.
fn use_wal(connection: &Connection) -> Result<(), StorageError> {
    for step in 0.. {
        let changed: Result<String, _> =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
        match changed.map_err(StorageError::from) {
            Err(StorageError::Locked(_)) if wait_for_lock(step) => {}
            outcome => return outcome.map(|_| ()),
        }
    }
    Ok(())
}

/// Waits a little for another process's lock; false when it was long enough.
pub(super) fn wait_for_lock(step: i32) -> bool {
    std::thread::park_timeout(LOCK_STEP);
    step < LOCK_STEPS
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn in_memory() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

#[derive(PartialEq, Eq)]
struct Object {
    kind: String,
    sql: String,
}

/// Every table, view and trigger with the text that made it, by name.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Object>> {
    connection
        .prepare("SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, Object { kind: row.get(1)?, sql: row.get(2)? })))?
        .collect()
}

/// Parts of the log, in words.
struct Changed<'a>(&'a [String]);

impl fmt::Display for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [name] => write!(f, "{name} is missing or was changed"),
            names => write!(f, "{} are missing or were changed", names.join(", ")),
        }
    }
}

fn unchanging(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1")
}
