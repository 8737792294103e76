//! The identity store in PostgreSQL, shared by all nodes.

mod codes;
mod services;
mod sessions;

use async_trait::async_trait;
use domain::{ServiceKeyId, Time, UserId};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    Bar, Code, IdentityStore, Kept, KeyId, Purpose, Rotation, ServiceKey, Session, StoreError,
    TokenHash,
};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/identity");

/// The store in the schema `identity` of a database. Its tables are set up when it is first used, so
/// that the product can start while the database is down.
pub struct PostgresIdentity {
    pool: PgPool,
    is_ready: OnceCell<()>,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.into())
    }
}

fn user(id: Uuid) -> UserId {
    UserId::from_u128(id.as_u128())
}

fn hash(token: TokenHash) -> Vec<u8> {
    token.0.to_vec()
}

impl PostgresIdentity {
    /// The store in the database that `pool` connects to.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, is_ready: OnceCell::new() }
    }

    async fn pool(&self) -> Result<&PgPool, StoreError> {
        self.is_ready.get_or_try_init(|| set_up(&self.pool)).await?;
        Ok(&self.pool)
    }
}

/// Sets the tables up. Which migrations were applied is noted beside them: the views' own may be
/// dropped with the views.
async fn set_up(pool: &PgPool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    // However this ends, also by being dropped: nobody else gets a connection that may still hold
    // the lock which keeps migrations apart.
    connection.close_on_drop();
    let mut migrator = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    migrator.create_schema("identity");
    migrator.dangerous_set_table_name("identity.applied");
    let migrated = migrator.run_direct(None, &mut *connection, false).await;
    migrated.map_err(|error| StoreError(error.into()))
}

#[async_trait]
impl IdentityStore for PostgresIdentity {
    async fn key(&self, id: KeyId) -> Result<Option<Kept>, StoreError> {
        let (kind, id) = id.parts();
        let found = sqlx::query_scalar!(
            "SELECT wrapped FROM identity.key WHERE kind = $1 AND id = $2",
            kind,
            id,
        );
        let found = found.fetch_optional(self.pool().await?).await?;
        Ok(found.map(|wrapped| wrapped.map_or(Kept::Destroyed, Kept::Wrapped)))
    }

    async fn add_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<Kept, StoreError> {
        let (kind, bytes) = id.parts();
        sqlx::query!(
            "INSERT INTO identity.key (kind, id, wrapped) VALUES ($1, $2, $3)
             ON CONFLICT DO NOTHING",
            kind,
            bytes,
            wrapped,
        )
        .execute(self.pool().await?)
        .await?;
        Ok(self.key(id).await?.unwrap_or(Kept::Destroyed))
    }

    async fn remove_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<bool, StoreError> {
        let (kind, bytes) = id.parts();
        let removed = sqlx::query!(
            "DELETE FROM identity.key WHERE kind = $1 AND id = $2 AND wrapped = $3",
            kind,
            bytes,
            wrapped,
        );
        Ok(removed.execute(self.pool().await?).await?.rows_affected() == 1)
    }

    async fn destroy_person(&self, user: UserId) -> Result<(), StoreError> {
        let (kind, bytes) = KeyId::Person(user).parts();
        sqlx::query!(
            "INSERT INTO identity.key (kind, id, wrapped) VALUES ($1, $2, NULL)
             ON CONFLICT (kind, id) DO UPDATE SET wrapped = NULL",
            kind,
            bytes,
        )
        .execute(self.pool().await?)
        .await?;
        Ok(())
    }

    async fn keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<(KeyId, Vec<u8>)>, StoreError> {
        let (kind, bytes) = after.map_or(("", vec![]), KeyId::parts);
        let rows = sqlx::query!(
            r#"SELECT kind, id, wrapped AS "wrapped!" FROM identity.key
               WHERE (kind, id) > ($1, $2) AND wrapped IS NOT NULL ORDER BY kind, id LIMIT $3"#,
            kind,
            bytes,
            i64::try_from(limit).unwrap_or(i64::MAX),
        );
        let rows = rows.fetch_all(self.pool().await?).await?;
        let key = |kind: &str, id: &[u8]| {
            KeyId::of(kind, id).ok_or_else(|| StoreError("a key of an unknown kind".into()))
        };
        rows.into_iter().map(|row| Ok((key(&row.kind, &row.id)?, row.wrapped))).collect()
    }

    async fn rewrap_key(&self, id: KeyId, old: Vec<u8>, new: Vec<u8>) -> Result<bool, StoreError> {
        let (kind, bytes) = id.parts();
        let changed = sqlx::query!(
            "UPDATE identity.key SET wrapped = $4 WHERE kind = $1 AND id = $2 AND wrapped = $3",
            kind,
            bytes,
            old,
            new,
        );
        Ok(changed.execute(self.pool().await?).await?.rows_affected() == 1)
    }

    async fn begin_erasing(&self, user: UserId) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO identity.erasing VALUES ($1) ON CONFLICT DO NOTHING",
            user.as_uuid(),
        )
        .execute(self.pool().await?)
        .await?;
        Ok(())
    }

    async fn erasing(&self) -> Result<Vec<UserId>, StoreError> {
        let marked = sqlx::query_scalar!("SELECT person FROM identity.erasing ORDER BY person");
        Ok(marked.fetch_all(self.pool().await?).await?.into_iter().map(user).collect())
    }

    async fn end_erasing(&self, user: UserId) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM identity.erasing WHERE person = $1", user.as_uuid())
            .execute(self.pool().await?)
            .await?;
        Ok(())
    }

    async fn bar(&self, bar: Bar) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO identity.barred (person, before_ms, expires_at_ms) VALUES ($1, $2, $3)
             ON CONFLICT (person)
             DO UPDATE SET before_ms = greatest(barred.before_ms, excluded.before_ms),
                           expires_at_ms = greatest(barred.expires_at_ms, excluded.expires_at_ms)",
            bar.user.as_uuid(),
            bar.before.as_ms(),
            bar.until.as_ms(),
        )
        .execute(self.pool().await?)
        .await?;
        Ok(())
    }

    async fn barred(&self, now: Time, limit: usize) -> Result<Vec<Bar>, StoreError> {
        let rows = sqlx::query!(
            "SELECT person, before_ms, expires_at_ms FROM identity.barred WHERE expires_at_ms > $1
             ORDER BY expires_at_ms DESC LIMIT $2",
            now.as_ms(),
            i64::try_from(limit).unwrap_or(i64::MAX),
        );
        let rows = rows.fetch_all(self.pool().await?).await?;
        let bars = rows.into_iter().map(|row| Bar {
            user: user(row.person),
            before: Time::from_ms(row.before_ms),
            until: Time::from_ms(row.expires_at_ms),
        });
        Ok(bars.collect())
    }

    async fn open_session(&self, session: Session, token: TokenHash) -> Result<(), StoreError> {
        sessions::open(self.pool().await?, session, token).await
    }

    async fn session(&self, token: TokenHash, now: Time) -> Result<Option<Session>, StoreError> {
        sessions::find(self.pool().await?, token, now).await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Time,
        expires_at: Time,
    ) -> Result<Rotation, StoreError> {
        sessions::rotate(self.pool().await?, old, new, now, expires_at).await
    }

    async fn close_session(&self, token: TokenHash) -> Result<Option<UserId>, StoreError> {
        sessions::close(self.pool().await?, token).await
    }

    async fn close_sessions(&self, user: UserId) -> Result<(), StoreError> {
        sessions::close_all(self.pool().await?, user).await
    }

    async fn sessions(&self, whose: UserId) -> Result<Vec<Session>, StoreError> {
        sessions::all(self.pool().await?, whose).await
    }

    async fn put_code(&self, code: Code) -> Result<(), StoreError> {
        codes::put(self.pool().await?, code).await
    }

    async fn code(
        &self,
        code: TokenHash,
        purpose: Purpose,
        now: Time,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        codes::find(self.pool().await?, code, purpose, now).await
    }

    async fn take_code(&self, code: TokenHash) -> Result<bool, StoreError> {
        codes::take(self.pool().await?, code).await
    }

    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError> {
        codes::drop_all(self.pool().await?, user).await
    }

    async fn add_service_key(&self, key: ServiceKey) -> Result<(), StoreError> {
        services::add(self.pool().await?, key).await
    }

    async fn service_keys(&self) -> Result<Vec<ServiceKey>, StoreError> {
        services::all(self.pool().await?).await
    }

    async fn revoke_service_key(&self, key: ServiceKeyId, at: Time) -> Result<bool, StoreError> {
        services::revoke(self.pool().await?, key, at).await
    }

    async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH tokens AS (
                DELETE FROM identity.refresh_token WHERE expires_at_ms <= $1),
             codes AS (
                DELETE FROM identity.code WHERE expires_at_ms <= $1),
             barred AS (
                DELETE FROM identity.barred WHERE expires_at_ms <= $1)
             DELETE FROM identity.session WHERE expires_at_ms <= $1",
            now.as_ms(),
        )
        .execute(self.pool().await?)
        .await?;
        Ok(())
    }
}
