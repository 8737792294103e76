//! How far the log is, for those who wait for more of it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::watch;

use super::error::StorageError;
use super::file::LogFile;
use super::readers::head;
use super::tail::{self, Tail};
use crate::log::{Position, Record};

/// How often it is looked for records of other processes, while somebody waits.
const PERIOD: Duration = Duration::from_millis(25);

/// The end of the log as known in this process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct End {
    /// A record at this position can be read.
    pub(super) position: Position,
    /// There will be no more.
    pub(super) closed: bool,
}

/// Tells of new records: at once of this process's, within [`PERIOD`] of others'.
#[derive(Debug)]
pub(super) struct Watch {
    end: watch::Sender<End>,
    tail: RwLock<Tail>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    closed: bool,
}

/// As long as it lives, records of other processes are looked for.
pub(super) struct Waiting<'a>(&'a Watch);

impl Watch {
    pub(super) fn new(position: Position) -> Self {
        Self {
            end: watch::Sender::new(End { position, closed: false }),
            tail: RwLock::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn follow(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Takes what this process wrote, and wakes those who wait for it.
    pub(super) fn publish(&self, records: Vec<Record>) {
        if let Some(position) = records.last().map(|last| last.position) {
            self.tail.write().push(Arc::new(records));
            self.reached(position);
        }
    }

    /// Up to `limit` records that come right after `after`; none if there are none, or if this
    /// process did not write them lately.
    pub(super) fn recent(&self, after: Position, limit: usize) -> Vec<Record> {
        let transactions = self.tail.read().after(after, limit);
        tail::copy(&transactions, after, limit)
    }

    fn reached(&self, position: Position) {
        self.end.send_if_modified(|end| {
            let longer = position > end.position;
            end.position = end.position.max(position);
            longer
        });
    }

    pub(super) fn wait(&self) -> Waiting<'_> {
        let mut state = self.state.lock();
        state.waiting += 1;
        if state.waiting == 1 {
            self.changed.notify_all();
        }
        Waiting(self)
    }

    /// Ends the thread, and wakes those who wait.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
        self.end.send_modify(|end| end.closed = true);
    }

    /// Starts looking for what other processes write.
    pub(super) fn start(self: &Arc<Self>, file: &LogFile) -> Result<JoinHandle<()>, StorageError> {
        let connection = file.connect_reader()?;
        let watch = Arc::clone(self);
        std::thread::Builder::new()
            .name("log-watch".into())
            .spawn(move || watch.run(&connection))
            .map_err(|_| StorageError::Stopped)
    }

    fn run(&self, connection: &Connection) {
        let mut seen = None;
        let mut failing = false;
        let mut state = self.state.lock();
        while !state.closed {
            if state.waiting == 0 {
                self.changed.wait(&mut state);
                continue;
            }
            parking_lot::MutexGuard::unlocked(&mut state, || {
                let outcome = self.look(connection, &mut seen);
                if let (Err(error), false) = (&outcome, failing) {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        "cannot see what other processes write to the log"
                    );
                }
                failing = outcome.is_err();
            });
            if !state.closed {
                self.changed.wait_for(&mut state, PERIOD);
            }
        }
    }

    fn look(&self, c: &Connection, seen: &mut Option<i64>) -> Result<(), StorageError> {
        let version = c.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if *seen != Some(version) {
            self.reached(head(c)?);
            *seen = Some(version);
        }
        Ok(())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}
