//! Moving pages from the write-ahead log into the file, without making appends wait for it.
//!
//! A thread of its own moves them while appends go on. Because appends go on it never gets to the
//! end, and only when it does can the write-ahead log be used from its start again. So when that has
//! become large the writer, right after the thread was done, moves the few pages that are left.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    thread_is_done: Arc<AtomicBool>,
    asked_at: i32,
    large: i32,
}

/// Starts the thread. It ends when the writer's side is dropped.
pub(super) fn start(file: &LogFile) -> Result<(Checkpoints, JoinHandle<()>), StorageError> {
    let connection = file.connect()?;
    let (ask, asked) = sync_channel(1);
    let thread_is_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&thread_is_done);
    let thread = std::thread::Builder::new()
        .name("log-checkpoint".into())
        .spawn(move || run(&connection, &asked, &done))
        .map_err(|_| StorageError::Stopped)?;
    let writer = Checkpoints { ask, thread_is_done, asked_at: 0, large: LARGE_PAGES };
    Ok((writer, thread))
}

fn run(connection: &Connection, asked: &Receiver<()>, done: &AtomicBool) {
    while asked.recv().is_ok() {
        match checkpoint(connection, "PASSIVE") {
            Ok(_) => done.store(true, Ordering::Release),
            Err(error) => report(&error),
        }
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
            self.asked_at = 0;
            self.large = LARGE_PAGES;
        }
        if pages >= self.large && self.thread_is_done.swap(false, Ordering::Acquire) {
            self.finish(connection, pages);
        } else if pages - self.asked_at >= STEP_PAGES && self.ask.try_send(()).is_ok() {
            self.asked_at = pages;
        }
    }

    fn finish(&mut self, connection: &Connection, pages: i32) {
        // When a reader or another process is in the way, later is soon enough.
        self.large = pages + STEP_PAGES;
        let outcome = connection
            .busy_handler(Some(wait_for_readers))
            .map_err(StorageError::from)
            .and_then(|()| checkpoint(connection, "RESTART"));
        if let Err(error) =
            outcome.and_then(|_| Ok(connection.busy_handler(Some(file::wait_for_lock))?))
        {
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

/// Tells whether it got to the end.
fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, StorageError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let busy: i64 = connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Nothing is lost when a checkpoint fails: the pages stay in the write-ahead log.
fn report(error: &StorageError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a checkpoint of the log failed");
}
