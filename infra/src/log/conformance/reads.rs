//! Reading what is there.

use super::{Subject, append, assert_holds, head, read, read_all, records, stream};
use crate::log::chain::ChainVerifier;
use crate::log::{Expected, Position};

/// Limits, and reads that begin somewhere in the middle.
pub async fn reads_give_no_more_than_asked_for(log: Subject) {
    let before = head(&log).await;
    let name = stream("limits");
    append(&log, &name, Expected::NoStream, records(0..10)).await;
    let whole = read(&log, &name).await;
    assert_holds(&whole, 0..10);
    for (from, limit) in
        [(0, 0), (0, 1), (0, 10), (0, 11), (3, 4), (9, 1), (9, usize::MAX), (10, 5), (u64::MAX, 5)]
    {
        let part = log.read_stream(&name, from, limit).await.expect("the stream can be read");
        let start = whole.len().min(from as usize);
        let end = whole.len().min(start.saturating_add(limit));
        assert_eq!(part, whole[start..end], "from {from}, {limit} records");
    }
    for limit in [0, 1, 3, 1000] {
        let part = log.read_all(before, limit).await.expect("the log can be read");
        assert!(part.len() <= limit && (limit == 0) == part.is_empty());
        assert!(part.iter().all(|record| record.position > before));
    }
    assert_eq!(read_all(&log, before, &name).await, whole);
    let middle = whole[4].position;
    assert_eq!(read_all(&log, middle, &name).await, whole[5..]);
}

/// Streams that do not exist and positions that are not reached are no errors.
pub async fn what_is_not_there_is_read_as_nothing(log: Subject) {
    assert!(read(&log, &stream("nothing")).await.is_empty());
    assert!(read(&log, "").await.is_empty());
    for after in [Position(u64::MAX), Position(i64::MAX as u64)] {
        let beyond = log.read_all(after, 10).await.expect("the log can be read");
        assert!(beyond.is_empty());
    }
}

/// Whatever the appends were, each record's hash follows from the one before it in its stream, and
/// says something else for every stream.
pub async fn the_chain_of_hashes_has_no_gap(log: Subject) {
    let before = head(&log).await;
    let prefix = stream("chain");
    let names = ["a", "b", "c"].map(|end| format!("{prefix}-{end}"));
    for round in 0..6 {
        for (name, count) in names.iter().zip(1..) {
            let numbers = round * 10..round * 10 + count;
            append(&log, name, Expected::Any, records(numbers.clone())).await;
            append(&log, name, Expected::Any, records(numbers)).await;
        }
    }
    let mut verifier = ChainVerifier::new();
    let mut stored = read_all(&log, before, &prefix).await;
    for record in &stored {
        verifier.verify(record).expect("the record follows from the one before it");
    }
    assert_eq!(verifier.records(), 6 * (1 + 2 + 3));
    for (name, count) in names.iter().zip(1..) {
        let head = verifier.heads()[&**name];
        let last = read(&log, name).await.pop().expect("the stream has records");
        assert_eq!((head.revision, head.hash), (last.revision, last.hash));
        assert_eq!(head.revision, 6 * count - 1);
    }
    stored.sort_by_key(|record| record.hash.0);
    stored.dedup_by_key(|record| record.hash);
    assert_eq!(stored.len() as u64, verifier.records());
}
