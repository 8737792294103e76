//! Reads every record's page once after the log was opened for writing, so that a damaged file is
//! found out soon, and not when somebody asks for what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::error::StorageError;
use super::readers::Readers;
use crate::log::Position;

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
    let mut after = Position(0);
    while !closing.load(Ordering::Relaxed) {
        // A failure was noted there, if it says that the file is damaged.
        match readers.read(|reader| reader.touch(after)) {
            Ok(Some(last)) => after = last,
            Ok(None) | Err(_) => return,
        }
    }
}
