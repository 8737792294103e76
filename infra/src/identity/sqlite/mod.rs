//! The identity store as one SQLite file, for when no PostgreSQL is named.

mod bars;
mod services;
mod sessions;
mod tables;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{ServiceKeyId, Time, UserId};
use parking_lot::Mutex;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Bar, Code, IdentityStore, Kept, KeyId, MOST_CODES, Purpose, Rotation, ServiceKey, Session,
    StoreError, TokenHash,
};
use crate::{private_file, sqlite};
use tables::{bits, connect, find_key, user};

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

    async fn remove_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<bool, StoreError> {
        let is_removed = self
            .with(move |t| {
                let (kind, bytes) = id.parts();
                let removed = t.execute(
                    "DELETE FROM key WHERE kind = ?1 AND id = ?2 AND wrapped = ?3",
                    params![kind, bytes, wrapped],
                )?;
                Ok(removed == 1)
            })
            .await?;
        self.scrub().await?;
        Ok(is_removed)
    }

    async fn destroy_person(&self, user: UserId) -> Result<(), StoreError> {
        self.with(move |t| {
            let (kind, bytes) = KeyId::Person(user).parts();
            t.execute(
                "INSERT INTO key (kind, id, wrapped) VALUES (?1, ?2, NULL)
                 ON CONFLICT (kind, id) DO UPDATE SET wrapped = NULL",
                params![kind, bytes],
            )?;
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

    async fn end_erasing(&self, user: UserId) -> Result<(), StoreError> {
        self.with(move |t| {
            t.execute("DELETE FROM erasing WHERE user = ?1", [bits(user)])?;
            Ok(())
        })
        .await
    }

    async fn bar(&self, bar: Bar) -> Result<(), StoreError> {
        self.with(move |t| bars::add(t, bar)).await
    }

    async fn barred(&self, now: Time, limit: usize) -> Result<Vec<Bar>, StoreError> {
        self.with(move |t| bars::at(t, now, limit)).await
    }

    async fn open_session(&self, session: Session, token: TokenHash) -> Result<(), StoreError> {
        self.with(move |t| sessions::open(t, session, token)).await
    }

    async fn session(&self, token: TokenHash, now: Time) -> Result<Option<Session>, StoreError> {
        self.with(move |t| sessions::by_token(t, token, now)).await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Time,
        expires_at: Time,
    ) -> Result<Rotation, StoreError> {
        self.with(move |t| sessions::rotate(t, old, new, now, expires_at)).await
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
        self.with(move |t| sessions::of(t, whose)).await
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

    async fn code(
        &self,
        hash: TokenHash,
        purpose: Purpose,
        now: Time,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        self.with(move |t| {
            t.query_row(
                "SELECT user, payload FROM code
                 WHERE hash = ?1 AND purpose = ?2 AND expires_at_ms > ?3",
                params![hash.0, purpose.name(), now.as_ms()],
                |row| Ok((user(row, 0)?, row.get(1)?)),
            )
            .optional()
        })
        .await
    }

    async fn take_code(&self, hash: TokenHash) -> Result<bool, StoreError> {
        self.with(move |t| Ok(t.execute("DELETE FROM code WHERE hash = ?1", [hash.0])? == 1)).await
    }

    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError> {
        self.with(move |t| {
            t.execute("DELETE FROM code WHERE user = ?1", [bits(user)])?;
            Ok(())
        })
        .await
    }

    async fn add_service_key(&self, key: ServiceKey) -> Result<(), StoreError> {
        self.with(move |t| services::add(t, &key)).await
    }

    async fn service_keys(&self) -> Result<Vec<ServiceKey>, StoreError> {
        self.with(services::all).await
    }

    async fn revoke_service_key(&self, key: ServiceKeyId, at: Time) -> Result<bool, StoreError> {
        self.with(move |t| services::revoke(t, key, at)).await
    }

    async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        self.with(move |t| {
            for table in ["session", "refresh_token", "code", "barred"] {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_wiped_yet_stays_marked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.sqlite");
        let store = SqliteIdentity::open(&path).unwrap();
        store.0.lock().busy_timeout(Duration::ZERO).unwrap();
        let user = UserId::from_u128(1);
        store.add_key(KeyId::Person(user), vec![7; 40]).await.unwrap();
        store.begin_erasing(user).await.unwrap();
        // Whoever still reads what was there keeps it in the write-ahead log.
        let mut other = tables::connect(&path).unwrap();
        let reading = other.transaction().unwrap();
        let marks: i64 =
            reading.query_row("SELECT count(*) FROM erasing", [], |row| row.get(0)).unwrap();
        assert_eq!(marks, 1);
        assert!(store.destroy_person(user).await.is_err());
        assert_eq!(store.erasing().await.unwrap(), [user]);
        drop(reading);
        store.destroy_person(user).await.unwrap();
        store.end_erasing(user).await.unwrap();
        assert_eq!(store.erasing().await.unwrap(), []);
    }
}
