//! Streams of a log that is long enough for their positions to be put in order, several times.

use std::collections::HashMap;

use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Appended, Expected, Log, NewRecord, Position, Record};

use super::record;

const RECORDS: u64 = 20_000;

/// What was appended, and the answer to it.
struct Step {
    stream: &'static str,
    expected: Expected,
    records: Vec<NewRecord>,
    appended: Appended,
}

/// A busy stream, one that sells now and then, one that was over early, and one that begins late.
fn stream_of(step: usize, number: u64) -> &'static str {
    match step {
        0..20 if step.is_multiple_of(3) => "early",
        _ if number > RECORDS - 1_000 && step.is_multiple_of(2) => "late",
        _ if step.is_multiple_of(37) => "rare",
        _ => "busy",
    }
}

async fn write(log: &EmbeddedLog) -> Vec<Step> {
    let mut lengths = HashMap::<&str, u64>::new();
    let (mut steps, mut number) = (Vec::new(), 0);
    while number < RECORDS {
        let stream = stream_of(steps.len(), number);
        let count = 1 + number % 40;
        let records: Vec<NewRecord> = (number..number + count).map(record).collect();
        let length = lengths.entry(stream).or_default();
        let expected = match *length {
            0 => Expected::NoStream,
            length => Expected::Revision(length - 1),
        };
        let appended = log.append(stream, expected, records.clone()).await.unwrap();
        steps.push(Step { stream, expected, records, appended });
        (number, *length) = (number + count, *length + count);
    }
    steps
}

fn ids(records: &[Record]) -> Vec<uuid::Uuid> {
    records.iter().map(|record| record.id).collect()
}

async fn assert_found(log: &EmbeddedLog, steps: &[Step]) {
    for stream in ["busy", "rare", "early", "late"] {
        let of_stream = steps.iter().filter(|step| step.stream == stream);
        let expected: Vec<_> =
            of_stream.flat_map(|step| step.records.iter().map(|record| record.id)).collect();
        let whole = log.read_stream(stream, 0, usize::MAX).await.unwrap();
        assert_eq!(ids(&whole), expected, "{stream}");
        let last = expected.len() - 1;
        for from in [1, last / 2, last.saturating_sub(10), last, last + 1] {
            let read = log.read_stream(stream, from as u64, 20).await.unwrap();
            let there = &expected[from..expected.len().min(from + 20)];
            assert_eq!(ids(&read), there, "{stream} from {from}");
            let back = log.read_stream_back(stream, from as u64, 20).await.unwrap();
            let end = expected.len().min(from + 1);
            let there: Vec<_> =
                expected[end.saturating_sub(20)..end].iter().rev().copied().collect();
            assert_eq!(ids(&back), there, "{stream} back from {from}");
        }
    }
    let head = log.head().await.unwrap();
    assert_eq!(log.find_misled(Position(0), head).await.unwrap(), None);
    assert_eq!(log.find_misled_at_all().await.unwrap(), None);
}

/// Whoever got no answer appends again, and gets the first one's.
async fn assert_appended_once(log: &EmbeddedLog, steps: &[Step]) {
    for step in steps.iter().step_by(25) {
        let again = log.append(step.stream, step.expected, step.records.clone()).await.unwrap();
        assert_eq!(again, step.appended);
    }
}

#[tokio::test]
async fn streams_are_found_however_many_of_their_records_are_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let open = || EmbeddedLog::open(&path, EmbeddedOptions::default()).unwrap();
    let log = open();
    let steps = write(&log).await;
    assert_found(&log, &steps).await;
    assert_appended_once(&log, &steps).await;
    log.close().await;
    let log = open();
    assert_appended_once(&log, &steps).await;
    assert_found(&log, &steps).await;
    // Both tables are used, or the test proves nothing.
    let file = rusqlite::Connection::open(&path).unwrap();
    let count = |table: &str| -> i64 {
        file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert!(count("latest_positions") > 0 && count("stream_positions") >= 16_384);
}

/// Most records are of the busy stream, so it is read as the records lie: one that is gone is missed all
/// the same.
#[tokio::test]
async fn a_record_that_is_gone_from_among_its_neighbours_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let open = || EmbeddedLog::open(&path, EmbeddedOptions::default()).unwrap();
    let log = open();
    let steps = write(&log).await;
    log.close().await;
    let gone = steps.iter().filter(|step| step.stream == "busy").nth(9).unwrap().appended.position;
    let file = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'records_are_never_deleted'";
    let guard: String = file.query_row(sql, [], |row| row.get(0)).unwrap();
    let delete = format!("DELETE FROM records WHERE position = {}", gone.0);
    file.execute_batch(&format!("DROP TRIGGER records_are_never_deleted; {delete}; {guard}"))
        .unwrap();
    drop(file);
    let error = open().read_stream("busy", 0, usize::MAX).await.expect_err("one is missing");
    assert!(error.0.to_string().contains("missing, doubled or out of order"), "{}", error.0);
}
