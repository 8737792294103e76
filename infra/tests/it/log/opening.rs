//! What is opened as a log, what is refused, and what the refusal says.

use std::fs;
use std::path::Path;

use infra::log::embedded::{EmbeddedLog, EmbeddedOptions, OpenError};
use infra::log::{AppendError, Expected, Log, Position};
use rusqlite::Connection;

use super::{fixture, record};

fn open(path: &Path) -> Result<EmbeddedLog, OpenError> {
    EmbeddedLog::open(path, EmbeddedOptions::default())
}

/// A closed log with some hundred records.
async fn closed_log(path: &Path) {
    let log = open(path).unwrap();
    for first in 0..30 {
        let records = (first * 10..first * 10 + 10).map(record).collect();
        log.append("inventory-a", Expected::Any, records).await.unwrap();
    }
    log.close().await;
}

/// Both ways of opening say `says`, and the file stays as it is.
fn assert_refused(path: &Path, says: &str) {
    let before = fs::read(path).unwrap();
    for outcome in [open(path), EmbeddedLog::open_read_only(path)] {
        let text = outcome.expect_err(says).to_string();
        assert!(text.contains(says), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    assert!(fs::read(path).unwrap() == before);
}

#[tokio::test]
async fn a_log_keeps_its_identity_and_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let log = open(&path).unwrap();
    let identity = log.identity();
    let appended = log.append("a", Expected::NoStream, vec![record(0)]).await.unwrap();
    drop(log);
    let log = open(&path).unwrap();
    assert_eq!(log.identity(), identity);
    assert_eq!(log.head().await.unwrap(), appended.position);
    let again = log.append("a", Expected::NoStream, vec![record(0)]).await.unwrap();
    assert_eq!(again, appended);
    let other = open(&folder.path().join("other.sqlite")).unwrap();
    assert_ne!(other.identity(), identity);
}

#[test]
fn a_log_is_made_once_however_many_open_it() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let opened: Vec<EmbeddedLog> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&path).unwrap())).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|log| log.identity() == opened[0].identity()));
    }
}

#[test]
fn files_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    for (text, says) in [("hello", "not an SQLite"), (&*"text\n".repeat(5_000), "not an SQLite")] {
        fs::write(&path, text).unwrap();
        assert_refused(&path, says);
    }
    fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE invoices (number INTEGER PRIMARY KEY)").unwrap();
    drop(connection);
    assert_refused(&path, "database of another program");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was left behind");
}

#[test]
fn a_log_that_is_not_there_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let text = EmbeddedLog::open_read_only(&path).expect_err("there is none").to_string();
    assert!(text.contains("there is no log at"), "{text}");
    assert!(!path.exists());
    fs::write(&path, "").unwrap();
    let text = EmbeddedLog::open_read_only(&path).expect_err("it is empty").to_string();
    assert!(text.contains("it is empty"), "{text}");
    // Nothing was ever acknowledged from a file that a crash left empty.
    open(&path).unwrap();
    let missing = folder.path().join("missing").join("log.sqlite");
    assert!(matches!(open(&missing), Err(OpenError::Unreachable { .. })));
}

#[tokio::test]
async fn another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    Connection::open(&path).unwrap().execute("UPDATE log SET format = 3", []).unwrap();
    assert_refused(&path, "has format 3, this program knows formats up to 2");
    Connection::open(&path).unwrap().execute("UPDATE log SET format = 1", []).unwrap();
    assert_refused(&path, "has format 1, this program knows format 2 only");
}

#[tokio::test]
async fn a_log_without_its_guards_is_read_but_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP TRIGGER records_never_change").unwrap();
    let text = open(&path).expect_err("it is refused").to_string();
    assert!(text.contains("records_never_change is missing or was changed"), "{text}");
    connection
        .execute_batch("DROP TRIGGER kinds_never_change; DROP VIEW records_readable")
        .unwrap();
    let text = open(&path).expect_err("it is refused").to_string();
    let names = ["kinds_never_change", "records_never_change", "records_readable"];
    assert!(text.contains(&format!("{} are missing", names.join(", "))), "{text}");
    let log = EmbeddedLog::open_read_only(&path).unwrap();
    assert_eq!(log.changed_guards(), names);
    assert_eq!(log.read_all(Position(0), 1000).await.unwrap().len(), 300);
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 4096]).unwrap();
    assert_refused(&path, "is damaged");
    fs::write(&path, &whole[..3000]).unwrap();
    assert_refused(&path, "is damaged");
    fs::write(&path, &whole).unwrap();
    open(&path).unwrap();
}

#[tokio::test]
async fn damaged_pages_are_an_error_and_never_other_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let whole = fs::read(&path).unwrap();
    let true_records = open(&path).unwrap().read_all(Position(0), 1000).await.unwrap();
    let mut refused = 0;
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0xA5);
        fs::write(&path, &damaged).unwrap();
        let outcome = match EmbeddedLog::open_read_only(&path) {
            Ok(log) => log.read_all(Position(0), 1000).await.map_err(|_| ()),
            Err(_) => Err(()),
        };
        match outcome {
            Ok(records) => assert!(records == true_records, "page {page} changed records"),
            Err(()) => refused += 1,
        }
    }
    assert!(refused * 2 > whole.len() / 4096, "most pages hold records: {refused}");
}

#[tokio::test]
async fn a_live_log_is_read_by_others() {
    let live = fixture().await;
    live.append("a", Expected::NoStream, vec![record(0)]).await.unwrap();
    let reader = EmbeddedLog::open_read_only(live.path()).unwrap();
    assert_eq!(reader.head().await.unwrap(), Position(1));
    live.append("a", Expected::Revision(0), vec![record(1)]).await.unwrap();
    let whole = live.read_stream("a", 0, 10).await.unwrap();
    assert_eq!(whole.len(), 2);
    assert_eq!(reader.read_stream("a", 0, 10).await.unwrap(), whole);
    assert_eq!(reader.read_all(Position(0), 10).await.unwrap(), whole);
    let refused = reader.append("a", Expected::Any, vec![record(2)]).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))));
    live.append("a", Expected::Revision(1), vec![record(2)]).await.unwrap();
}

#[tokio::test]
async fn a_stopped_log_is_read_without_being_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let before = fs::read(&path).unwrap();
    let reader = EmbeddedLog::open_read_only(&path).unwrap();
    assert_eq!(reader.read_all(Position(0), 1000).await.unwrap().len(), 300);
    drop(reader);
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn nothing_is_begun_anew_where_a_log_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let wal = folder.path().join("log.sqlite-wal");
    closed_log(&path).await;
    let identity = open(&path).unwrap().identity();
    let whole = fs::read(&path).unwrap();
    let known = |says: &str| {
        for outcome in [
            EmbeddedLog::open_known(&path, identity, EmbeddedOptions::default()),
            EmbeddedLog::open_known_read_only(&path, identity),
        ] {
            let text = outcome.expect_err(says).to_string();
            assert!(text.contains(says) && text.contains("from a backup"), "{text}");
        }
    };
    fs::remove_file(&path).unwrap();
    known("is missing, though this data folder had one");
    assert!(!path.exists());
    fs::write(&path, "").unwrap();
    known("is empty, though this data folder had one");
    fs::remove_file(&path).unwrap();
    drop(open(&path).unwrap());
    known("is not the one that this data folder had");

    // The last copy of records may be in a write-ahead log that was left.
    fs::write(&path, "").unwrap();
    fs::write(&wal, "records").unwrap();
    assert_refused(&path, "is empty, though its log.sqlite-wal is not");
    fs::remove_file(&path).unwrap();
    for outcome in [open(&path), EmbeddedLog::open_read_only(&path)] {
        let text = outcome.expect_err("records may be there").to_string();
        assert!(text.contains("is missing, though its log.sqlite-wal is there"), "{text}");
    }
    assert_eq!(fs::read_to_string(&wal).unwrap(), "records");
    assert!(!path.exists());

    fs::remove_file(&wal).unwrap();
    fs::write(&path, whole).unwrap();
    EmbeddedLog::open_known(&path, identity, EmbeddedOptions::default()).unwrap();
}

#[tokio::test]
async fn a_damaged_end_does_not_hide_what_is_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let mut bytes = fs::read(&path).unwrap();
    let last = br#"{"number":299}"#;
    let page = bytes.windows(last.len()).position(|some| some == last).unwrap() / 4096;
    bytes[page * 4096..][..4096].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let text = open(&path).expect_err("it is damaged").to_string();
    assert!(text.contains("restore log.sqlite from a backup"), "{text}");
    let log = EmbeddedLog::open_read_only(&path).unwrap();
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 10);
    let error = log.read_all(Position(0), 1000).await.expect_err("a page is damaged");
    let causes =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let told: Vec<String> = causes.map(ToString::to_string).collect();
    let malformed = told.iter().filter(|cause| cause.contains("malformed")).count();
    assert_eq!(malformed, 1, "{told:?}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let log = open(&path).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    assert!(fs::read_dir(folder.path()).unwrap().count() > 1, "what is beside it was looked at");
    drop(log);
}

#[tokio::test]
async fn damage_in_the_middle_is_found_and_nothing_more_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let sound = open(&path).unwrap();
    let hash = sound.read_all(Position(99), 1).await.unwrap()[0].hash;
    sound.check_writable().await.unwrap();
    sound.close().await;
    drop(sound);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(32).position(|some| some == hash.0).unwrap() / 4096 * 4096;
    bytes[place..place + 4096].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    // Its end can be read, so it is opened; what lies before is looked at afterwards.
    let log = open(&path).unwrap();
    let found = async {
        while log.check_writable().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), found).await.expect("it is found");
    let refused = log.append("inventory-b", Expected::Any, vec![record(1)]).await;
    let Err(refused @ AppendError::Unavailable(_)) = refused else { panic!("{refused:?}") };
    let reason = refused.reason().unwrap();
    assert!(reason.contains("damaged") && reason.contains("from a backup"), "{reason}");
    log.close().await;
    drop(log);
    assert!(fs::read(&path).unwrap() == bytes, "it was changed");
}
