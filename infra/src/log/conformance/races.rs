//! Many writers at the same time.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;

use super::{Subject, append, assert_holds, head, read, read_all, record, records, stream};
use crate::log::chain::ChainVerifier;
use crate::log::{AppendError, Expected};

const WRITERS: u64 = 16;

/// However many want it, a revision is given once, and who lost learns how far the stream is.
pub async fn one_writer_wins_each_revision(log: Subject) {
    const REVISIONS: u64 = 150;
    let name = stream("race");
    let writers = (0..WRITERS).map(|writer| {
        let (log, name) = (Arc::clone(&log), name.clone());
        tokio::spawn(async move {
            let mut won = Vec::new();
            let mut believed = None;
            for number in (0..).map(|n| writer + n * WRITERS) {
                let expected = believed.map_or(Expected::NoStream, Expected::Revision);
                believed = match log.append(&name, expected, records([number])).await {
                    Ok(appended) => {
                        assert_eq!(appended.revision, believed.map_or(0, |last| last + 1));
                        won.push((appended.revision, number));
                        Some(appended.revision)
                    }
                    Err(AppendError::WrongRevision { actual }) => {
                        assert!(actual > believed, "the stream was where it was believed");
                        actual
                    }
                    Err(other) => unreachable!("{other:?}"),
                };
                if believed >= Some(REVISIONS) {
                    break;
                }
            }
            won
        })
    });
    let mut won: Vec<(u64, u64)> = Vec::new();
    for writer in join_all(writers).await {
        won.extend(writer.expect("no writer fails"));
    }
    won.sort_unstable();
    let revisions: Vec<u64> = won.iter().map(|(revision, _)| *revision).collect();
    assert_eq!(revisions, (0..won.len() as u64).collect::<Vec<_>>());
    assert_holds(&read(&log, &name).await, won.into_iter().map(|(_, number)| number));
}

/// Nothing is lost and nothing twice, and each append stays in one piece.
pub async fn concurrent_writers_that_expect_nothing_all_succeed(log: Subject) {
    const APPENDS: u64 = 20;
    let name = stream("any");
    let writers = (0..WRITERS).map(|writer| {
        let (log, name) = (Arc::clone(&log), name.clone());
        tokio::spawn(async move {
            for n in 0..APPENDS {
                let first = (writer * APPENDS + n) * 3;
                append(&log, &name, Expected::Any, records(first..first + 3)).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("no writer fails");
    }
    let stored = read(&log, &name).await;
    assert_eq!(stored.len() as u64, WRITERS * APPENDS * 3);
    let mut seen = HashSet::new();
    for (i, three) in stored.chunks(3).enumerate() {
        let number = (three[0].id.as_u128() - 1) as u64;
        assert!(number.is_multiple_of(3) && seen.insert(number), "append {i}");
        let ids = three.iter().map(|record| record.id);
        assert!(ids.eq((number..number + 3).map(|number| record(number).id)), "append {i}");
    }
}

/// Every record has a position of its own, they grow within each stream, and a later append has
/// later ones.
pub async fn positions_order_the_whole_log(log: Subject) {
    let before = head(&log).await;
    let prefix = stream("order");
    let writers = (0..WRITERS).map(|writer| {
        let (log, name) = (Arc::clone(&log), format!("{prefix}-{writer}"));
        tokio::spawn(async move {
            let mut last = before;
            for number in 0..30 {
                let appended = append(&log, &name, Expected::Any, records([number])).await;
                assert!(appended.position > last);
                last = appended.position;
            }
            last
        })
    });
    let mut last = before;
    for writer in join_all(writers).await {
        last = last.max(writer.expect("no writer fails"));
    }
    assert!(head(&log).await >= last);
    let stored = read_all(&log, before, &prefix).await;
    assert_eq!(stored.len() as u64, WRITERS * 30);
    assert!(stored.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!(stored.last().map(|record| record.position), Some(last));
    let mut verifier = ChainVerifier::new();
    for record in &stored {
        verifier.verify(record).expect("each stream is in order");
    }
    assert_eq!(verifier.heads().len() as u64, WRITERS);
}
