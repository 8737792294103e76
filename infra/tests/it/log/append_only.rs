//! The file refuses what a log must not do, is readable without us, and alterations show (AU-2).

use infra::log::chain::{Broken, ChainVerifier, Fault};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, Position};
use rusqlite::Connection;

use super::{Fixture, fixture, record};

/// Two streams, six records, their positions interleaved.
async fn filled() -> Fixture {
    let log = fixture().await;
    for n in 0..3 {
        log.append("a", Expected::Any, vec![record(n)]).await.unwrap();
        log.append("b", Expected::Any, vec![record(n + 10)]).await.unwrap();
    }
    log
}

#[tokio::test]
async fn sql_that_changes_the_log_is_refused() {
    let log = filled().await;
    let before = log.read_all(Position(0), 10).await.unwrap();
    let foreign = Connection::open(log.path()).unwrap();
    let columns = "position, stream, revision, id, kind, version, at, metadata, data, hash";
    let copy = |position, revision| {
        format!(
            "REPLACE INTO records ({columns}) SELECT {position}, stream, {revision}, id, kind, \
             version, at, metadata, '{{}}', hash FROM records WHERE position = 3"
        )
    };
    for sql in [
        "UPDATE records SET data = '{}' WHERE position = 1",
        "UPDATE records SET position = 100 WHERE position = 6",
        "DELETE FROM records WHERE position = 6",
        "DELETE FROM records",
        "UPDATE streams SET name = 'c' WHERE name = 'a'",
        "DELETE FROM streams",
        "REPLACE INTO streams (id, name) VALUES (1, 'c')",
        "REPLACE INTO streams (name) VALUES ('a')",
        "UPDATE kinds SET name = 'Cancelled'",
        "DELETE FROM kinds",
        "REPLACE INTO kinds (id, name) VALUES (1, 'Cancelled')",
        "UPDATE log SET identity = 'another'",
        "DELETE FROM log",
        // In place of a record, over a revision, before the end, and after a gap.
        &copy("3", "1"),
        &copy("7", "1"),
        &copy("0", "3"),
        &copy("8", "3"),
    ] {
        assert!(foreign.execute(sql, []).is_err(), "{sql}");
    }
    assert_eq!(log.read_all(Position(0), 10).await.unwrap(), before);
    log.append("a", Expected::Revision(2), vec![record(3)]).await.unwrap();
}

#[tokio::test]
async fn any_sqlite_tool_can_read_it() {
    let log = filled().await;
    let foreign = Connection::open(log.path()).unwrap();
    let row: [String; 7] = foreign
        .query_row("SELECT * FROM records_readable WHERE position = 4", [], |row| {
            Ok([
                row.get("stream")?,
                row.get("kind")?,
                row.get("at")?,
                row.get("id")?,
                row.get("metadata")?,
                row.get("data")?,
                row.get("hash")?,
            ])
        })
        .unwrap();
    let stored = &log.read_stream("b", 1, 1).await.unwrap()[0];
    let given = record(11);
    assert_eq!(
        row,
        [
            "b".to_owned(),
            "Reserved".to_owned(),
            given.at.to_string(),
            given.id.to_string(),
            given.metadata.to_string(),
            r#"{"number":11}"#.to_owned(),
            stored.hash.to_string(),
        ]
    );
    assert_eq!(given.at.to_string(), "2027-01-15T08:00:00.011Z");
}

/// Alters a closed copy of the log behind its guards; what is found then.
async fn altered(sql: &str) -> Broken {
    let log = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let foreign = Connection::open(log.path()).unwrap();
    foreign.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    let copy = Connection::open(&path).unwrap();
    let guards: Vec<(String, String)> = copy
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &guards {
        copy.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    copy.execute_batch(sql).unwrap();
    for (_, sql) in &guards {
        copy.execute_batch(sql).unwrap();
    }
    drop(copy);
    let copy = EmbeddedLog::open(&path, EmbeddedOptions::default()).unwrap();
    let mut verifier = ChainVerifier::new().without_gaps();
    copy.read_all(Position(0), 10)
        .await
        .unwrap()
        .iter()
        .find_map(|record| verifier.verify(record).err())
        .expect("the alteration is found")
}

#[tokio::test]
async fn an_alteration_is_found_and_its_first_record_named() {
    let hash = Fault::Hash;
    for (sql, position, stream, fault) in [
        ("UPDATE records SET data = '{\"number\":2}' WHERE position = 3", 3, "a", hash),
        ("UPDATE records SET metadata = '{}' WHERE position = 4", 4, "b", hash),
        ("UPDATE records SET at = at + 1 WHERE position = 1", 1, "a", hash),
        ("UPDATE records SET version = 2 WHERE position = 6", 6, "b", hash),
        ("UPDATE records SET id = randomblob(16) WHERE position = 5", 5, "a", hash),
        ("UPDATE records SET hash = zeroblob(32) WHERE position = 2", 2, "b", hash),
        ("UPDATE kinds SET name = 'Cancelled'", 1, "a", hash),
        ("UPDATE streams SET name = 'c' WHERE name = 'b'", 2, "c", hash),
        ("DELETE FROM records WHERE position = 3", 4, "b", Fault::Missing { after: Position(2) }),
        (
            "DELETE FROM records WHERE position = 1;
             UPDATE records SET position = -position;
             UPDATE records SET position = -position - 1",
            2,
            "a",
            Fault::Beginning,
        ),
    ] {
        let broken = altered(sql).await;
        let found = (broken.position.0, &*broken.stream, broken.fault);
        assert_eq!(found, (position, stream, fault), "{sql}");
    }
}
