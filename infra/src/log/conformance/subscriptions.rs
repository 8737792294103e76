//! Following the log.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;

use super::{Subject, append, head, read, records, soon, stream};
use crate::log::chain::ChainVerifier;
use crate::log::{Expected, Position, ReadError, Record};

/// One subscription, without the records of others.
struct Follower {
    records: BoxStream<'static, Result<Vec<Record>, ReadError>>,
    prefix: String,
    last: Position,
    waiting: Vec<Record>,
}

impl Follower {
    fn new(log: &Subject, after: Position, prefix: &str) -> Self {
        let records = log.subscribe_all(after);
        Self { records, prefix: prefix.to_owned(), last: after, waiting: Vec::new() }
    }

    /// The next `count` records.
    async fn next(&mut self, count: usize) -> Vec<Record> {
        while self.waiting.len() < count {
            let batch = soon(self.records.next()).await.expect("it never ends");
            let batch = batch.expect("the log can be read");
            assert!(!batch.is_empty(), "there are no empty batches");
            for record in &batch {
                assert!(record.position > self.last, "positions grow");
                self.last = record.position;
            }
            let ours = |record: &Record| record.stream.starts_with(&self.prefix);
            self.waiting.extend(batch.into_iter().filter(ours));
        }
        self.waiting.drain(..count).collect()
    }
}

/// From the beginning, from the middle, and from the head.
pub async fn a_subscription_begins_where_it_is_told(log: Subject) {
    let name = stream("begin");
    append(&log, &name, Expected::NoStream, records(0..10)).await;
    let whole = read(&log, &name).await;
    let mut from_zero = Follower::new(&log, Position(0), &name);
    let mut from_middle = Follower::new(&log, whole[4].position, &name);
    let mut from_head = Follower::new(&log, whole[9].position, &name);
    assert_eq!(from_zero.next(10).await, whole);
    assert_eq!(from_middle.next(5).await, whole[5..]);
    append(&log, &name, Expected::Revision(9), records(10..13)).await;
    let whole = read(&log, &name).await;
    for follower in [&mut from_zero, &mut from_middle, &mut from_head] {
        assert_eq!(follower.next(3).await, whole[10..]);
    }
}

/// Whoever waits is woken, each time anew, also by a stream's first record.
pub async fn a_subscription_wakes_for_what_comes(log: Subject) {
    let prefix = stream("wake");
    let mut follower = Follower::new(&log, head(&log).await, &prefix);
    for n in 0..20 {
        let name = format!("{prefix}-{}", n % 4);
        let waiting = tokio::spawn(async move { (follower.next(1).await, follower) });
        let appended = append(&log, &name, Expected::Any, records([n])).await;
        let (seen, back) = soon(waiting).await.expect("the follower does not fail");
        assert_eq!(seen[0].position, appended.position);
        assert_eq!(seen, log.read_stream(&name, n / 4, 1).await.expect("it can be read"));
        follower = back;
    }
}

/// Followers that begin at any moment see every record once and in order while many write.
pub async fn subscriptions_miss_nothing_under_concurrent_writers(log: Subject) {
    const WRITERS: u64 = 12;
    const APPENDS: u64 = 40;
    let before = head(&log).await;
    let prefix = stream("all");
    let follow = |log: &Subject| {
        let mut follower = Follower::new(log, before, &prefix);
        tokio::spawn(async move {
            let seen = follower.next((WRITERS * APPENDS * 2) as usize).await;
            let mut verifier = ChainVerifier::new();
            for record in &seen {
                verifier.verify(record).expect("no revision is missing");
            }
            seen
        })
    };
    let mut followers = vec![follow(&log), follow(&log)];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (log, name) = (Arc::clone(&log), format!("{prefix}-{writer}"));
            tokio::spawn(async move {
                for n in 0..APPENDS {
                    append(&log, &name, Expected::Any, records([n * 2, n * 2 + 1])).await;
                }
            })
        })
        .collect();
    for writer in writers {
        followers.push(follow(&log));
        writer.await.expect("no writer fails");
    }
    let seen = join_all(followers).await;
    let first = seen[0].as_ref().expect("the follower does not fail");
    for other in &seen {
        assert!(other.as_ref().expect("the follower does not fail") == first);
    }
}
