//! The identity store as one SQLite file, for when no PostgreSQL is named.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Time, UserId};
use parking_lot::Mutex;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{
    Code, IdentityStore, Kept, KeyId, MOST_CODES, Purpose, Rotation, Session, StoreError, TokenHash,
};
use crate::{private_file, sqlite};

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
";

/// The store in one file.
#[derive(Clone)]
pub struct SqliteIdentity(Arc<Mutex<Connection>>);

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError(error.into())
}

impl SqliteIdentity {
    /// Opens the file at `path`; made, in a folder for the owner alone, if there is none.
    ///
    /// # Errors
    /// It cannot be opened, or is something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            private_file::make_folder(folder).map_err(failed)?;
        }
        sqlite::make_private(path).map_err(failed)?;
        let connection = connect(path).map_err(failed)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.0.clone();
        let work = move || {
            let mut connection = connection.lock();
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(result)
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)?.map_err(failed)
    }

    /// Lets nothing that was deleted stay in the write-ahead log.
    async fn scrub(&self) -> Result<(), StoreError> {
        let connection = self.0.clone();
        let scrub = move || {
            let connection = connection.lock();
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        };
        let busy = tokio::task::spawn_blocking(scrub).await.map_err(failed)?.map_err(failed)?;
        if busy != 0 {
            return Err(failed("another process reads the identity store"));
        }
        Ok(())
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
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
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

fn bits(user: UserId) -> [u8; 16] {
    user.as_u128().to_be_bytes()
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    Ok(u128::from_be_bytes(row.get(column)?))
}

fn user(row: &Row<'_>, column: usize) -> rusqlite::Result<UserId> {
    number(row, column).map(UserId::from_u128)
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Time> {
    Ok(Time::from_ms(row.get(column)?))
}

fn find_key(transaction: &Transaction<'_>, id: KeyId) -> rusqlite::Result<Option<Kept>> {
    let (kind, id) = id.parts();
    let found: Option<Option<Vec<u8>>> = transaction
        .prepare_cached("SELECT wrapped FROM key WHERE kind = ?1 AND id = ?2")?
        .query_row(params![kind, id], |row| row.get(0))
        .optional()?;
    Ok(found.map(|wrapped| wrapped.map_or(Kept::Destroyed, Kept::Wrapped)))
}

#[async_trait]
impl IdentityStore for SqliteIdentity {
    async fn key(&self, id: KeyId) -> Result<Option<Kept>, StoreError> {
        self.with(move |t| find_key(t, id)).await
    }

    async fn add_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<Kept, StoreError> {
        self.with(move |t| {
            let (kind, bytes) = id.parts();
            t.execute(
                "INSERT INTO key (kind, id, wrapped) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![kind, bytes, wrapped],
            )?;
            Ok(find_key(t, id)?.unwrap_or(Kept::Destroyed))
        })
        .await
    }

    async fn destroy_key(&self, id: KeyId) -> Result<(), StoreError> {
        self.with(move |t| {
            let (kind, bytes) = id.parts();
            let KeyId::Person(user) = id else {
                t.execute("DELETE FROM key WHERE kind = ?1 AND id = ?2", params![kind, bytes])?;
                return Ok(());
            };
            t.execute(
                "INSERT INTO key (kind, id, wrapped) VALUES (?1, ?2, NULL)
                 ON CONFLICT (kind, id) DO UPDATE SET wrapped = NULL",
                params![kind, bytes],
            )?;
            t.execute("DELETE FROM erasing WHERE user = ?1", [bits(user)])?;
            Ok(())
        })
        .await?;
        self.scrub().await
    }

    async fn keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<(KeyId, Vec<u8>)>, StoreError> {
        self.with(move |t| {
            let (kind, bytes) = after.map_or(("", vec![]), KeyId::parts);
            let mut statement = t.prepare_cached(
                "SELECT kind, id, wrapped FROM key
                 WHERE (kind, id) > (?1, ?2) AND wrapped IS NOT NULL ORDER BY kind, id LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![kind, bytes, limit], |row| {
                let (kind, id): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                let unknown =
                    || rusqlite::Error::InvalidColumnType(0, "kind".to_owned(), Type::Text);
                Ok((KeyId::of(&kind, &id).ok_or_else(unknown)?, row.get(2)?))
            })?;
            rows.collect()
        })
        .await
    }

    async fn rewrap_key(&self, id: KeyId, old: Vec<u8>, new: Vec<u8>) -> Result<bool, StoreError> {
        self.with(move |t| {
            let (kind, bytes) = id.parts();
            let changed = t.execute(
                "UPDATE key SET wrapped = ?4 WHERE kind = ?1 AND id = ?2 AND wrapped = ?3",
                params![kind, bytes, old, new],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    async fn begin_erasing(&self, user: UserId) -> Result<(), StoreError> {
        self.with(move |t| {
            t.execute("INSERT INTO erasing VALUES (?1) ON CONFLICT DO NOTHING", [bits(user)])?;
            Ok(())
        })
        .await
    }

    async fn erasing(&self) -> Result<Vec<UserId>, StoreError> {
        self.with(|t| {
            let mut statement = t.prepare("SELECT user FROM erasing ORDER BY user")?;
            statement.query_map([], |row| user(row, 0))?.collect()
        })
        .await
    }

    async fn open_session(&self, session: Session, token: TokenHash) -> Result<(), StoreError> {
        self.with(move |t| {
            let id = session.id.to_be_bytes();
            t.execute(
                "INSERT INTO session VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    id,
                    bits(session.user),
                    session.opened_at.as_ms(),
                    session.used_at.as_ms(),
                    session.expires_at.as_ms()
                ],
            )?;
            t.execute(
                "INSERT INTO refresh_token VALUES (?1, ?2, 0, ?3)",
                params![token.0, id, session.expires_at.as_ms()],
            )?;
            Ok(())
        })
        .await
    }

    async fn whose(&self, token: TokenHash, now: Time) -> Result<Option<UserId>, StoreError> {
        self.with(move |t| {
            t.prepare_cached(
                "SELECT session.user
                 FROM refresh_token JOIN session ON session.id = refresh_token.session
                 WHERE hash = ?1 AND refresh_token.expires_at_ms > ?2 AND NOT is_spent",
            )?
            .query_row(params![token.0, now.as_ms()], |row| user(row, 0))
            .optional()
        })
        .await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Time,
        expires_at: Time,
    ) -> Result<Rotation, StoreError> {
        self.with(move |t| rotate(t, old, new, now, expires_at)).await
    }

    async fn close_session(&self, token: TokenHash) -> Result<Option<UserId>, StoreError> {
        self.with(move |t| {
            t.query_row(
                "DELETE FROM session
                 WHERE id = (SELECT session FROM refresh_token WHERE hash = ?1) RETURNING user",
                [token.0],
                |row| user(row, 0),
            )
            .optional()
        })
        .await
    }

    async fn close_sessions(&self, user: UserId) -> Result<(), StoreError> {
        self.with(move |t| {
            t.execute("DELETE FROM session WHERE user = ?1", [bits(user)])?;
            Ok(())
        })
        .await
    }

    async fn sessions(&self, whose: UserId) -> Result<Vec<Session>, StoreError> {
        self.with(move |t| {
            let mut statement = t.prepare_cached(
                "SELECT id, user, opened_at_ms, used_at_ms, expires_at_ms FROM session
                 WHERE user = ?1 ORDER BY opened_at_ms, id",
            )?;
            let rows = statement.query_map([bits(whose)], |row| {
                Ok(Session {
                    id: number(row, 0)?,
                    user: user(row, 1)?,
                    opened_at: time(row, 2)?,
                    used_at: time(row, 3)?,
                    expires_at: time(row, 4)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    async fn put_code(&self, code: Code) -> Result<(), StoreError> {
        self.with(move |t| {
            let (user, purpose) = (bits(code.user), code.purpose.name());
            t.execute(
                "INSERT INTO code VALUES (?1, ?2, ?3, ?4, ?5)",
                params![code.hash.0, user, purpose, code.payload, code.expires_at.as_ms()],
            )?;
            t.execute(
                "DELETE FROM code WHERE hash IN (
                    SELECT hash FROM code WHERE user = ?1 AND purpose = ?2
                    ORDER BY expires_at_ms DESC, rowid DESC LIMIT -1 OFFSET ?3)",
                params![user, purpose, MOST_CODES],
            )?;
            Ok(())
        })
        .await
    }

    async fn take_code(
        &self,
        hash: TokenHash,
        purpose: Purpose,
        now: Time,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        self.with(move |t| {
            t.query_row(
                "DELETE FROM code WHERE hash = ?1 AND purpose = ?2 AND expires_at_ms > ?3
                 RETURNING user, payload",
                params![hash.0, purpose.name(), now.as_ms()],
                |row| Ok((user(row, 0)?, row.get(1)?)),
            )
            .optional()
        })
        .await
    }

    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError> {
        self.with(move |t| {
            t.execute("DELETE FROM code WHERE user = ?1", [bits(user)])?;
            Ok(())
        })
        .await
    }

    async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        self.with(move |t| {
            for table in ["session", "refresh_token", "code"] {
                t.execute(
                    &format!("DELETE FROM {table} WHERE expires_at_ms <= ?1"),
                    [now.as_ms()],
                )?;
            }
            Ok(())
        })
        .await
    }
}

fn rotate(
    t: &Transaction<'_>,
    old: TokenHash,
    new: TokenHash,
    now: Time,
    expires_at: Time,
) -> rusqlite::Result<Rotation> {
    let found = t
        .prepare_cached(
            "SELECT session.id, session.user, is_spent
             FROM refresh_token JOIN session ON session.id = refresh_token.session
             WHERE hash = ?1 AND refresh_token.expires_at_ms > ?2",
        )?
        .query_row(params![old.0, now.as_ms()], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, user(row, 1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    let Some((session, whose, is_spent)) = found else { return Ok(Rotation::Unknown) };
    if is_spent {
        t.execute("DELETE FROM session WHERE id = ?1", [session])?;
        return Ok(Rotation::Reused(whose));
    }
    t.execute("UPDATE refresh_token SET is_spent = 1 WHERE hash = ?1", [old.0])?;
    t.execute(
        "INSERT INTO refresh_token VALUES (?1, ?2, 0, ?3)",
        params![new.0, session, expires_at.as_ms()],
    )?;
    t.execute(
        "UPDATE session SET used_at_ms = ?2, expires_at_ms = ?3 WHERE id = ?1",
        params![session, now.as_ms(), expires_at.as_ms()],
    )?;
    Ok(Rotation::Rotated(whose))
}
