//! What the writer knows of the file, and where by that knowledge an append goes.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql};
use uuid::Uuid;

use super::commit::{Append, Outcome};
use super::error::StorageError;
use super::positions::{self, FORWARDS, Latest};
use super::readers::{head, stored};
use crate::log::chain::Link;
use crate::log::{AppendError, Appended, ChainHash, Expected, NewRecord, Position, Record};

/// When more heads are known they are all forgotten: they can be read again.
const HEADS_KEPT: usize = 200_000;

/// The same for kinds: the product has few, but others may give any.
const KINDS_KEPT: usize = 10_000;

/// True as long as nobody else writes and no transaction fails.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Changes when another connection has written.
    data_version: Option<i64>,
    last: Position,
    latest: Latest,
    heads: HashMap<Arc<str>, Head>,
    kinds: HashMap<Arc<str>, Kind>,
}

/// The end of a stream.
#[derive(Debug, Clone, Copy)]
struct Head {
    stream: i64,
    revision: u64,
    hash: ChainHash,
    id: Uuid,
}

impl Head {
    fn at(connection: &Connection, stream: i64, last: Position) -> Result<Self, StorageError> {
        let sql = "SELECT revision, hash, id FROM records WHERE position = ?1 AND stream = ?2";
        connection
            .prepare_cached(sql)?
            .query_row([stored(last.0), stream], |row| {
                Ok(Self {
                    stream,
                    revision: row.get::<_, i64>(0)? as u64,
                    hash: ChainHash(row.get(1)?),
                    id: Uuid::from_bytes(row.get(2)?),
                })
            })
            .optional()?
            .ok_or(StorageError::Damaged {
                position: last,
                what: "it is not where its stream ends",
            })
    }
}

#[derive(Debug, Clone)]
struct Kind {
    number: i64,
    name: Arc<str>,
}

/// A transaction under way.
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
    insert: CachedStatement<'a>,
    insert_position: CachedStatement<'a>,
    /// What it has written.
    pub(super) records: Vec<Record>,
}

const INSERT: &str = "INSERT INTO records \
    (position, stream, revision, id, kind, version, at, metadata, data, hash) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// What the trigger does for others.
const INSERT_POSITION: &str =
    "INSERT INTO latest_positions (position, stream, revision) VALUES (?1, ?2, ?3)";

impl<'a> Transaction<'a> {
    pub(super) fn begin(connection: &'a Connection) -> Result<Self, StorageError> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let insert = connection.prepare_cached(INSERT)?;
        let insert_position = connection.prepare_cached(INSERT_POSITION)?;
        Ok(Self { connection, insert, insert_position, records: Vec::new() })
    }

    fn write(&mut self, stream: i64, kind: i64, record: Record) -> Result<(), StorageError> {
        let (position, revision) = (stored(record.position.0), stored(record.revision));
        let insert = &mut self.insert;
        insert.raw_bind_parameter(1, position)?;
        insert.raw_bind_parameter(2, stream)?;
        insert.raw_bind_parameter(3, revision)?;
        insert.raw_bind_parameter(4, record.id.as_bytes())?;
        insert.raw_bind_parameter(5, kind)?;
        insert.raw_bind_parameter(6, record.version)?;
        insert.raw_bind_parameter(7, record.at.as_ms())?;
        insert.raw_bind_parameter(8, &*record.metadata)?;
        insert.raw_bind_parameter(9, Text(&record.data))?;
        insert.raw_bind_parameter(10, record.hash.0)?;
        insert.raw_execute()?;
        self.insert_position.execute([position, stream, revision])?;
        self.records.push(record);
        Ok(())
    }
}

/// Bytes that were found to be UTF-8.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

impl Known {
    /// Forgets what may be out of date. To be called at the beginning of the transaction, in which
    /// nobody else can write.
    pub(super) fn refresh(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let version: i64 =
            connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.data_version != Some(version) {
            *self = Self { data_version: Some(version), ..Self::default() };
            self.last = head(connection)?;
            self.latest = Latest::of(connection)?;
            return Ok(());
        }
        if self.heads.len() >= HEADS_KEPT {
            self.heads.clear();
        }
        if self.kinds.len() >= KINDS_KEPT {
            self.kinds.clear();
        }
        Ok(())
    }

    /// Makes room for what comes, at the end of a transaction.
    pub(super) fn put_in_order(&mut self, connection: &Connection) -> Result<(), StorageError> {
        self.latest.put_in_order(connection)
    }

    /// Decides one append, and writes it if it is to be written.
    pub(super) fn append(
        &mut self,
        transaction: &mut Transaction<'_>,
        append: &Append,
    ) -> Result<Outcome, StorageError> {
        let head = self.head(transaction.connection, &append.stream)?;
        let at_end = match place(append, head.as_ref()) {
            Place::End => true,
            Place::Wrong => false,
            Place::MaybeThere { stream, first } => {
                let there = already_there(transaction.connection, stream, first, append)?;
                if let Some(appended) = there {
                    return Ok(Ok(appended));
                }
                append.expected == Expected::Any
            }
        };
        if at_end {
            return Ok(Ok(self.extend(transaction, head, append)?));
        }
        Ok(Err(AppendError::WrongRevision { actual: head.map(|head| head.revision) }))
    }

    fn head(&mut self, c: &Connection, stream: &Arc<str>) -> Result<Option<Head>, StorageError> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(Some(*head));
        }
        let sql = "SELECT id FROM streams WHERE name = ?1";
        let known = c.prepare_cached(sql)?.query_row([stream], |row| row.get(0)).optional()?;
        let Some(number) = known else { return Ok(None) };
        let head = positions::last(c, number)?.map(|last| Head::at(c, number, last)).transpose()?;
        if let Some(head) = head {
            self.heads.insert(Arc::clone(stream), head);
        }
        Ok(head)
    }

    fn extend(
        &mut self,
        transaction: &mut Transaction<'_>,
        head: Option<Head>,
        append: &Append,
    ) -> Result<Appended, StorageError> {
        let stream = &append.stream;
        let (number, next, before) = match head {
            Some(head) => (head.stream, head.revision + 1, head.hash),
            None => {
                let number = number(transaction.connection, "streams", stream)?;
                (number, 0, ChainHash::before_first(stream))
            }
        };
        let mut head = Head { stream: number, revision: next, hash: before, id: Uuid::nil() };
        for (revision, new) in (next..).zip(&append.records) {
            let kind = self.kind(transaction.connection, &new.kind)?;
            self.last.0 += 1;
            let hash = link(new, revision).hash(head.hash);
            let record = record(new, stream, revision, &kind.name, self.last, hash);
            transaction.write(number, kind.number, record)?;
            head = Head { stream: number, revision, hash, id: new.id };
        }
        self.latest.add(append.records.len());
        let revision = head.revision;
        match self.heads.get_mut(stream) {
            Some(known) => *known = head,
            None => {
                self.heads.insert(Arc::clone(stream), head);
            }
        }
        Ok(Appended { revision, position: self.last, contiguous: true })
    }

    fn kind(&mut self, connection: &Connection, kind: &str) -> Result<Kind, StorageError> {
        if let Some(kind) = self.kinds.get(kind) {
            return Ok(kind.clone());
        }
        let name: Arc<str> = Arc::from(kind);
        let known = Kind { number: number(connection, "kinds", kind)?, name: Arc::clone(&name) };
        self.kinds.insert(name, known.clone());
        Ok(known)
    }
}

/// Where an append goes.
enum Place {
    /// Behind the end of the stream.
    End,
    /// There are records where it would be; they may be its own.
    MaybeThere { stream: i64, first: u64 },
    /// Not where the writer believed.
    Wrong,
}

fn place(append: &Append, head: Option<&Head>) -> Place {
    let count = append.records.len() as u64;
    let length = head.map_or(0, |head| head.revision + 1);
    let first = match append.expected {
        Expected::NoStream => 0,
        Expected::Revision(last) => last.saturating_add(1),
        Expected::Any => {
            // Only a stream that ends with the same record can end with the same records.
            let same_end = head.map(|head| head.id) == append.records.last().map(|last| last.id);
            if same_end { length.saturating_sub(count) } else { length }
        }
    };
    match head {
        _ if first == length => Place::End,
        Some(head) if first.saturating_add(count) <= length => {
            Place::MaybeThere { stream: head.stream, first }
        }
        _ if append.expected == Expected::Any => Place::End,
        _ => Place::Wrong,
    }
}

/// Where the records of the append are, if the stream has exactly them from revision `first`.
fn already_there(
    connection: &Connection,
    stream: i64,
    first: u64,
    append: &Append,
) -> Result<Option<Appended>, StorageError> {
    let sql = format!(
        "SELECT r.id, r.position FROM ({FORWARDS}) AS p CROSS JOIN records AS r USING (position)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let count = append.records.len() as u64;
    let mut rows = statement.query([stream, stored(first), stored(count)])?;
    let (mut start, mut end) = (None, Position(0));
    for record in &append.records {
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get::<_, [u8; 16]>(0)? != *record.id.as_bytes() {
            return Ok(None);
        }
        end = Position(row.get::<_, i64>(1)? as u64);
        start.get_or_insert(end);
    }
    let contiguous = start.is_none_or(|start| end.0 - start.0 + 1 == count);
    Ok(Some(Appended { revision: first + count - 1, position: end, contiguous }))
}

fn link(record: &NewRecord, revision: u64) -> Link<'_> {
    Link {
        id: record.id,
        kind: &record.kind,
        version: record.version,
        revision,
        at: record.at,
        metadata: &record.metadata,
        data: &record.data,
    }
}

fn record(
    new: &NewRecord,
    stream: &Arc<str>,
    revision: u64,
    kind: &Arc<str>,
    position: Position,
    hash: ChainHash,
) -> Record {
    Record {
        position,
        stream: Arc::clone(stream),
        revision,
        id: new.id,
        kind: Arc::clone(kind),
        version: new.version,
        at: new.at,
        metadata: new.metadata.clone(),
        data: new.data.clone(),
        hash,
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
