//! What every [`Log`] has to do, as tests that any implementation can run.
//!
//! [`log_conformance!`](crate::log_conformance) makes one test of each case. The cases hold for a
//! log that others use at the same time: streams have random names, and what is not theirs is passed
//! over.

mod appends;
mod races;
mod reads;
mod repeats;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Time;
use uuid::Uuid;

pub use appends::*;
pub use races::*;
pub use reads::*;
pub use repeats::*;
pub use subscriptions::*;

use super::chain::ChainVerifier;
use super::{AppendError, Appended, Expected, Log, NewRecord, Position, Record};
use crate::ids;

/// The log under test.
pub type Subject = Arc<dyn Log>;

/// How long a case waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a test of every case. `$open` is called for each, without arguments, and gives something
/// that derefs to a [`Subject`] and keeps the log alive.
#[macro_export]
macro_rules! log_conformance {
    ($open:path) => {
        $crate::log_conformance! { $open;
            an_append_is_read_back_as_it_was_given
            a_stream_grows_where_the_writer_expects_its_end
            a_wrong_revision_is_refused_with_the_actual_one
            unfit_appends_are_refused
            large_records_are_kept_whole
            every_script_is_kept
            a_refused_append_leaves_others_of_the_same_moment_alone
            a_repeated_append_succeeds_again_without_writing
            a_repeated_append_succeeds_after_others_wrote
            a_partly_repeated_append_is_a_conflict
            one_writer_wins_each_revision
            concurrent_writers_that_expect_nothing_all_succeed
            positions_order_the_whole_log
            reads_give_no_more_than_asked_for
            what_is_not_there_is_read_as_nothing
            the_chain_of_hashes_has_no_gap
            a_subscription_begins_where_it_is_told
            a_subscription_wakes_for_what_comes
            subscriptions_miss_nothing_under_concurrent_writers
        }
    };
    ($open:path; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let log = $open().await;
                $crate::log::conformance::$case(std::sync::Arc::clone(&log)).await;
            }
        )*
    };
}

/// A record whose id and data are made of `number`.
fn record(number: u64) -> NewRecord {
    NewRecord {
        id: Uuid::from_u128(u128::from(number) + 1),
        kind: if number.is_multiple_of(2) { "Even" } else { "Odd" }.into(),
        version: 1,
        at: Time::from_ms(1_800_000_000_000 + number as i64),
        metadata: format!(r#"{{"command":"{}"}}"#, Uuid::from_u128(7)).into(),
        data: Bytes::from(format!(r#"{{"number":{number}}}"#)),
    }
}

fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<NewRecord> {
    numbers.into_iter().map(record).collect()
}

/// A name that no other stream has.
fn stream(of: &str) -> String {
    format!("{of}-{:032x}", ids::random_u128())
}

async fn append(log: &Subject, stream: &str, expected: Expected, new: Vec<NewRecord>) -> Appended {
    log.append(stream, expected, new).await.expect("the append succeeds")
}

async fn read(log: &Subject, stream: &str) -> Vec<Record> {
    log.read_stream(stream, 0, usize::MAX).await.expect("the stream can be read")
}

async fn head(log: &Subject) -> Position {
    log.head().await.expect("the head can be read")
}

/// All records after `after` whose stream's name begins with `prefix`.
async fn read_all(log: &Subject, mut after: Position, prefix: &str) -> Vec<Record> {
    let mut found = Vec::new();
    loop {
        let records = log.read_all(after, 100).await.expect("the log can be read");
        let Some(last) = records.last() else { return found };
        after = last.position;
        found.extend(records.into_iter().filter(|record| record.stream.starts_with(prefix)));
    }
}

/// What was given for `numbers` is what is there, from revision 0, chained.
fn assert_holds(stored: &[Record], numbers: impl IntoIterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let ids: Vec<Uuid> = stored.iter().map(|record| record.id).collect();
    let expected: Vec<Uuid> = numbers.iter().map(|number| record(*number).id).collect();
    assert_eq!(ids, expected);
    let mut verifier = ChainVerifier::new();
    for record in stored {
        verifier.verify(record).expect("the stream is chained");
    }
}

fn wrong_revision(outcome: Result<Appended, AppendError>) -> Option<u64> {
    match outcome {
        Err(AppendError::WrongRevision { actual }) => actual,
        other => unreachable!("expected a wrong revision, got {other:?}"),
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens in time")
}
