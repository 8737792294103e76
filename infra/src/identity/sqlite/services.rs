//! Keys of services.

use domain::{ServiceKeyId, Time};
use rusqlite::{Transaction, params};

use super::tables::{number, time};
use crate::identity::{ServiceKey, TokenHash};

pub(super) fn add(t: &Transaction<'_>, key: &ServiceKey) -> rusqlite::Result<()> {
    t.execute(
        "INSERT INTO service_key (id, hash, name, scopes, created_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            key.id.as_u128().to_be_bytes(),
            key.hash.0,
            key.name,
            key.scope_names(),
            key.created_at.as_ms()
        ],
    )?;
    Ok(())
}

pub(super) fn all(t: &Transaction<'_>) -> rusqlite::Result<Vec<ServiceKey>> {
    let mut statement = t.prepare_cached(
        "SELECT id, hash, name, scopes, created_at_ms, revoked_at_ms FROM service_key ORDER BY id",
    )?;
    let keys = statement.query_map([], |row| {
        let scopes: String = row.get(3)?;
        let revoked: Option<i64> = row.get(5)?;
        Ok(ServiceKey {
            id: ServiceKeyId::from_u128(number(row, 0)?),
            hash: TokenHash(row.get(1)?),
            name: row.get(2)?,
            scopes: ServiceKey::scopes_of(&scopes),
            created_at: time(row, 4)?,
            revoked_at: revoked.map(Time::from_ms),
        })
    })?;
    keys.collect()
}

pub(super) fn revoke(t: &Transaction<'_>, key: ServiceKeyId, at: Time) -> rusqlite::Result<bool> {
    let known = t.execute(
        "UPDATE service_key SET revoked_at_ms = coalesce(revoked_at_ms, ?2) WHERE id = ?1",
        params![key.as_u128().to_be_bytes(), at.as_ms()],
    )?;
    Ok(known == 1)
}
