//! Keys of services, of which only hashes are kept.

use domain::{ServiceKeyId, Time};
use sqlx::PgPool;

use super::hash;
use crate::identity::{ServiceKey, StoreError, TokenHash};

pub(super) async fn add(pool: &PgPool, key: ServiceKey) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO identity.service_key (id, hash, name, scopes, created_at_ms)
         VALUES ($1, $2, $3, $4, $5)",
        key.id.as_uuid(),
        hash(key.hash),
        key.name,
        key.scope_names(),
        key.created_at.as_ms(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn all(pool: &PgPool) -> Result<Vec<ServiceKey>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, hash, name, scopes, created_at_ms, revoked_at_ms
         FROM identity.service_key ORDER BY id",
    );
    let rows = rows.fetch_all(pool).await?;
    let damaged = || StoreError("the hash of a service key is damaged".into());
    let keys = rows.into_iter().map(|row| {
        Ok(ServiceKey {
            id: ServiceKeyId::from_u128(row.id.as_u128()),
            hash: TokenHash(row.hash.try_into().map_err(|_| damaged())?),
            name: row.name,
            scopes: ServiceKey::scopes_of(&row.scopes),
            created_at: Time::from_ms(row.created_at_ms),
            revoked_at: row.revoked_at_ms.map(Time::from_ms),
        })
    });
    keys.collect()
}

pub(super) async fn revoke(pool: &PgPool, key: ServiceKeyId, at: Time) -> Result<bool, StoreError> {
    let known = sqlx::query!(
        "UPDATE identity.service_key SET revoked_at_ms = coalesce(revoked_at_ms, $2)
         WHERE id = $1",
        key.as_uuid(),
        at.as_ms(),
    );
    Ok(known.execute(pool).await?.rows_affected() == 1)
}
