//! Whose access tokens are refused.

use domain::Time;
use rusqlite::{Transaction, params};

use super::tables::{bits, time, user};
use crate::identity::Bar;

pub(super) fn add(t: &Transaction<'_>, bar: Bar) -> rusqlite::Result<()> {
    t.execute(
        "INSERT INTO barred (user, before_ms, expires_at_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (user) DO UPDATE SET before_ms = max(before_ms, excluded.before_ms),
                                          expires_at_ms = max(expires_at_ms, excluded.expires_at_ms)",
        params![bits(bar.user), bar.before.as_ms(), bar.until.as_ms()],
    )?;
    Ok(())
}

pub(super) fn at(t: &Transaction<'_>, now: Time, limit: usize) -> rusqlite::Result<Vec<Bar>> {
    let mut statement = t.prepare_cached(
        "SELECT user, before_ms, expires_at_ms FROM barred WHERE expires_at_ms > ?1
         ORDER BY expires_at_ms DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let bars = statement.query_map(params![now.as_ms(), limit], |row| {
        Ok(Bar { user: user(row, 0)?, before: time(row, 1)?, until: time(row, 2)? })
    })?;
    bars.collect()
}

#[cfg(test)]
mod tests {
    use domain::UserId;
    use rusqlite::Connection;

    use crate::identity::{Bar, IdentityStore as _, SqliteIdentity};

    #[tokio::test]
    async fn who_was_barred_in_an_old_file_is_so_with_every_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE barred (
                user BLOB NOT NULL PRIMARY KEY,
                expires_at_ms INTEGER NOT NULL
             ) WITHOUT ROWID;
             INSERT INTO barred VALUES (x'00000000000000000000000000000007', 1800000900000);
             PRAGMA application_id = 0x45764964;",
        )
        .unwrap();
        drop(old);
        let (now, until) = (1_800_000_000_000, 1_800_000_900_000);
        let (now, until) = (domain::Time::from_ms(now), domain::Time::from_ms(until));
        // Twice: what was added is there.
        for _ in 0..2 {
            let store = SqliteIdentity::open(&path).unwrap();
            let user = UserId::from_u128(7);
            let bar = Bar { user, before: Bar::EVER, until };
            assert_eq!(store.barred(now, 9).await.unwrap(), [bar]);
        }
    }
}
