//! Sessions and their tokens, in a transaction each.

use domain::{Time, UserId};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::tables::{bits, number, time, user};
use crate::identity::{Rotation, Session, TokenHash};

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: number(row, 0)?,
        user: user(row, 1)?,
        opened_at: time(row, 2)?,
        used_at: time(row, 3)?,
        expires_at: time(row, 4)?,
    })
}

pub(super) fn open(
    t: &Transaction<'_>,
    session: Session,
    token: TokenHash,
) -> rusqlite::Result<()> {
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
}

pub(super) fn by_token(
    t: &Transaction<'_>,
    token: TokenHash,
    now: Time,
) -> rusqlite::Result<Option<Session>> {
    t.prepare_cached(
        "SELECT session.id, user, opened_at_ms, used_at_ms, session.expires_at_ms
         FROM refresh_token JOIN session ON session.id = refresh_token.session
         WHERE hash = ?1 AND refresh_token.expires_at_ms > ?2 AND NOT is_spent",
    )?
    .query_row(params![token.0, now.as_ms()], session)
    .optional()
}

pub(super) fn of(t: &Transaction<'_>, whose: UserId) -> rusqlite::Result<Vec<Session>> {
    let mut statement = t.prepare_cached(
        "SELECT id, user, opened_at_ms, used_at_ms, expires_at_ms FROM session
         WHERE user = ?1 ORDER BY opened_at_ms, id",
    )?;
    statement.query_map([bits(whose)], session)?.collect()
}

pub(super) fn rotate(
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
