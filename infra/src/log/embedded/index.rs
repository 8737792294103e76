//! Whether the file's indexes lead to its rows.
//!
//! What proves a log reads its records by position. Who decides reads a stream, and is led to its
//! records by an index; where that is damaged, records are missed or taken for others, though each of
//! them is as it was written.

use rusqlite::OptionalExtension;

use super::error::StorageError;
use super::readers::{Reader, stored};
use crate::log::Position;

/// An index that does not lead to what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misled {
    /// A record is not found in its stream.
    #[error(
        "the index of the log's streams does not lead to the record at position {0}, which its stream \
         is read without"
    )]
    Record(Position),
    /// There are entries of no record.
    #[error("the index of the log's streams has {entries} entries for {records} records")]
    Entries {
        /// In the index.
        entries: u64,
        /// In the log.
        records: u64,
    },
    /// A stream or kind is not found by its name.
    #[error("the index of the log's {table} does not lead to the one named {name}")]
    Name {
        /// Of what.
        table: &'static str,
        /// Which one.
        name: String,
    },
    /// There are names of nothing.
    #[error("the index of the log's {table} has {entries} entries for {rows} of them")]
    Names {
        /// Of what.
        table: &'static str,
        /// In the index.
        entries: u64,
        /// In the table.
        rows: u64,
    },
}

impl Reader<'_> {
    /// The first record after `after` and up to `upto` to which its stream does not lead.
    pub(super) fn misled(
        &self,
        after: Position,
        upto: Position,
    ) -> Result<Option<Position>, StorageError> {
        // So many, and not up to that one: whoever looks where the range ends reads the page behind it,
        // which may be damaged.
        let count = upto.0.saturating_sub(after.0);
        let sql = "SELECT r.position FROM \
                 (SELECT position, stream, revision FROM records NOT INDEXED \
                  WHERE position > ?1 ORDER BY position LIMIT ?2) AS r \
             WHERE NOT EXISTS ( \
                 SELECT 1 FROM stream_positions AS p \
                 WHERE p.stream = r.stream AND p.revision = r.revision AND p.position = r.position) \
             AND NOT EXISTS ( \
                 SELECT 1 FROM latest_positions AS p \
                 WHERE p.position = r.position AND p.stream = r.stream AND p.revision = r.revision) \
             ORDER BY r.position LIMIT 1";
        let misled: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([stored(after.0), stored(count)], |row| row.get(0))
            .optional()?;
        Ok(misled.map(|position| Position(position as u64)))
    }

    /// What no single record shows: entries too many, and names that are not found.
    pub(super) fn misled_at_all(&self) -> Result<Option<Misled>, StorageError> {
        // Positions have no gaps, so that the records need not be counted.
        let sql = "SELECT (SELECT count(*) FROM stream_positions) \
                 + (SELECT count(*) FROM latest_positions), \
             ifnull((SELECT max(position) FROM records NOT INDEXED), 0)";
        let (entries, records) = self.two(sql)?;
        if entries != records {
            return Ok(Some(Misled::Entries { entries, records }));
        }
        for table in ["streams", "kinds"] {
            let index = format!("sqlite_autoindex_{table}_1");
            let sql = format!(
                "SELECT name FROM {table} AS t NOT INDEXED WHERE NOT EXISTS ( \
                     SELECT 1 FROM {table} AS i INDEXED BY {index} \
                     WHERE i.name = t.name AND +i.id = t.id) LIMIT 1"
            );
            let name = self.connection.prepare(&sql)?.query_row([], |row| row.get(0)).optional()?;
            if let Some(name) = name {
                return Ok(Some(Misled::Name { table, name }));
            }
            let (entries, rows) = self.two(&format!(
                "SELECT (SELECT count(*) FROM {table} INDEXED BY {index}), \
                 (SELECT count(*) FROM {table} NOT INDEXED)"
            ))?;
            if entries != rows {
                return Ok(Some(Misled::Names { table, entries, rows }));
            }
        }
        Ok(None)
    }

    /// Two numbers of one moment: a server may be writing.
    fn two(&self, sql: &str) -> Result<(u64, u64), StorageError> {
        let two = self.connection.prepare(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
        let (one, other): (i64, i64) = two?;
        Ok((one as u64, other as u64))
    }
}
