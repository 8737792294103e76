//! Reads every record's page once after the log was opened for writing, and the index that leads to
//! it, so that a damaged file is found out soon, and not when somebody asks for what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::StorageError;
use super::readers::Readers;
use crate::log::Position;
use crate::threads;

/// After something that may pass: first, and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How soon a pause ends when the log is closed.
const LOOK: Duration = Duration::from_millis(50);

/// Nothing waits for it, and after a start everything else has much to do.
const NICE: i32 = 19;
/// How much longer it rests than it reads.
const RESTS: u32 = 4;

/// Starts the thread; it ends at the end of the log, at the first damage, or when `closing` is set.
pub(super) fn start(
    readers: Arc<Readers>,
    closing: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, StorageError> {
    std::thread::Builder::new()
        .name("log-scan".into())
        .spawn(move || scan(&readers, &closing))
        .map_err(|_| StorageError::Stopped)
}

fn scan(readers: &Readers, closing: &AtomicBool) {
    threads::step_back(NICE, "log-scan");
    let (mut after, mut pause) = (Position(0), PAUSE);
    while !closing.load(Ordering::Relaxed) {
        let begin = Instant::now();
        match readers.read(|reader| reader.touch(after)) {
            Ok(Some(last)) => {
                (after, pause) = (last, PAUSE);
                wait(begin.elapsed() * RESTS, closing);
            }
            Ok(None) => return,
            // It was noted and told where it was read.
            Err(error) if error.is_damage() => return,
            Err(error) => {
                let (error, pause_s) = (&error as &dyn std::error::Error, pause.as_secs_f64());
                tracing::warn!(
                    error,
                    pause_s,
                    "the log cannot be read to see whether it is whole; trying again"
                );
                wait(pause, closing);
                pause = LONGEST_PAUSE.min(pause * 4);
            }
        }
    }
}

/// Until the pause is over, or the log is closed.
fn wait(mut pause: Duration, closing: &AtomicBool) {
    while !pause.is_zero() && !closing.load(Ordering::Relaxed) {
        let part = pause.min(LOOK);
        std::thread::park_timeout(part);
        pause -= part;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::super::error::Damage;
    use super::super::file::LogFile;
    use super::*;

    /// A log whose only record is damaged, and the file it is in.
    fn damaged() -> (tempfile::TempDir, Readers, Damage, std::path::PathBuf) {
        let damage = Damage::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let file = LogFile::open(&path, None).unwrap();
        let log = Connection::open(&path).unwrap();
        let page: i64 = log
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'records'", [], |row| {
                row.get(0)
            })
            .unwrap();
        log.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(log);
        let mut bytes = fs::read(&path).unwrap();
        let at = (usize::try_from(page).unwrap() - 1) * 4_096;
        bytes[at..at + 4_096].fill(0xA5);
        fs::write(&path, bytes).unwrap();
        (folder, Readers::new(file, 1, damage.clone()), damage, path)
    }

    #[test]
    fn what_cannot_be_read_now_is_read_later() {
        let (folder, readers, damage, path) = damaged();
        let aside = folder.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        let (readers, closing) = (Arc::new(readers), Arc::new(AtomicBool::new(false)));
        let scanning = start(Arc::clone(&readers), Arc::clone(&closing)).unwrap();
        // It does not end before it has seen everything.
        let until = Instant::now() + PAUSE / 2;
        while Instant::now() < until {
            assert!(!scanning.is_finished() && damage.check().is_ok());
            std::thread::park_timeout(LOOK);
        }
        fs::rename(&aside, &path).unwrap();
        scanning.join().unwrap();
        assert!(matches!(damage.check(), Err(StorageError::NotWhole)));
    }

    #[test]
    fn it_ends_when_the_log_is_closed() {
        let (_folder, readers, _, path) = damaged();
        fs::remove_file(&path).unwrap();
        let (readers, closing) = (Arc::new(readers), Arc::new(AtomicBool::new(false)));
        let scanning = start(readers, Arc::clone(&closing)).unwrap();
        closing.store(true, Ordering::Relaxed);
        scanning.join().unwrap();
    }
}
