//! Logs that somebody, or a disk, has altered: nobody decides on them.

use std::fs;
use std::path::Path;

use infra::log::embedded::{EmbeddedLog, EmbeddedOptions, Misled};
use infra::log::{Expected, Log, Position, ReadError};
use rusqlite::Connection;

use super::record;

fn open(path: &Path) -> EmbeddedLog {
    EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap()
}

/// A closed log with some hundred records of one stream.
async fn closed_log(path: &Path) {
    let log = open(path);
    log.append("inventory-a", Expected::NoStream, (0..300).map(record).collect()).await.unwrap();
    log.close().await;
}

fn told(error: &ReadError) -> String {
    error.0.to_string()
}

/// Nothing of it is read as far as the record at `position`, and nothing more is written.
async fn assert_refused(path: &Path, position: u64, says: &str) {
    let log = open(path);
    let error = log.read_stream("inventory-a", 0, 1_000).await.expect_err(says);
    let named = format!("the record at position {position} is damaged");
    assert!(told(&error).contains(&named) && told(&error).contains(says), "{}", told(&error));
    let append = log.append("inventory-b", Expected::NoStream, vec![record(900)]).await;
    let reason = append.expect_err("it is damaged").reason();
    assert!(reason.is_some_and(|reason| reason.contains("restored from a backup")));
    let reason = log.check_writable().await.expect_err("it is damaged").reason();
    assert!(reason.is_some_and(|reason| reason.contains("restored from a backup")));
}

#[tokio::test]
async fn a_record_that_was_altered_is_not_decided_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let mut bytes = fs::read(&path).unwrap();
    let data = br#"{"number":150}"#;
    let at = bytes.windows(data.len()).position(|some| some == data).unwrap();
    bytes[at..at + data.len()].copy_from_slice(br#"{"number":950}"#);
    fs::write(&path, bytes).unwrap();
    {
        let log = open(&path);
        // What is before it is as it was.
        assert_eq!(log.read_stream("inventory-a", 0, 150).await.unwrap().len(), 150);
        log.append("inventory-b", Expected::NoStream, vec![record(800)]).await.unwrap();
        let error = log.read_stream("inventory-a", 150, 1).await.expect_err("it was altered");
        assert!(told(&error).contains("position 151"), "{}", told(&error));
        // Who is to say what is wrong with it has to see it.
        assert_eq!(log.read_stream_as_is("inventory-a", 0, 1_000).await.unwrap().len(), 300);
    }
    assert_refused(&path, 151, "its hash does not follow").await;
}

/// A closed log whose last record stands once more at its end, so many revisions later.
async fn log_with_a_copy(path: &Path, later: u64) {
    closed_log(path).await;
    let copy = "INSERT INTO records SELECT position + 1, stream, revision + ?1, id, kind, version, at, \
        metadata, data, hash FROM records WHERE position = 300";
    assert_eq!(Connection::open(path).unwrap().execute(copy, [later as i64]).unwrap(), 1);
}

#[tokio::test]
async fn a_record_that_stands_twice_is_not_decided_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    log_with_a_copy(&path, 1).await;
    assert_refused(&path, 301, "its hash does not follow").await;
}

#[tokio::test]
async fn a_stream_with_a_gap_is_not_decided_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    log_with_a_copy(&path, 2).await;
    assert_refused(&path, 301, "missing, doubled or out of order").await;
    let error = open(&path).read_stream("inventory-a", 301, 1).await.expect_err("a gap before it");
    assert!(told(&error).contains("position 301"), "{}", told(&error));
}

/// The file's bytes, and where in them the page of an index begins.
fn index(path: &Path, name: &str) -> (Vec<u8>, usize) {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let log = Connection::open(path).unwrap();
    let page: usize = log.query_row(sql, [name], |row| Ok(row.get::<_, u32>(0)? as usize)).unwrap();
    (fs::read(path).unwrap(), (page - 1) * 4_096)
}

/// Where `entry` begins in the page at `page`.
fn find(bytes: &[u8], page: usize, entry: &[u8]) -> usize {
    let page_bytes = &bytes[page..page + 4_096];
    page + page_bytes.windows(entry.len()).position(|some| some == entry).expect("it is there")
}

/// Has the positions of the streams' records put in order, as a longer log has most of them.
fn in_order(path: &Path) {
    let log = Connection::open(path).unwrap();
    log.execute_batch(
        "INSERT INTO stream_positions SELECT stream, revision, position FROM latest_positions; \
         DELETE FROM latest_positions; PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
}

/// What is found to be wrong with the indexes, though every record is as it was written.
async fn misled(path: &Path) -> Misled {
    let log = EmbeddedLog::open_read_only(path).unwrap();
    assert_eq!(log.read_all(Position(0), 1_000).await.unwrap().len(), 300);
    let first = log.find_misled(Position(0), Position(300)).await.unwrap();
    match first {
        Some(misled) => misled,
        None => log.find_misled_at_all().await.unwrap().expect("it is damaged"),
    }
}

/// SQLite's record of stream 1, revision 100, position 101: the length of its head, three types (9
/// is the number 1), two numbers.
const ENTRY: [u8; 6] = [4, 9, 1, 1, 100, 101];

#[tokio::test]
async fn an_index_that_leads_elsewhere_is_found_before_anybody_decides_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let sound = open(&path);
    assert_eq!(sound.find_misled(Position(0), Position(300)).await.unwrap(), None);
    assert_eq!(sound.find_misled_at_all().await.unwrap(), None);
    sound.close().await;
    drop(sound);
    in_order(&path);
    let (whole, page) = index(&path, "stream_positions");
    let write = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
    };
    // The number of entries is in bytes 3 and 4 of a page, from byte 8 on where each of them is.
    let count = usize::from(u16::from_be_bytes([whole[page + 3], whole[page + 4]]));
    assert_eq!(count, 300, "the index has one page");
    let set_count = |bytes: &mut Vec<u8>, count: u16| {
        bytes[page + 3..page + 5].copy_from_slice(&count.to_be_bytes());
    };
    write(&|bytes| set_count(bytes, 299));
    assert_eq!(misled(&path).await, Misled::Record(Position(300)));
    write(&|bytes| {
        let last = page + 8 + 2 * 299;
        bytes.copy_within(last..last + 2, last + 2);
        set_count(bytes, 301);
    });
    assert_eq!(misled(&path).await, Misled::Entries { entries: 301, records: 300 });
    write(&|bytes| {
        let at = find(bytes, page, &ENTRY);
        bytes[at + 5] = 102;
    });
    assert_eq!(misled(&path).await, Misled::Record(Position(101)));

    let log = open(&path);
    let found = async {
        while log.check_writable().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), found).await.expect("it is found");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    closed_log(&path).await;
    let (mut bytes, page) = index(&path, "sqlite_autoindex_streams_1");
    // A text of 11 bytes, and the number 1, which becomes 0.
    let at = find(&bytes, page, &[&[3, 35, 9], &b"inventory-a"[..]].concat());
    bytes[at + 2] = 8;
    fs::write(&path, bytes).unwrap();
    let name = "inventory-a".to_owned();
    assert_eq!(misled(&path).await, Misled::Name { table: "streams", name });
}

/// As a server leaves it that was killed: all but the last append would be lost without a word.
#[tokio::test]
async fn an_altered_write_ahead_log_is_refused() {
    let (live, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = killed.path().join("log.sqlite");
    let log = open(&live.path().join("log.sqlite"));
    for number in 0..20 {
        log.append("inventory-a", Expected::Any, vec![record(number)]).await.unwrap();
    }
    for file in ["log.sqlite", "log.sqlite-wal"] {
        fs::copy(live.path().join(file), killed.path().join(file)).unwrap();
    }
    let (file, wal) = (fs::read(&path).unwrap(), killed.path().join("log.sqlite-wal"));
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&wal, &bytes).unwrap();
    for outcome in
        [EmbeddedLog::open(&path, EmbeddedOptions::default()), EmbeddedLog::open_read_only(&path)]
    {
        let text = outcome.expect_err("it was altered").to_string();
        assert!(text.contains("log.sqlite-wal is not as it was written"), "{text}");
        assert!(text.contains("restore log.sqlite from a backup"), "{text}");
    }
    assert!(fs::read(&path).unwrap() == file && fs::read(&wal).unwrap() == bytes);
    bytes[middle] ^= 1;
    fs::write(&wal, &bytes).unwrap();
    assert_eq!(open(&path).head().await.unwrap(), Position(20));
}
