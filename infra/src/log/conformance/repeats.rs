//! Appends whose outcome the writer did not learn, carried out again.

use super::{Subject, append, assert_holds, head, read, record, records, stream, wrong_revision};
use crate::log::{Expected, NewRecord};

/// Recognised by their ids, whatever was expected.
pub async fn a_repeated_append_succeeds_again_without_writing(log: Subject) {
    let name = stream("repeat");
    for (expected, numbers) in [
        (Expected::NoStream, 0..2),
        (Expected::Revision(1), 2..5),
        (Expected::Any, 5..6),
        (Expected::Any, 6..9),
    ] {
        let first = append(&log, &name, expected, records(numbers.clone())).await;
        let head_before = head(&log).await;
        for _ in 0..2 {
            let again = append(&log, &name, expected, records(numbers.clone())).await;
            assert_eq!(again, first, "{expected:?}");
        }
        assert_holds(&read(&log, &name).await, 0..numbers.end);
        assert!(head(&log).await >= head_before);
    }
}

/// The answer covers what was appended then, not what came after it.
pub async fn a_repeated_append_succeeds_after_others_wrote(log: Subject) {
    let name = stream("late");
    let first = append(&log, &name, Expected::NoStream, records([0, 1])).await;
    let second = append(&log, &name, Expected::Revision(1), records([2, 3])).await;
    append(&log, &name, Expected::Revision(3), records([4])).await;
    assert_eq!(append(&log, &name, Expected::NoStream, records([0, 1])).await, first);
    assert_eq!(append(&log, &name, Expected::Revision(1), records([2, 3])).await, second);
    assert_holds(&read(&log, &name).await, 0..5);
}

/// Only exactly the same records, all of them, are a repetition.
pub async fn a_partly_repeated_append_is_a_conflict(log: Subject) {
    let name = stream("partly");
    append(&log, &name, Expected::NoStream, records(0..4)).await;
    for (expected, new) in [
        (Expected::NoStream, records(0..5)),
        (Expected::Revision(1), records(2..5)),
        (Expected::Revision(1), records([2, 9])),
        (Expected::Revision(1), records([9, 3])),
        (Expected::Revision(1), records([3, 2])),
        (Expected::NoStream, records(2..4)),
        (Expected::Revision(0), records(0..2)),
    ] {
        let numbers: Vec<_> = new.iter().map(|new| new.id).collect();
        let outcome = log.append(&name, expected, new).await;
        assert_eq!(wrong_revision(outcome), Some(3), "{expected:?} {numbers:?}");
    }
    // The id decides, not the content: a repetition may have been decided at another moment.
    let later = NewRecord { at: record(9).at, ..record(3) };
    append(&log, &name, Expected::Revision(2), vec![later]).await;
    assert_holds(&read(&log, &name).await, 0..4);
}
