//! Streams on which nothing is decided, because a record in one is not what the product wrote: operators
//! have to know which, as asking again does not help.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Those that this process met. One list of them, for there is one process.
pub(crate) static DAMAGED: DamagedStreams = DamagedStreams::new();

/// How many are named at most.
const MOST_NAMED: usize = 256;

/// Streams that cannot be read for good, and why.
pub(crate) struct DamagedStreams {
    /// Whether there is any: all who read a stream ask.
    any: AtomicBool,
    streams: Mutex<BTreeMap<String, String>>,
}

impl DamagedStreams {
    const fn new() -> Self {
        Self { any: AtomicBool::new(false), streams: Mutex::new(BTreeMap::new()) }
    }

    /// A stream was read, and its records are no history of ours.
    pub(super) fn note(&self, stream: &str, why: String) {
        let mut streams = self.streams.lock();
        if streams.len() < MOST_NAMED {
            streams.insert(stream.to_owned(), why);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// A stream was read, and is whole.
    pub(super) fn is_whole(&self, stream: &str) {
        if self.any.load(Ordering::Relaxed) {
            let mut streams = self.streams.lock();
            streams.remove(stream);
            self.any.store(!streams.is_empty(), Ordering::Relaxed);
        }
    }

    /// How many there are, and the first with what is wrong with it.
    pub(crate) fn told(&self) -> Option<(usize, String)> {
        let streams = self.streams.lock();
        let (stream, why) = streams.first_key_value()?;
        Some((streams.len(), format!("{stream}: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_told_until_it_is_whole_again() {
        let damaged = DamagedStreams::new();
        damaged.is_whole("a");
        assert_eq!(damaged.told(), None);
        damaged.note("b", "torn".to_owned());
        damaged.note("a", "gone".to_owned());
        assert_eq!(damaged.told(), Some((2, "a: gone".to_owned())));
        damaged.is_whole("a");
        assert_eq!(damaged.told(), Some((1, "b: torn".to_owned())));
        damaged.is_whole("b");
        assert_eq!(damaged.told(), None);
    }
}
