//! Reading: connections of their own, on threads that may block.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_util::task::AbortOnDropHandle;

use super::error::{Damage, StorageError};
use super::file::LogFile;
use super::names::Names;
use super::positions::{BACKWARDS, FORWARDS, PLACE};
use super::rows::{COLUMNS, Decoder};
use crate::log::chain::Link;
use crate::log::{ChainHash, Position, Record};

/// Records read in one read transaction. A transaction that lasts keeps the write-ahead log from
/// being used from its start again, and records never change, so long reads are done in pieces.
const PIECE: usize = 8192;

/// For so many room is made beforehand at most.
const MOST_AT_ONCE: usize = 65_536;

/// A few connections, made when first needed.
#[derive(Debug)]
pub(super) struct Readers {
    file: LogFile,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
    names: Names,
    damage: Damage,
}

impl Readers {
    pub(super) fn new(file: LogFile, connections: usize, damage: Damage) -> Self {
        Self {
            file,
            idle: Mutex::default(),
            free: Arc::new(Semaphore::new(connections.max(1))),
            names: Names::default(),
            damage,
        }
    }

    /// Runs `read` where it may block. Fails when the readers are closed.
    ///
    /// It gets on also while nobody looks at the future. Whoever reads to fill the views, and then
    /// waits for the database before asking on, would else keep a connection that was given to it
    /// meanwhile, and all that sells would wait for the database too.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(Reader<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        match Arc::clone(&self.free).try_acquire_owned() {
            Ok(connection) => Arc::clone(self).run_on(connection, read).await,
            Err(TryAcquireError::Closed) => Err(StorageError::Closed),
            Err(TryAcquireError::NoPermits) => {
                let readers = Arc::clone(self);
                let waiting = tokio::spawn(async move {
                    let free = Arc::clone(&readers.free).acquire_owned();
                    let connection = free.await.map_err(|_| StorageError::Closed)?;
                    readers.run_on(connection, read).await
                });
                AbortOnDropHandle::new(waiting).await.map_err(|_| StorageError::Stopped)?
            }
        }
    }

    async fn run_on<T: Send + 'static>(
        self: Arc<Self>,
        connection: OwnedSemaphorePermit,
        read: impl FnOnce(Reader<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let read = move || {
            // Kept until the read has ended, also when nobody waits for it any more.
            let _connection = connection;
            self.read(read)
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| StorageError::Stopped)?
    }

    /// Runs `read` on this thread.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(Reader<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.file.connect_reader()?,
        };
        let outcome = read(Reader { connection: &connection, names: &self.names });
        let outcome = outcome.inspect_err(|error| self.damage.note(error))?;
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
    pub(super) connection: &'a Connection,
    names: &'a Names,
}

impl Reader<'_> {
    pub(super) fn head(&self) -> Result<Position, StorageError> {
        head(self.connection)
    }

    /// Whether any stream's name begins so.
    pub(super) fn has_stream(&self, beginning: &str) -> Result<bool, StorageError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM streams \
             WHERE name >= ?1 AND name < ?1 || char(0x10FFFF))";
        Ok(self.connection.prepare_cached(sql)?.query_row([beginning], |row| row.get(0))?)
    }

    /// Reads the pages of some records after `after`, and sees that their streams lead to them; the
    /// position of the last one, if there is one.
    pub(super) fn touch(&self, after: Position) -> Result<Option<Position>, StorageError> {
        let sql = "SELECT max(position), total(length(metadata) + length(data)) FROM \
             (SELECT position, metadata, data FROM records WHERE position > ?1 \
              ORDER BY position LIMIT ?2)";
        let last: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([stored(after.0), PIECE as i64], |row| row.get(0))?;
        let last = last.map(|last| Position(last as u64));
        match last.map(|last| self.misled(after, last)).transpose()?.flatten() {
            None => Ok(last),
            Some(position) => {
                let what = "the index of its stream does not lead to it";
                Err(StorageError::Damaged { position, what })
            }
        }
    }

    pub(super) fn all(&self, after: Position, limit: usize) -> Result<Vec<Record>, StorageError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM records r WHERE position > ?1 ORDER BY position LIMIT ?2"
        );
        let mut records: Vec<Record> = Vec::new();
        self.pieces(limit, &mut records, |records, piece| {
            let after = records.last().map_or(after, |last: &Record| last.position);
            self.append_rows(&sql, &[stored(after.0), piece], records)
        })?;
        Ok(records)
    }

    /// With every hash and revision checked.
    pub(super) fn stream(
        &self,
        name: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let Some(id) = self.stream_id(name)? else { return Ok(vec![]) };
        let Some(before) = from.checked_sub(1) else {
            let mut chain = Chain { revision: 0, previous: Some(ChainHash::before_first(name)) };
            return self.stream_forwards(id, 0, limit, |records| chain.follow(records));
        };
        // What the first one is chained to is read with it: asked for by itself it could be missing
        // at that moment, and be written together with the first one before that is read.
        let mut chain = Chain { revision: before, previous: None };
        let limit = limit.saturating_add(1);
        let mut records =
            self.stream_forwards(id, before, limit, |records| chain.follow(records))?;
        records.drain(..records.len().min(1));
        Ok(records)
    }

    /// With nothing checked.
    pub(super) fn stream_as_is(
        &self,
        name: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let Some(id) = self.stream_id(name)? else { return Ok(vec![]) };
        self.stream_forwards(id, from, limit, |_| Ok(()))
    }

    fn stream_forwards(
        &self,
        id: i64,
        from: u64,
        limit: usize,
        mut check: impl FnMut(&[Record]) -> Result<(), StorageError>,
    ) -> Result<Vec<Record>, StorageError> {
        let sql = in_stream(FORWARDS);
        let mut records: Vec<Record> = Vec::new();
        self.pieces(limit, &mut records, |records, piece| {
            let from = records.last().map_or(from, |last: &Record| last.revision + 1);
            let before = records.len();
            if !self.append_neighbours(id, from, piece, records)? {
                self.append_rows(&sql, &[id, stored(from), piece], records)?;
            }
            check(&records[before..])
        })?;
        Ok(records)
    }

    /// Appends as many records of a stream as `piece` says, if they are there and most records between
    /// the first and the last of them are of that stream, as when one event sells: to read all those is
    /// less work than to look each up. Whether it did.
    fn append_neighbours(
        &self,
        id: i64,
        from: u64,
        piece: i64,
        records: &mut Vec<Record>,
    ) -> Result<bool, StorageError> {
        // Of few records it is not worth a question.
        if piece < PIECE as i64 {
            return Ok(false);
        }
        let mut place = self.connection.prepare_cached(PLACE)?;
        let mut place = |revision: i64| -> Result<Option<i64>, StorageError> {
            Ok(place.query_row([id, revision], |row| row.get(0)).optional()?)
        };
        let (Some(first), Some(last)) =
            (place(stored(from))?, place(stored(from).saturating_add(piece - 1))?)
        else {
            return Ok(false);
        };
        if last - first >= 2 * piece {
            return Ok(false);
        }
        let before = records.len();
        self.append_rows(&BETWEEN, &[first, last, id], records)?;
        let is_all = records.len() - before == piece as usize;
        if !is_all {
            // The positions tell what is wrong.
            records.truncate(before);
        }
        Ok(is_all)
    }

    /// Like [`Self::all`], from the record before `before` towards the beginning.
    pub(super) fn all_before(
        &self,
        before: Position,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM records r WHERE position < ?1 ORDER BY position DESC LIMIT ?2"
        );
        let mut records: Vec<Record> = Vec::new();
        self.pieces(limit, &mut records, |records, piece| {
            let before = records.last().map_or(before, |last: &Record| last.position);
            self.append_rows(&sql, &[stored(before.0), piece], records)
        })?;
        Ok(records)
    }

    /// Like [`Self::stream`], from revision `from` towards the beginning.
    pub(super) fn stream_back(
        &self,
        name: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let mut records: Vec<Record> = Vec::new();
        let Some(id) = self.stream_id(name)? else { return Ok(records) };
        let sql = in_stream(BACKWARDS);
        self.pieces(limit, &mut records, |records, piece| {
            // Before revision 0 there is nothing.
            let from = records.last().map_or(stored(from), |last| stored(last.revision) - 1);
            self.append_rows(&sql, &[id, from, piece], records)
        })?;
        Ok(records)
    }

    fn stream_id(&self, name: &str) -> Result<Option<i64>, StorageError> {
        let mut statement =
            self.connection.prepare_cached("SELECT id FROM streams WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
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
            if before == PIECE {
                // Whoever has read so much reads a long stream, most likely to their limit.
                records.reserve_exact(limit.min(MOST_AT_ONCE).saturating_sub(before));
            }
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
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut decoder = Decoder::new(self.connection, self.names);
        while let Some(row) = rows.next()? {
            records.push(decoder.record(row)?);
        }
        Ok(())
    }
}

/// The end of a stream as it was read so far. What is decided on has to be what was written: nobody
/// decides on a record that was altered, or on a stream that has a gap.
struct Chain {
    /// Of the next record.
    revision: u64,
    /// Of the record before it; if that was not read, the next one's is taken as it is.
    previous: Option<ChainHash>,
}

impl Chain {
    fn follow(&mut self, records: &[Record]) -> Result<(), StorageError> {
        for record in records {
            let position = record.position;
            if record.revision != self.revision {
                let what = "records of its stream are missing, doubled or out of order before it";
                return Err(StorageError::Damaged { position, what });
            }
            let is_chained = |previous| Link::from(record).hash(previous) == record.hash;
            if !self.previous.is_none_or(is_chained) {
                let what = "its hash does not follow from its content and the record before it";
                return Err(StorageError::Damaged { position, what });
            }
            (self.revision, self.previous) = (self.revision + 1, Some(record.hash));
        }
        Ok(())
    }
}

/// Those of stream ?3 from position ?1 to ?2.
static BETWEEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM records r WHERE position BETWEEN ?1 AND ?2 AND stream = ?3 \
         ORDER BY position"
    )
});

/// The records that are where one of the lists of positions says, in its order.
fn in_stream(positions: &str) -> String {
    format!("SELECT {COLUMNS} FROM ({positions}) AS p CROSS JOIN records AS r USING (position)")
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
