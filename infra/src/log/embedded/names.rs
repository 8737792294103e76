//! Names of streams and kinds by their number in the file, shared by all readers.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rusqlite::Connection;

use super::error::StorageError;

/// When more names are known they are all forgotten: they can be looked up again.
const KEPT: usize = 200_000;

#[derive(Debug, Default)]
pub(super) struct Names {
    streams: Table,
    kinds: Table,
}

#[derive(Debug, Default)]
struct Table(RwLock<HashMap<i64, Arc<str>>>);

impl Names {
    pub(super) fn stream(&self, c: &Connection, id: i64) -> Result<Arc<str>, StorageError> {
        self.streams.get(c, id, "SELECT name FROM streams WHERE id = ?1")
    }

    pub(super) fn kind(&self, c: &Connection, id: i64) -> Result<Arc<str>, StorageError> {
        self.kinds.get(c, id, "SELECT name FROM kinds WHERE id = ?1")
    }
}

impl Table {
    fn get(&self, c: &Connection, id: i64, sql: &str) -> Result<Arc<str>, StorageError> {
        if let Some(name) = self.0.read().get(&id) {
            return Ok(name.clone());
        }
        let name: Arc<str> = c.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
        let mut known = self.0.write();
        if known.len() >= KEPT {
            known.clear();
        }
        // Another reader may have been here first: one name, one allocation.
        Ok(known.entry(id).or_insert(name).clone())
    }
}
