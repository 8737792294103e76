//! The tables of the file, and how their columns are read.

use std::path::Path;
use std::time::Duration;

use domain::{Time, UserId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::identity::{Kept, KeyId};

/// Marks the file as ours: "EvId".
const APPLICATION_ID: i32 = 0x4576_4964;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS key (
        kind TEXT NOT NULL,
        id BLOB NOT NULL,
        -- NULL when it was destroyed for ever.
        wrapped BLOB,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS erasing (user BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS barred (
        user BLOB NOT NULL PRIMARY KEY,
        expires_at_ms INTEGER NOT NULL,
        before_ms INTEGER NOT NULL DEFAULT 253402300799999
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS barred_expires ON barred (expires_at_ms);
    CREATE TABLE IF NOT EXISTS session (
        id BLOB NOT NULL PRIMARY KEY,
        user BLOB NOT NULL,
        opened_at_ms INTEGER NOT NULL,
        used_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS session_user ON session (user);
    CREATE INDEX IF NOT EXISTS session_expires ON session (expires_at_ms);
    CREATE TABLE IF NOT EXISTS refresh_token (
        hash BLOB NOT NULL PRIMARY KEY,
        session BLOB NOT NULL REFERENCES session ON DELETE CASCADE,
        is_spent INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS refresh_token_session ON refresh_token (session);
    CREATE INDEX IF NOT EXISTS refresh_token_expires ON refresh_token (expires_at_ms);
    CREATE TABLE IF NOT EXISTS code (
        hash BLOB NOT NULL PRIMARY KEY,
        user BLOB NOT NULL,
        purpose TEXT NOT NULL,
        payload TEXT NOT NULL,
        expires_at_ms INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS code_user ON code (user, purpose, expires_at_ms);
    CREATE TABLE IF NOT EXISTS service_key (
        id BLOB NOT NULL PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        -- Names, one space between them.
        scopes TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        revoked_at_ms INTEGER
    ) WITHOUT ROWID;
";

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mark: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if mark != APPLICATION_ID && (mark != 0 || tables > 0) {
        return Err(rusqlite::Error::InvalidPath(path.to_owned()));
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is destroyed is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    if mark != APPLICATION_ID {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    connection.execute_batch(TABLES)?;
    complete(&mut connection)?;
    Ok(connection)
}

/// Adds what files from before do not have: who was barred in them was so with every token.
fn complete(connection: &mut Connection) -> rusqlite::Result<()> {
    let complete = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !complete.column_exists(None, "barred", "before_ms")? {
        complete.execute_batch(
            "ALTER TABLE barred ADD COLUMN before_ms INTEGER NOT NULL DEFAULT 253402300799999",
        )?;
    }
    complete.commit()
}

pub(super) fn bits(user: UserId) -> [u8; 16] {
    user.as_u128().to_be_bytes()
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    Ok(u128::from_be_bytes(row.get(column)?))
}

pub(super) fn user(row: &Row<'_>, column: usize) -> rusqlite::Result<UserId> {
    number(row, column).map(UserId::from_u128)
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Time> {
    Ok(Time::from_ms(row.get(column)?))
}

pub(super) fn find_key(t: &Transaction<'_>, id: KeyId) -> rusqlite::Result<Option<Kept>> {
    let (kind, id) = id.parts();
    let found: Option<Option<Vec<u8>>> = t
        .prepare_cached("SELECT wrapped FROM key WHERE kind = ?1 AND id = ?2")?
        .query_row(params![kind, id], |row| row.get(0))
        .optional()?;
    Ok(found.map(|wrapped| wrapped.map_or(Kept::Destroyed, Kept::Wrapped)))
}
