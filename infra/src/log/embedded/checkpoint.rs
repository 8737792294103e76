//! Moving pages from the write-ahead log into the file, without making appends wait for it.
//!
//! A thread of its own moves them while appends go on. Because appends go on it never gets to the
//! end, and only when it does can the write-ahead log be used from its start again. So when that has
//! become large the thread makes another round, and right after it the writer moves the few pages
//! that came meanwhile.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::error::StorageError;
use super::file::{self, LogFile};

/// Pages written since the thread was last asked, after which it is asked again.
const STEP_PAGES: i32 = 2048;

/// Pages in the write-ahead log after which it is to be used from its start again.
const LARGE_PAGES: i32 = 8192;

/// How long the writer waits, in steps, for readers that need the write-ahead log as it is.
const READER_STEPS: i32 = 20;

thread_local! {
    /// Pages in the write-ahead log after the last commit on this thread.
    static WAL_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct Checkpoints {
    ask: SyncSender<()>,
    /// Rounds that the thread was asked for, and those it has made.
    asked: u64,
    made: Arc<AtomicU64>,
    /// Pages in the write-ahead log when it was last asked.
    asked_at: i32,
    /// Whether the writer is to move what is left after this round.
    to_finish: bool,
    large: i32,
}

/// Starts the thread. It ends when the writer's side is dropped.
pub(super) fn start(file: &LogFile) -> Result<(Checkpoints, JoinHandle<()>), StorageError> {
    let connection = file.connect()?;
    let (ask, to_make) = sync_channel(1);
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let thread = std::thread::Builder::new()
        .name("log-checkpoint".into())
        .spawn(move || run(&connection, &to_make, &count))
        .map_err(|_| StorageError::Stopped)?;
    let (asked, asked_at, to_finish) = (0, 0, false);
    Ok((Checkpoints { ask, asked, made, asked_at, to_finish, large: LARGE_PAGES }, thread))
}

fn run(connection: &Connection, to_make: &Receiver<()>, made: &AtomicU64) {
    while to_make.recv().is_ok() {
        if let Err(error) = checkpoint(connection, "PASSIVE") {
            report(&error);
        }
        made.fetch_add(1, Ordering::Release);
    }
}

impl Checkpoints {
    /// Lets commits on `connection`, on this thread, be counted.
    pub(super) fn count(connection: &Connection) {
        connection.wal_hook(Some(|_, pages| {
            WAL_PAGES.set(pages);
            Ok(())
        }));
    }

    /// To be called by the writer between transactions.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = WAL_PAGES.get();
        if pages < self.asked_at {
            // It is used from its start again.
            (self.asked_at, self.large) = (0, LARGE_PAGES);
        }
        if self.made.load(Ordering::Acquire) < self.asked {
            return;
        }
        if std::mem::take(&mut self.to_finish) {
            self.finish(connection, pages);
        } else if pages >= self.large || pages - self.asked_at >= STEP_PAGES {
            self.asked += u64::from(self.ask.try_send(()).is_ok());
            self.asked_at = pages;
            self.to_finish = pages >= self.large;
        }
    }

    fn finish(&mut self, connection: &Connection, pages: i32) {
        // When a reader or another process is in the way, later is soon enough.
        self.large = pages + STEP_PAGES;
        let outcome = connection
            .busy_handler(Some(wait_for_readers))
            .map_err(StorageError::from)
            .and_then(|()| checkpoint(connection, "RESTART"));
        let restored = connection.busy_handler(Some(file::wait_for_lock));
        if let Err(error) = outcome.and(restored.map_err(StorageError::from)) {
            report(&error);
        }
    }
}

fn wait_for_readers(step: i32) -> bool {
    std::thread::park_timeout(Duration::from_micros(500));
    step < READER_STEPS
}

/// Everything into the file, before it is closed.
pub(super) fn complete(connection: &Connection) {
    if let Err(error) = checkpoint(connection, "TRUNCATE") {
        report(&error);
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<(), StorageError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    // It tells how far it got; when somebody is in the way the next one gets further.
    connection.prepare_cached(&sql)?.query_row([], |_| Ok(()))?;
    Ok(())
}

/// Nothing is lost when a checkpoint fails: the pages stay in the write-ahead log.
fn report(error: &StorageError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a checkpoint of the log failed");
}
