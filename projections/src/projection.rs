//! What a projection is: a pure function from records to row changes.

use async_trait::async_trait;
use domain::{Fact, FactError};
use infra::log::Record;
use sqlx::PgConnection;

/// Builds one view from the log.
pub trait Projection: Send + Sync + 'static {
    /// The view's name, which is that of its schema.
    fn name(&self) -> &'static str;

    /// Grows when the same records give other rows than before: the view is then built again.
    fn version(&self) -> i32;

    /// Whether the record can change the view; false for those that need not be read at all.
    fn wants(&self, record: &Record) -> bool;

    /// Whether its writes find rows by their primary key alone. A rebuild then makes the other
    /// indexes at the end, which costs less.
    fn is_written_by_key(&self) -> bool {
        false
    }

    /// What the records, all of them wanted, change. In one batch or one by one: the rows are the
    /// same.
    ///
    /// # Errors
    /// A record is not a fact this program knows.
    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError>;
}

/// Changes of a view's rows.
#[async_trait]
pub trait Changes: Send + Sync {
    /// Writes them, all rows of a table with one statement. Tables are named without their schema:
    /// the connection's `search_path` says which copy is meant.
    ///
    /// # Errors
    /// The database refuses, or the rows that change are not there.
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError>;
}

/// Why changes cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database says no.
    #[error("the database refuses the change")]
    Sql(#[from] sqlx::Error),
    /// The log speaks of something that it never introduced.
    #[error("{missing} rows of {table} that change are not there")]
    Missing {
        /// Of which table.
        table: &'static str,
        /// How many.
        missing: u64,
    },
}

impl WriteError {
    /// Refuses if fewer rows of `table` were changed than there are changes.
    pub(crate) fn unless_all(
        table: &'static str,
        changes: usize,
        changed: u64,
    ) -> Result<(), Self> {
        match (changes as u64).checked_sub(changed) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(Self::Missing { table, missing }),
        }
    }
}

/// The fact in a record; `None` when its stream is none of ours.
pub(crate) fn decode(record: &Record) -> Result<Option<Fact>, FactError> {
    Fact::decode(&record.stream, &record.kind, record.version, &record.data)
}

/// The category of a stream: what is before the first dash of its name.
pub(crate) fn category(record: &Record) -> &str {
    record.stream.split_once('-').map_or("", |(category, _)| category)
}
