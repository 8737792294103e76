//! Reading: connections of their own, on threads that may block.

use std::sync::Arc;

use bytes::Bytes;
use domain::Time;
use parking_lot::Mutex;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::error::StorageError;
use super::file::LogFile;
use super::names::Names;
use crate::log::{ChainHash, Position, Record};

/// Records read in one read transaction. A transaction that lasts keeps the write-ahead log from
/// being used from its start again, and records never change, so long reads are done in pieces.
const PIECE: usize = 8192;

/// A few connections, made when first needed.
#[derive(Debug)]
pub(super) struct Readers {
    file: LogFile,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
    names: Names,
}

impl Readers {
    pub(super) fn new(file: LogFile, connections: usize) -> Self {
        Self {
            file,
            idle: Mutex::default(),
            free: Arc::new(Semaphore::new(connections.max(1))),
            names: Names::default(),
        }
    }

    /// Runs `read` where it may block. Fails when the readers are closed.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(Reader<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let free = Arc::clone(&self.free).acquire_owned();
        let connection = free.await.map_err(|_| StorageError::Closed)?;
        let readers = Arc::clone(self);
        let read = move || {
            // Kept until the read has ended, also when nobody waits for it any more.
            let _connection = connection;
            readers.read(read)
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| StorageError::Stopped)?
    }

    fn read<T>(
        &self,
        read: impl FnOnce(Reader<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.file.connect_reader()?,
        };
        let outcome = read(Reader { connection: &connection, names: &self.names })?;
        // After a failure the connection is not used again. After closing it is not kept.
        if !self.free.is_closed() {
            self.idle.lock().push(connection);
        }
        Ok(outcome)
    }

    /// Refuses further reads and closes what is idle.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().clear();
    }
}

/// One connection for the time of one read.
pub(super) struct Reader<'a> {
    connection: &'a Connection,
    names: &'a Names,
}

const COLUMNS: &str = "position, stream, revision, id, kind, version, at, metadata, data, hash";

impl Reader<'_> {
    pub(super) fn head(&self) -> Result<Position, StorageError> {
        head(self.connection)
    }

    pub(super) fn all(&self, after: Position, limit: usize) -> Result<Vec<Record>, StorageError> {
        let sql =
            format!("SELECT {COLUMNS} FROM records WHERE position > ?1 ORDER BY position LIMIT ?2");
        let mut records: Vec<Record> = Vec::new();
        self.pieces(limit, &mut records, |records, piece| {
            let after = records.last().map_or(after, |last: &Record| last.position);
            self.append_rows(&sql, &[stored(after.0), piece], records)
        })?;
        Ok(records)
    }

    pub(super) fn stream(
        &self,
        name: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let id: Option<i64> = self
            .connection
            .prepare_cached("SELECT id FROM streams WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        let mut records: Vec<Record> = Vec::new();
        let Some(id) = id else { return Ok(records) };
        let sql = format!(
            "SELECT {COLUMNS} FROM records WHERE stream = ?1 AND revision >= ?2 \
             ORDER BY revision LIMIT ?3"
        );
        self.pieces(limit, &mut records, |records, piece| {
            let from = records.last().map_or(from, |last: &Record| last.revision + 1);
            self.append_rows(&sql, &[id, stored(from), piece], records)
        })?;
        Ok(records)
    }

    fn pieces(
        &self,
        limit: usize,
        records: &mut Vec<Record>,
        mut read: impl FnMut(&mut Vec<Record>, i64) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        loop {
            let before = records.len();
            let piece = PIECE.min(limit - before);
            read(records, piece as i64)?;
            if records.len() - before < piece || records.len() == limit {
                return Ok(());
            }
        }
    }

    fn append_rows(
        &self,
        sql: &str,
        parameters: &[i64],
        records: &mut Vec<Record>,
    ) -> Result<(), StorageError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut stream: Option<(i64, Arc<str>)> = None;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(1)?;
            // Neighbours are often of one stream.
            let name = match &stream {
                Some((known, name)) if *known == id => name.clone(),
                _ => stream.insert((id, self.names.stream(self.connection, id)?)).1.clone(),
            };
            let kind = self.names.kind(self.connection, row.get(4)?)?;
            records.push(record(row, name, kind)?);
        }
        Ok(())
    }
}

/// Position of the last record; zero for an empty log.
pub(super) fn head(connection: &Connection) -> Result<Position, StorageError> {
    let position: i64 = connection
        .prepare_cached("SELECT ifnull(max(position), 0) FROM records")?
        .query_row([], |row| row.get(0))?;
    Ok(Position(position as u64))
}

/// As SQLite stores it. What is larger than the largest stored number is larger than all of them.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn record(row: &Row<'_>, stream: Arc<str>, kind: Arc<str>) -> Result<Record, StorageError> {
    let position = Position(row.get::<_, i64>(0)? as u64);
    let damaged = |what| StorageError::Damaged { position, what };
    let text = |column, what| match row.get_ref(column) {
        Ok(ValueRef::Text(text)) => Ok(text),
        _ => Err(damaged(what)),
    };
    Ok(Record {
        position,
        stream,
        revision: row.get::<_, i64>(2)? as u64,
        id: Uuid::from_bytes(blob(row, 3).ok_or_else(|| damaged("its id is not 16 bytes"))?),
        kind,
        version: row.get(5).map_err(|_| damaged("its version is out of range"))?,
        at: Time::from_ms(row.get(6)?),
        metadata: std::str::from_utf8(text(7, "its metadata is not text")?)
            .map_err(|_| damaged("its metadata is not UTF-8"))?
            .to_owned(),
        data: Bytes::copy_from_slice(text(8, "its data is not text")?),
        hash: ChainHash(blob(row, 9).ok_or_else(|| damaged("its hash is not 32 bytes"))?),
    })
}

fn blob<const N: usize>(row: &Row<'_>, column: usize) -> Option<[u8; N]> {
    row.get_ref(column).ok()?.as_blob().ok()?.try_into().ok()
}
