//! The end of each stream, as far as this process knows it: the next record's hash follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::log::chain::Link;
use crate::log::{ChainHash, NewRecord, Record};

/// When more are known, those that nobody uses at the moment are forgotten: they can be read again.
const KEPT: usize = 100_000;

/// Where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// Revision of the next record.
    pub(super) next: u64,
    /// Hash that the next record's follows from.
    pub(super) hash: ChainHash,
    /// Id of the last record.
    pub(super) id: Option<Uuid>,
}

impl Tail {
    /// Of a stream without records.
    pub(super) fn of_nothing(stream: &str) -> Self {
        Self { next: 0, hash: ChainHash::before_first(stream), id: None }
    }

    /// Of a stream whose last record this is.
    pub(super) fn after(last: &Record) -> Self {
        Self { next: last.revision + 1, hash: last.hash, id: Some(last.id) }
    }

    /// The tail when `record` has been appended.
    pub(super) fn with(&self, record: &NewRecord) -> Self {
        let link = Link {
            id: record.id,
            kind: &record.kind,
            version: record.version,
            revision: self.next,
            at: record.at,
            metadata: &record.metadata,
            data: &record.data,
        };
        Self { next: self.next + 1, hash: link.hash(self.hash), id: Some(record.id) }
    }

    /// Revision of the last record.
    pub(super) fn last(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }
}

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it ends, as far as one knows.
    pub(super) tail: Option<Tail>,
    /// An append of this process, or of one before it, may still get there without anybody knowing.
    pub(super) in_doubt: bool,
}

impl Default for Known {
    fn default() -> Self {
        Self { tail: None, in_doubt: true }
    }
}

/// Who appends holds the lock: appends of one process to one stream would only be in each other's way.
pub(super) type Slot = Arc<tokio::sync::Mutex<Known>>;

#[derive(Default)]
pub(super) struct Tails(Mutex<HashMap<Arc<str>, Slot>>);

impl Tails {
    pub(super) fn of(&self, stream: &str) -> Slot {
        let mut slots = self.0.lock();
        if let Some(slot) = slots.get(stream) {
            return Arc::clone(slot);
        }
        if slots.len() >= KEPT {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let slot = Slot::default();
        slots.insert(Arc::from(stream), Arc::clone(&slot));
        slot
    }

    /// Somebody read the stream to its end. Of streams that nobody here appends to nothing is kept.
    pub(super) fn saw_end(&self, stream: &str, last: &Record) {
        let slot = self.0.lock().get(stream).map(Arc::clone);
        let seen = Tail::after(last);
        // Who appends at this moment knows better.
        if let Some(slot) = slot
            && let Ok(mut known) = slot.try_lock()
            && known.tail.is_none_or(|tail| tail.next < seen.next)
        {
            known.tail = Some(seen);
        }
    }
}
