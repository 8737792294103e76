use std::fs;

use domain::Time;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

fn committer() -> (Committer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = LogFile::open(&folder.path().join("log.sqlite"), None).unwrap();
    (Committer::open(&file, Damage::default()).unwrap(), folder)
}

/// A record of this many bytes for a stream of its own.
fn append(number: u128, bytes: usize) -> Append {
    let new = NewRecord {
        id: Uuid::from_u128(number),
        kind: "Reserved".into(),
        version: 1,
        at: Time::from_ms(0),
        metadata: "{}".into(),
        data: vec![b' '; bytes].into(),
    };
    Append { stream: number.to_string().into(), expected: Expected::NoStream, records: vec![new] }
}

fn stored(committer: &Committer) -> Vec<u128> {
    let sql = "SELECT id FROM records ORDER BY position";
    let mut statement = committer.connection.prepare(sql).unwrap();
    let ids = statement.query_map([], |row| row.get(0)).unwrap();
    ids.map(|id| u128::from_be_bytes(id.unwrap())).collect()
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_space() {
    let (mut committer, _folder) = committer();
    let committed = committer.commit(&[append(1, 10)]);
    assert_eq!(committed.records.len(), 1);
    let pages = |committer: &Committer, pages: u32| {
        committer.connection.pragma_update(None, "max_page_count", pages).unwrap();
    };
    let used: u32 =
        committer.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    pages(&committer, used + 2);
    let committed = committer.commit(&[append(2, 10), append(3, 50_000)]);
    assert!(committed.records.is_empty());
    for outcome in committed.outcomes {
        let error = outcome.expect_err("the disk is full");
        let AppendError::Unavailable(cause) = error else { unreachable!("{error:?}") };
        assert_eq!(cause.to_string(), "the disk is full");
    }
    assert_eq!(stored(&committer), [1]);
    // What fits is still taken, and the rest once there is space.
    assert!(committer.commit(&[append(2, 10)]).outcomes[0].is_ok());
    pages(&committer, u32::MAX);
    let committed = committer.commit(&[append(3, 50_000), append(4, 10)]);
    let positions: Vec<u64> =
        committed.outcomes.into_iter().map(|outcome| outcome.unwrap().position.0).collect();
    assert_eq!(positions, [3, 4]);
    assert_eq!(stored(&committer), [1, 2, 3, 4]);
}

#[test]
fn a_failure_of_one_append_is_its_own() {
    let (mut committer, _folder) = committer();
    committer.connection.execute_batch("CREATE UNIQUE INDEX one_id ON records (id)").unwrap();
    committer.commit(&[append(1, 10)]);
    let mut doubled = append(2, 10);
    doubled.records[0].id = Uuid::from_u128(1);
    let committed = committer.commit(&[append(3, 10), doubled, append(4, 10)]);
    let succeeded: Vec<bool> = committed.outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [true, false, true]);
    let positions: Vec<u64> = committed.records.iter().map(|r| r.position.0).collect();
    assert_eq!(positions, [2, 3]);
    assert_eq!(stored(&committer), [1, 3, 4]);
}

/// Makes the next `failures` commits fail.
fn fail_commits(committer: &Committer, mut failures: u32) {
    let hook = move || {
        let fails = failures > 0;
        failures = failures.saturating_sub(1);
        fails
    };
    committer.connection.commit_hook(Some(hook)).unwrap();
}

#[test]
fn a_failed_commit_is_known_to_be_lost_once_another_took_its_place() {
    let (mut committer, _folder) = committer();
    fail_commits(&committer, 1);
    let outcome = committer.commit(&[append(1, 10)]).outcomes.remove(0);
    assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    let settled: i64 =
        committer.connection.query_row("SELECT settled FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(settled, 1);
    assert!(committer.commit(&[append(1, 10)]).outcomes[0].is_ok());
}

#[test]
fn a_check_tells_what_is_wrong_until_it_is_mended() {
    let (mut committer, folder) = committer();
    let failing = committer.failing();
    fail_commits(&committer, 2);
    committer.check().unwrap();
    committer.commit(&[append(1, 10)]);
    assert!(failing.load(Ordering::Relaxed));
    // The second failure was the settling's: the check is refused by the folder alone.
    fs::create_dir(&committer.room).unwrap();
    let error = committer.check().unwrap_err();
    assert_eq!(error.reason().as_deref(), Some("the log's folder cannot be written"));
    fs::remove_dir(&committer.room).unwrap();
    #[cfg(target_os = "linux")]
    {
        std::os::unix::fs::symlink("/dev/full", &committer.room).unwrap();
        let error = committer.check().unwrap_err();
        assert_eq!(error.reason().as_deref(), Some("the disk is full"));
    }
    fail_commits(&committer, 1);
    let error = committer.check().unwrap_err();
    assert_eq!(error.reason().as_deref(), Some("the log's file failed"));
    assert!(failing.load(Ordering::Relaxed));
    committer.check().unwrap();
    assert!(!failing.load(Ordering::Relaxed));
    assert!(stored(&committer).is_empty());
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("room")));
}

#[test]
fn damage_that_is_met_while_writing_is_told_as_what_it_is() {
    let (mut first, folder) = committer();
    first.commit(&[append(1, 10)]);
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'records'";
    let page: usize =
        first.connection.query_row(sql, [], |row| Ok(row.get::<_, u32>(0)? as usize)).unwrap();
    first.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(first);
    let path = folder.path().join("log.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page - 1) * 4_096..][..4_096].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let file = LogFile::open(&path, None).unwrap();
    let damage = Damage::default();
    let mut committer = Committer::open(&file, damage.clone()).unwrap();
    let outcome = committer.commit(&[append(2, 10)]).outcomes.remove(0);
    assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    assert!(matches!(damage.check(), Err(StorageError::NotWhole)));
}

#[test]
fn otherwise_its_outcome_is_unknown() {
    let (mut committer, _folder) = committer();
    fail_commits(&committer, 2);
    let committed = committer.commit(&[append(1, 10), append(2, 10)]);
    assert!(committed.records.is_empty());
    for outcome in committed.outcomes {
        assert!(matches!(outcome, Err(AppendError::OutcomeUnknown(_))), "{outcome:?}");
    }
    assert!(committer.commit(&[append(1, 10)]).outcomes[0].is_ok());
    assert_eq!(stored(&committer), [1]);
}
