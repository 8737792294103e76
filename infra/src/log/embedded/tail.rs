//! The last records of the log, in memory: who follows it closely need not read the file.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::log::{Position, Record};

/// Bytes kept, about; at least the last transaction.
const KEPT_BYTES: usize = 8 << 20;

/// What one transaction wrote: at least one record.
pub(super) type Written = Arc<Vec<Record>>;

/// Transactions without a gap between them.
#[derive(Debug, Default)]
pub(super) struct Tail {
    transactions: VecDeque<Written>,
    bytes: usize,
}

impl Tail {
    /// Takes what was just committed. When others wrote in between, what was kept is given up.
    pub(super) fn push(&mut self, written: Written) {
        let follows = |last: &Record| last.position.0 + 1 == written[0].position.0;
        if !self.transactions.back().and_then(|last| last.last()).is_some_and(follows) {
            *self = Self::default();
        }
        while self.bytes > KEPT_BYTES
            && let Some(oldest) = self.transactions.pop_front()
        {
            self.bytes -= bytes(&oldest);
        }
        self.bytes += bytes(&written);
        self.transactions.push_back(written);
    }

    /// The transactions that have the up to `limit` records right after `after`; none if they are
    /// not kept. Handed out whole, so that nobody copies records while the writer waits.
    pub(super) fn after(&self, after: Position, limit: usize) -> Vec<Written> {
        let is_seen = |written: &Written| written.last().is_none_or(|last| last.position <= after);
        let first = self.transactions.partition_point(is_seen);
        let mut found = Vec::new();
        let mut missing = limit;
        for written in self.transactions.range(first..) {
            if missing == 0 || found.is_empty() && written[0].position.0 - 1 > after.0 {
                break;
            }
            let seen = (after.0 + 1).saturating_sub(written[0].position.0) as usize;
            missing = missing.saturating_sub(written.len() - seen);
            found.push(Arc::clone(written));
        }
        found
    }
}

/// Copies of the up to `limit` records after `after`.
pub(super) fn copy(transactions: &[Written], after: Position, limit: usize) -> Vec<Record> {
    let most: usize = transactions.iter().map(|written| written.len()).sum();
    let mut copies = Vec::with_capacity(most.min(limit));
    let records = transactions.iter().flat_map(|written| written.iter());
    copies.extend(records.filter(|record| record.position > after).take(limit).cloned());
    copies
}

fn bytes(written: &[Record]) -> usize {
    let of = |record: &Record| size_of::<Record>() + record.metadata.len() + record.data.len();
    written.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::Time;
    use uuid::Uuid;

    use super::*;
    use crate::log::ChainHash;

    fn record(position: u64, bytes: usize) -> Record {
        Record {
            position: Position(position),
            stream: Arc::from("s"),
            revision: position,
            id: Uuid::nil(),
            kind: Arc::from("Reserved"),
            version: 1,
            at: Time::from_ms(0),
            metadata: "".into(),
            data: Bytes::from(vec![b' '; bytes]),
            hash: ChainHash::default(),
        }
    }

    fn written(positions: std::ops::RangeInclusive<u64>) -> Written {
        Arc::new(positions.map(|position| record(position, 10)).collect())
    }

    fn after(tail: &Tail, after: u64, limit: usize) -> Vec<u64> {
        let after = Position(after);
        let records = copy(&tail.after(after, limit), after, limit);
        records.iter().map(|record| record.position.0).collect()
    }

    #[test]
    fn gives_what_comes_right_after_a_position_or_nothing() {
        let mut tail = Tail::default();
        assert!(after(&tail, 0, 10).is_empty());
        tail.push(written(5..=6));
        tail.push(written(7..=9));
        for (position, limit, expected) in [
            (3, 10, vec![]),
            (4, 10, vec![5, 6, 7, 8, 9]),
            (4, 2, vec![5, 6]),
            (5, 3, vec![6, 7, 8]),
            (8, 10, vec![9]),
            (8, 0, vec![]),
            (9, 10, vec![]),
            (100, 10, vec![]),
            (u64::MAX, 10, vec![]),
        ] {
            assert_eq!(after(&tail, position, limit), expected, "after {position}");
        }
    }

    #[test]
    fn a_gap_gives_up_what_was_before_it() {
        let mut tail = Tail::default();
        tail.push(written(1..=3));
        tail.push(written(5..=6));
        assert!(after(&tail, 2, 10).is_empty());
        assert_eq!(after(&tail, 4, 10), vec![5, 6]);
    }

    #[test]
    fn keeps_no_more_than_its_share_of_memory() {
        let mut tail = Tail::default();
        for position in 1..=100 {
            tail.push(Arc::new(vec![record(position, KEPT_BYTES / 10)]));
        }
        assert!(after(&tail, 50, 100).is_empty());
        assert_eq!(after(&tail, 95, 100), vec![96, 97, 98, 99, 100]);
        tail.push(Arc::new(vec![record(101, KEPT_BYTES * 2)]));
        assert_eq!(after(&tail, 100, 100), vec![101]);
    }
}
