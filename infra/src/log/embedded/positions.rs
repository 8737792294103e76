//! Where the records of each stream are: in two tables, as `schema.sql` says.

use rusqlite::{Connection, ErrorCode};

use super::error::StorageError;
use crate::log::Position;

/// Positions of stream ?1 from revision ?2 towards the end, at most ?3.
pub(super) const FORWARDS: &str = "SELECT revision, position FROM stream_positions \
        WHERE stream = ?1 AND revision >= ?2 \
    UNION ALL SELECT revision, position FROM latest_positions \
        WHERE stream = ?1 AND revision >= ?2 \
    ORDER BY revision LIMIT ?3";

/// Position of revision ?2 of stream ?1, if it was put in order.
pub(super) const PLACE: &str =
    "SELECT position FROM stream_positions WHERE stream = ?1 AND revision = ?2";

/// Positions of stream ?1 from revision ?2 towards the beginning, at most ?3.
pub(super) const BACKWARDS: &str = "SELECT revision, position FROM stream_positions \
        WHERE stream = ?1 AND revision <= ?2 \
    UNION ALL SELECT revision, position FROM latest_positions \
        WHERE stream = ?1 AND revision <= ?2 \
    ORDER BY revision DESC LIMIT ?3";

/// So many records are put in order at once. Whoever reads a stream looks through those that are not (a
/// quarter of a millisecond), and who appends waits now and then until they are: some milliseconds if
/// they are of one stream, some ten if they are of a thousand.
const AT_ONCE: i64 = 8_192;

/// Position of the last record of a stream.
pub(super) fn last(connection: &Connection, stream: i64) -> Result<Option<Position>, StorageError> {
    let sql = "SELECT ifnull( \
        (SELECT max(position) FROM latest_positions WHERE stream = ?1), \
        (SELECT position FROM stream_positions WHERE stream = ?1 ORDER BY revision DESC LIMIT 1))";
    let position: Option<i64> =
        connection.prepare_cached(sql)?.query_row([stream], |row| row.get(0))?;
    Ok(position.map(|position| Position(position as u64)))
}

/// The records that are not in order yet, as the writer counts them.
#[derive(Debug, Default)]
pub(super) struct Latest(i64);

impl Latest {
    pub(super) fn of(connection: &Connection) -> Result<Self, StorageError> {
        let sql = "SELECT count(*) FROM latest_positions";
        Ok(Self(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
    }

    /// Some more were written.
    pub(super) fn add(&mut self, count: usize) {
        self.0 += count as i64;
    }

    /// Puts them in order, once they are enough, in the transaction that is under way.
    pub(super) fn put_in_order(&mut self, connection: &Connection) -> Result<(), StorageError> {
        if self.0 < AT_ONCE {
            return Ok(());
        }
        let put = "INSERT INTO stream_positions (stream, revision, position) \
            SELECT stream, revision, position FROM latest_positions ORDER BY stream, revision";
        connection.prepare_cached(put)?.execute([]).map_err(|error| {
            match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => taken(connection),
                _ => error.into(),
            }
        })?;
        connection.prepare_cached("DELETE FROM latest_positions")?.execute([])?;
        *self = Self::default();
        Ok(())
    }
}

/// The first record whose place in its stream another one has.
fn taken(connection: &Connection) -> StorageError {
    let sql = "SELECT position FROM latest_positions AS l \
        WHERE EXISTS (SELECT 1 FROM stream_positions AS p \
            WHERE p.stream = l.stream AND p.revision = l.revision) \
        OR EXISTS (SELECT 1 FROM latest_positions AS p \
            WHERE p.stream = l.stream AND p.revision = l.revision AND p.position < l.position) \
        ORDER BY position LIMIT 1";
    match connection.query_row(sql, [], |row| row.get(0)) {
        Ok(position) => {
            let position: i64 = position;
            let position = Position(position as u64);
            StorageError::Damaged { position, what: "another one has its place in its stream" }
        }
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::LogFile;
    use super::*;

    #[test]
    fn a_record_whose_place_is_taken_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::open(&folder.path().join("log.sqlite"), None).unwrap();
        for (in_order, latest) in
            [("(1, 5, 1)", "(2, 1, 4), (3, 1, 5)"), ("(1, 9, 1)", "(2, 1, 5), (3, 1, 5)")]
        {
            let connection = file.connect().unwrap();
            connection
                .execute_batch(&format!(
                    "BEGIN; INSERT INTO stream_positions VALUES {in_order};
                     INSERT INTO latest_positions VALUES {latest};"
                ))
                .unwrap();
            let error = Latest(AT_ONCE).put_in_order(&connection).expect_err("it is taken");
            let third = matches!(error, StorageError::Damaged { position: Position(3), .. });
            assert!(third && error.is_damage(), "{error}");
        }
    }
}
