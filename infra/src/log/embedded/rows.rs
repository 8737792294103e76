//! Rows of the file, read as records.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::Time;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::error::StorageError;
use super::names::Names;
use crate::log::{ChainHash, Position, Record};

/// What [`Decoder::record`] expects of a row of the records, called `r`.
pub(super) const COLUMNS: &str =
    "position, stream, r.revision, id, kind, version, at, metadata, data, hash";

/// The data of neighbouring records shares allocations, of up to this many bytes the more are read:
/// one for each record, given back on another thread, has its price. Not more, because one record
/// that somebody keeps keeps all that it shares with.
const SHARED_BYTES: usize = 32 << 10;

/// Reads the rows of one query.
pub(super) struct Decoder<'a> {
    connection: &'a Connection,
    names: &'a Names,
    /// Names met in this query: neighbours are often of one stream, and kinds are few.
    stream: Option<(i64, Arc<str>)>,
    kinds: Vec<(i64, Arc<str>)>,
    shared: BytesMut,
    shared_bytes: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(connection: &'a Connection, names: &'a Names) -> Self {
        let (shared, shared_bytes) = (BytesMut::new(), 512);
        Self { connection, names, stream: None, kinds: Vec::new(), shared, shared_bytes }
    }

    pub(super) fn record(&mut self, row: &Row<'_>) -> Result<Record, StorageError> {
        let position = Position(row.get::<_, i64>(0)? as u64);
        let damaged = |what| StorageError::Damaged { position, what };
        Ok(Record {
            position,
            stream: self.stream(row.get(1)?)?,
            revision: row.get::<_, i64>(2)? as u64,
            id: Uuid::from_bytes(blob(row, 3).ok_or_else(|| damaged("its id is not 16 bytes"))?),
            kind: self.kind(row.get(4)?)?,
            version: row.get(5).map_err(|_| damaged("its version is out of range"))?,
            at: Time::from_ms(row.get(6)?),
            metadata: text(row, 7)
                .and_then(|text| std::str::from_utf8(text).ok())
                .ok_or_else(|| damaged("its metadata is not text"))?
                .into(),
            data: self.share(text(row, 8).ok_or_else(|| damaged("its data is not text"))?),
            hash: ChainHash(blob(row, 9).ok_or_else(|| damaged("its hash is not 32 bytes"))?),
        })
    }

    fn stream(&mut self, id: i64) -> Result<Arc<str>, StorageError> {
        match &self.stream {
            Some((known, name)) if *known == id => Ok(Arc::clone(name)),
            _ => {
                let name = self.names.stream(self.connection, id)?;
                self.stream = Some((id, Arc::clone(&name)));
                Ok(name)
            }
        }
    }

    fn kind(&mut self, id: i64) -> Result<Arc<str>, StorageError> {
        if let Some((_, name)) = self.kinds.iter().find(|(known, _)| *known == id) {
            return Ok(Arc::clone(name));
        }
        let name = self.names.kind(self.connection, id)?;
        self.kinds.push((id, Arc::clone(&name)));
        Ok(name)
    }

    fn share(&mut self, data: &[u8]) -> Bytes {
        if data.len() > SHARED_BYTES / 8 {
            return Bytes::copy_from_slice(data);
        }
        if self.shared.capacity() < data.len() {
            self.shared_bytes = SHARED_BYTES.min(self.shared_bytes * 2);
            self.shared = BytesMut::with_capacity(self.shared_bytes.max(data.len()));
        }
        self.shared.extend_from_slice(data);
        self.shared.split().freeze()
    }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a [u8]> {
    match row.get_ref(column).ok()? {
        ValueRef::Text(text) => Some(text),
        _ => None,
    }
}

fn blob<const N: usize>(row: &Row<'_>, column: usize) -> Option<[u8; N]> {
    row.get_ref(column).ok()?.as_blob().ok()?.try_into().ok()
}
