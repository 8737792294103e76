//! One transaction for all appends that wait: decided, written, made durable together.

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, ToSql};
use uuid::Uuid;

use super::error::StorageError;
use super::file::LogFile;
use super::readers::{head, stored};
use crate::log::chain::Link;
use crate::log::{AppendError, Appended, ChainHash, Expected, NewRecord, Position};

/// When more heads are known they are all forgotten: they can be read again.
const HEADS_KEPT: usize = 200_000;

/// One call of `append`, on its way to the file.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) stream: String,
    pub(super) expected: Expected,
    pub(super) records: Vec<NewRecord>,
}

impl Append {
    /// Bytes of data and metadata.
    pub(super) fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len() + record.metadata.len()).sum()
    }
}

/// The only writer of this process: its connection, and what it knows of the file.
#[derive(Debug)]
pub(super) struct Committer {
    connection: Connection,
    known: Known,
}

/// True as long as nobody else writes and no transaction fails.
#[derive(Debug, Default)]
struct Known {
    /// Changes when another connection has written.
    data_version: Option<i64>,
    last: Position,
    heads: HashMap<String, Head>,
    kinds: HashMap<&'static str, i64>,
}

/// The end of a stream.
#[derive(Debug, Clone, Copy)]
struct Head {
    stream: i64,
    revision: u64,
    hash: ChainHash,
    id: Uuid,
}

type Outcome = Result<Appended, AppendError>;

/// A transaction that did not come about.
enum Failure {
    /// Nothing of it can be in the file.
    Before(StorageError),
    /// Syncing or writing its last page failed: a crash now may leave it in the file.
    Committing(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Before(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Before(error.into())
    }
}

impl Committer {
    pub(super) fn open(file: &LogFile) -> Result<Self, StorageError> {
        let connection = file.connect()?;
        connection.execute_batch("PRAGMA cache_size = -32768;")?;
        Ok(Self { connection, known: Known::default() })
    }

    /// For checkpoints by the writer itself.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Position of the last record this writer knows of.
    pub(super) fn last(&self) -> Position {
        self.known.last
    }

    /// Answers each append, in order. All that succeeded are durable; one that was refused
    /// changed nothing for the others.
    pub(super) fn commit(&mut self, appends: &[Append]) -> Vec<Outcome> {
        match self.transact(appends) {
            Ok(outcomes) => outcomes,
            Err(failure) => {
                self.roll_back();
                self.after(failure, appends)
            }
        }
    }

    fn transact(&mut self, appends: &[Append]) -> Result<Vec<Outcome>, Failure> {
        let Self { connection, known } = self;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        known.refresh(connection)?;
        let mut insert = connection.prepare_cached(INSERT)?;
        let outcomes = appends
            .iter()
            .map(|append| known.append(connection, &mut insert, append))
            .collect::<Result<_, _>>()?;
        drop(insert);
        connection
            .prepare_cached("COMMIT")?
            .execute([])
            .map_err(|error| commit_failure(error.into()))?;
        Ok(outcomes)
    }

    fn roll_back(&mut self) {
        self.known = Known::default();
        // Many failures have ended the transaction already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot roll back");
        }
    }

    fn after(&mut self, failure: Failure, appends: &[Append]) -> Vec<Outcome> {
        let (error, known_lost) = match failure {
            // One of them may be at fault: it must not fail the others.
            Failure::Before(error) if appends.len() > 1 && is_of_one_append(&error) => {
                return appends.chunks(1).flat_map(|one| self.commit(one)).collect();
            }
            Failure::Before(error) => (error, true),
            Failure::Committing(error) => (error, self.settle()),
        };
        tracing::error!(
            error = &error as &dyn std::error::Error,
            appends = appends.len(),
            "the log could not be written"
        );
        let refuse = |_| {
            let source = Box::new(error.clone());
            Err(match known_lost {
                true => AppendError::Unavailable(source),
                false => AppendError::OutcomeUnknown(source),
            })
        };
        appends.iter().map(refuse).collect()
    }

    /// Pages of a failed commit may lie behind the end of the write-ahead log, whole, and would be
    /// taken for committed after a crash. A transaction written in their place makes it certain
    /// that they are not. Tells whether it is certain.
    fn settle(&mut self) -> bool {
        self.connection.execute("UPDATE log SET settled = settled + 1", []).is_ok()
    }
}

/// A full disk is found before the last page is written, and without that page there is nothing to
/// find after a crash. Of other failures we cannot tell.
fn commit_failure(error: StorageError) -> Failure {
    match error {
        StorageError::Full(_) | StorageError::Locked(_) => Failure::Before(error),
        _ => Failure::Committing(error),
    }
}

/// Whether another append could succeed where this failed.
fn is_of_one_append(error: &StorageError) -> bool {
    [ErrorCode::ConstraintViolation, ErrorCode::TooBig, ErrorCode::TypeMismatch]
        .into_iter()
        .any(|code| error.is(code))
}

const INSERT: &str = "INSERT INTO records \
    (position, stream, revision, id, kind, version, at, metadata, data, hash) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Where an append goes.
enum Place {
    /// Behind the end of the stream.
    End,
    /// It is there already.
    Done(Appended),
    /// Not where the writer believed.
    Wrong,
}

impl Known {
    /// Forgets what may be out of date. Called inside the transaction, when nobody else can write.
    fn refresh(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let version: i64 =
            connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.data_version != Some(version) {
            *self = Self { data_version: Some(version), ..Self::default() };
            self.last = head(connection)?;
        } else if self.heads.len() >= HEADS_KEPT {
            self.heads.clear();
        }
        Ok(())
    }

    fn append(
        &mut self,
        connection: &Connection,
        insert: &mut CachedStatement<'_>,
        append: &Append,
    ) -> Result<Outcome, StorageError> {
        let head = self.head(connection, &append.stream)?;
        Ok(match place(connection, head.as_ref(), append)? {
            Place::Done(appended) => Ok(appended),
            Place::Wrong => {
                Err(AppendError::WrongRevision { actual: head.map(|head| head.revision) })
            }
            Place::End => Ok(self.extend(connection, insert, head, append)?),
        })
    }

    fn head(&mut self, c: &Connection, stream: &str) -> Result<Option<Head>, StorageError> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(Some(*head));
        }
        let sql = "SELECT stream, revision, hash, r.id \
             FROM streams s JOIN records r ON r.stream = s.id \
             WHERE s.name = ?1 ORDER BY revision DESC LIMIT 1";
        let head = c
            .prepare_cached(sql)?
            .query_row([stream], |row| {
                Ok(Head {
                    stream: row.get(0)?,
                    revision: row.get::<_, i64>(1)? as u64,
                    hash: ChainHash(row.get(2)?),
                    id: Uuid::from_bytes(row.get(3)?),
                })
            })
            .optional()?;
        if let Some(head) = head {
            self.heads.insert(stream.to_owned(), head);
        }
        Ok(head)
    }

    fn extend(
        &mut self,
        connection: &Connection,
        insert: &mut CachedStatement<'_>,
        head: Option<Head>,
        append: &Append,
    ) -> Result<Appended, StorageError> {
        let (stream, mut revision, mut hash) = match head {
            Some(head) => (head.stream, head.revision + 1, head.hash),
            None => {
                let name = &append.stream;
                let id = number(connection, "streams", name)?;
                (id, 0, ChainHash::before_first(name))
            }
        };
        for record in &append.records {
            let kind = self.kind(connection, record.kind)?;
            self.last.0 += 1;
            hash = link(record, revision).hash(hash);
            write(insert, self.last, stream, revision, kind, record, hash)?;
            revision += 1;
        }
        let revision = revision - 1;
        let id = append.records.last().map_or(Uuid::nil(), |record| record.id);
        let head = Head { stream, revision, hash, id };
        match self.heads.get_mut(&append.stream) {
            Some(known) => *known = head,
            None => {
                self.heads.insert(append.stream.clone(), head);
            }
        }
        Ok(Appended { revision, position: self.last, contiguous: true })
    }

    fn kind(&mut self, connection: &Connection, kind: &'static str) -> Result<i64, StorageError> {
        if let Some(id) = self.kinds.get(kind) {
            return Ok(*id);
        }
        let id = number(connection, "kinds", kind)?;
        self.kinds.insert(kind, id);
        Ok(id)
    }
}

fn place(
    connection: &Connection,
    head: Option<&Head>,
    append: &Append,
) -> Result<Place, StorageError> {
    let count = append.records.len() as u64;
    let length = head.map_or(0, |head| head.revision + 1);
    let first = match append.expected {
        Expected::NoStream => 0,
        Expected::Revision(last) => last.saturating_add(1),
        Expected::Any => {
            // Only a stream that ends with the same record can end with the same records.
            let same_end = match (head, append.records.last()) {
                (Some(head), Some(last)) => head.id == last.id && count <= length,
                _ => false,
            };
            if !same_end {
                return Ok(Place::End);
            }
            length - count
        }
    };
    if first == length && append.expected != Expected::Any {
        return Ok(Place::End);
    }
    Ok(match head {
        Some(head) if first.saturating_add(count) <= length => {
            match already_there(connection, head, first, append)? {
                Some(appended) => Place::Done(appended),
                None if append.expected == Expected::Any => Place::End,
                None => Place::Wrong,
            }
        }
        _ => Place::Wrong,
    })
}

/// Where the records of the append are, if the stream has exactly them from revision `first`.
fn already_there(
    connection: &Connection,
    head: &Head,
    first: u64,
    append: &Append,
) -> Result<Option<Appended>, StorageError> {
    let sql = "SELECT id, position FROM records WHERE stream = ?1 AND revision >= ?2 \
         ORDER BY revision LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let count = append.records.len();
    let mut rows = statement.query([head.stream, stored(first), count as i64])?;
    let (mut start, mut end) = (None, Position(0));
    for record in &append.records {
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get::<_, [u8; 16]>(0)? != *record.id.as_bytes() {
            return Ok(None);
        }
        end = Position(row.get::<_, i64>(1)? as u64);
        start.get_or_insert(end);
    }
    let contiguous = start.is_none_or(|start| end.0 - start.0 + 1 == count as u64);
    Ok(Some(Appended { revision: first + count as u64 - 1, position: end, contiguous }))
}

fn link(record: &NewRecord, revision: u64) -> Link<'_> {
    Link {
        id: record.id,
        kind: record.kind,
        version: record.version,
        revision,
        at: record.at,
        metadata: &record.metadata,
        data: &record.data,
    }
}

fn write(
    insert: &mut CachedStatement<'_>,
    position: Position,
    stream: i64,
    revision: u64,
    kind: i64,
    record: &NewRecord,
    hash: ChainHash,
) -> Result<(), StorageError> {
    insert.raw_bind_parameter(1, stored(position.0))?;
    insert.raw_bind_parameter(2, stream)?;
    insert.raw_bind_parameter(3, stored(revision))?;
    insert.raw_bind_parameter(4, record.id.as_bytes())?;
    insert.raw_bind_parameter(5, kind)?;
    insert.raw_bind_parameter(6, record.version)?;
    insert.raw_bind_parameter(7, record.at.as_ms())?;
    insert.raw_bind_parameter(8, record.metadata.as_str())?;
    insert.raw_bind_parameter(9, Text(&record.data))?;
    insert.raw_bind_parameter(10, hash.0)?;
    insert.raw_execute()?;
    Ok(())
}

/// Bytes that were found to be UTF-8.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// The number of a name, given now if it has none.
fn number(connection: &Connection, table: &str, name: &str) -> Result<i64, StorageError> {
    let known = connection
        .prepare_cached(&format!("SELECT id FROM {table} WHERE name = ?1"))?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached(&format!("INSERT INTO {table} (name) VALUES (?1)"))?
        .execute([name])?;
    Ok(connection.last_insert_rowid())
}
