//! `evently audit`, on live and stopped servers' data, and on data somebody changed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::{run, run_on, said};
use crate::log_server::LogServer;
use crate::server::{Server, evently};
use crate::shop::Shop;

/// A server with a few sales.
pub(crate) async fn server_with_sales() -> Server {
    let server = Server::start().await;
    let shop = Shop::open(&server, 10).await;
    for number in 1..=3 {
        let booking = shop.reserve(number, 2).await;
        if number < 3 {
            shop.confirm(number, &booking).await;
        }
    }
    server
}

#[tokio::test]
async fn whoever_has_seen_enough_of_an_export_is_not_told_of_a_fault() {
    let server = Server::start().await;
    let shop = Shop::open(&server, 100).await;
    // More than what is kept back before anything is written.
    for number in 0..60 {
        shop.reserve(number, 1).await;
    }
    for args in [&["export"][..], &["export", "--format", "csv"], &["tail", "--after", "0"]] {
        let mut command = evently();
        command.arg("audit").args(args).arg("--data").arg(server.data());
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(running.stdout.take());
        let output = running.wait_with_output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}

async fn verified(data: &Path) -> Value {
    let (status, out, err) = run_on(data, &["audit", "verify", "--json"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    serde_json::from_str(&out).unwrap()
}

/// Changes the log behind the program's back, so that its file looks sound.
pub(crate) fn tamper(data: &Path, change: &str) {
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    let mut triggers = log
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<Vec<(String, String)>, _>>()
        .unwrap();
    triggers
        .iter()
        .for_each(|(name, _)| log.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    assert!(log.execute(change, []).unwrap() > 0, "nothing was changed");
    triggers.drain(..).for_each(|(_, sql)| log.execute_batch(&sql).unwrap());
}

#[tokio::test]
async fn a_sound_log_is_proven_live_and_stopped() {
    let mut server = server_with_sales().await;
    let live = verified(&server.data()).await;
    assert_eq!(live["intact"], true);
    assert_eq!(live["proven"]["sold"], 4);
    assert_eq!(live["proven"]["held"], 2);
    assert_eq!(live["proven"]["capacity"], 10);
    server.stop().await;
    assert_eq!(verified(&server.data()).await, live);
    let (status, out, _) = run_on(&server.data(), &["audit", "verify"]).await;
    assert_eq!(status, 0);
    assert!(out.contains("unaltered:") && out.contains("never oversold:"), "{out}");
}

#[tokio::test]
async fn a_folder_that_is_named_is_proven_also_where_the_environment_names_a_server() {
    let live = LogServer::start().await;
    let mut server = server_with_sales().await;
    server.stop().await;
    let backup = server.data();
    let file = backup.join("evently.toml");
    std::fs::write(&file, format!("log_url = \"{}\"", live.url)).unwrap();
    let ask = async |more: &[&str]| {
        let mut command = evently();
        command.args(["audit", "verify"]).args(more).env("EVENTLY_LOG_URL", &live.url);
        let (status, out, err) = said(&mut command).await;
        (status, out + &err)
    };
    let (data, settings) = (backup.to_str().unwrap(), file.to_str().unwrap());
    let in_folder = format!("the log in the folder {data}");
    // Of an address that names nobody nothing is told but what it is: anything in it may be secret.
    let at_server = "read: the log at esdb://***\n";
    for named in [&["--data", data][..], &["--data", data, "--config", settings]] {
        let (status, told) = ask(named).await;
        assert_eq!(status, 0, "{told}");
        assert!(told.starts_with(&format!("read: {in_folder}\nunaltered: ")), "{told}");
    }
    for named in [&[][..], &["--data", data, "--log-url", &live.url]] {
        let (_, told) = ask(named).await;
        assert!(told.starts_with(at_server), "{named:?}: {told}");
    }
    // What is damaged, and what is not there, is not proven by what the server has.
    tamper(&backup, "UPDATE records SET at = at + 1 WHERE position = 2");
    let (status, told) = ask(&["--data", data]).await;
    assert_eq!(status, 1);
    assert!(told.contains("not as written") && told.contains(&in_folder), "{told}");
    std::fs::remove_file(backup.join("log.sqlite")).unwrap();
    let (status, told) = ask(&["--data", data]).await;
    assert_eq!(status, 1);
    assert!(told.contains("log.sqlite"), "{told}");
}

#[tokio::test]
async fn the_first_record_that_was_altered_is_named() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let data = server.data();
    let position = verified(&data).await["proven"]["position"].as_u64().unwrap() - 2;
    tamper(&data, &format!("UPDATE records SET at = at + 1 WHERE position >= {position}"));
    let (status, out, err) = run_on(&data, &["audit", "verify"]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    let named = format!("record at position {position} ");
    assert!(err.contains(&named) && err.contains("not as written"), "{err}");
    let (status, out, _) = run_on(&data, &["audit", "verify", "--json"]).await;
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &out["intact"]), (1, &false.into()));
    assert_eq!(out["first_bad_record"]["position"], position);
}

/// SQLite's record of small numbers: the length of its head, a type for each number, the numbers.
fn entry(numbers: [u8; 3]) -> Vec<u8> {
    let kind = |number: &u8| if *number < 2 { 8 + number } else { 1 };
    let kinds = numbers.iter().map(kind);
    let stored = numbers.iter().copied().filter(|number| *number > 1);
    std::iter::once(4).chain(kinds).chain(stored).collect()
}

/// Has the positions of the streams' records put in order, as a longer log has most of them.
const IN_ORDER: &str = "INSERT INTO stream_positions SELECT stream, revision, position \
    FROM latest_positions; DELETE FROM latest_positions; PRAGMA wal_checkpoint(TRUNCATE)";

/// The page that the positions of the streams' records begin on: its place in the file.
fn positions(log: &Connection) -> usize {
    let page = "SELECT rootpage FROM sqlite_schema WHERE name = 'stream_positions'";
    let page: u32 = log.query_row(page, [], |row| row.get(0)).unwrap();
    (page as usize - 1) * 4_096
}

/// Does what docs/OPERATIONS.md says makes a log of its records alone, where that can be done.
fn made_anew(data: &Path) -> bool {
    if Command::new("sqlite3").arg("-version").output().is_err() {
        println!("left out: sqlite3 is not installed");
        assert!(std::env::var_os("EVENTLY_TEST_SQLITE3").is_none(), "sqlite3 is to be installed");
        return false;
    }
    let document = include_str!("../../../docs/OPERATIONS.md");
    let (_, rest) = document.split_once("```sh\n(set -e").expect("it says how");
    let (recipe, _) = rest.split_once("```").expect("it ends");
    let mut shell = Command::new("bash");
    let made = shell.args(["-c", &format!("(set -e{recipe}")]).current_dir(data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    true
}

#[tokio::test]
async fn an_index_that_leads_elsewhere_is_told_from_records_that_were_altered() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let data = server.data();
    let path = data.join("log.sqlite");
    let log = Connection::open(&path).unwrap();
    let last = "SELECT stream, revision, position FROM records ORDER BY position DESC LIMIT 1";
    let last: [u8; 3] =
        log.query_row(last, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).unwrap();
    log.execute_batch(IN_ORDER).unwrap();
    let page = positions(&log);
    drop(log);
    let sound = verified(&data).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let entry = entry(last);
    let at = bytes[page..page + 4_096].windows(entry.len()).position(|some| some == entry);
    bytes[page + at.unwrap() + entry.len() - 1] -= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (status, out, err) = run_on(&data, &["audit", "verify"]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    let named = format!("does not lead to the record at position {}", last[2]);
    let whole = format!("{0} records are as written, up to position {0}", last[2]);
    assert!(err.contains(&named) && err.contains(&whole), "{err}");
    let (status, out, _) = run_on(&data, &["audit", "verify", "--json"]).await;
    assert!(status == 1 && out.contains(&named), "{out}");
    // What the sentence says helps.
    assert!(err.contains("Proving a copy"), "{err}");
    if !made_anew(&data) {
        return;
    }
    assert_eq!(verified(&data).await, sound);

    // Also where nothing can be read of it.
    let page = positions(&Connection::open(&path).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[page..page + 4_096].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let (status, _, err) = run_on(&data, &["audit", "verify"]).await;
    assert!(status == 1 && err.contains(&whole) && err.contains("Proving a copy"), "{err}");
    assert!(made_anew(&data));
    assert_eq!(verified(&data).await, sound);
}

#[tokio::test]
async fn a_record_that_was_taken_out_is_missed() {
    let mut server = server_with_sales().await;
    server.stop().await;
    // The venue's: the only one of its stream, whose chain proves nothing without it.
    tamper(&server.data(), "DELETE FROM records WHERE position = 1");
    let (status, _, err) = run_on(&server.data(), &["audit", "verify"]).await;
    assert_eq!(status, 1);
    assert!(err.contains("record at position 2 ") && err.contains("missing"), "{err}");
}

#[tokio::test]
async fn an_export_proves_the_same_offline() {
    let server = server_with_sales().await;
    let proven = verified(&server.data()).await["proven"].clone();
    let (status, export, err) = run_on(&server.data(), &["audit", "export"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(export.lines().count() as u64, proven["records"].as_u64().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ndjson");
    std::fs::write(&file, &export).unwrap();
    let verify = ["audit", "verify", "--json", "--export", file.to_str().unwrap()];
    let (status, out, _) = run(&verify).await;
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &out["proven"]), (0, &proven));

    std::fs::write(&file, export.replacen("\"quantity\":2", "\"quantity\":1", 1)).unwrap();
    let (status, _, err) = run(&verify).await;
    assert_eq!(status, 1);
    assert!(err.contains("not as written"), "{err}");
    let (_, part, _) = run_on(&server.data(), &["audit", "export", "--from", "6"]).await;
    std::fs::write(&file, part).unwrap();
    let (status, _, err) = run(&verify).await;
    assert_eq!(status, 1);
    assert!(err.contains("the beginning of its stream is missing, or was left out"), "{err}");
    std::fs::write(&file, "{\"position\": 1}\n").unwrap();
    let (status, _, err) = run(&verify).await;
    assert_eq!(status, 1);
    assert!(err.contains("line 1 of the export is no record"), "{err}");
}

#[tokio::test]
async fn records_are_printed_by_position_event_and_time() {
    let server = server_with_sales().await;
    let data = server.data();
    let positions = async |args: &[&str]| -> Vec<u64> {
        let (status, out, err) = run_on(&data, &[&["audit", "export"], args].concat()).await;
        assert_eq!((status, err.as_str()), (0, ""), "{args:?}");
        let records = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.map(|record| record["position"].as_u64().unwrap()).collect()
    };
    let all = positions(&[]).await;
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(positions(&["--from", "2", "--to", "4"]).await, [2, 3, 4]);
    assert_eq!(positions(&["--from", "99999"]).await, [0; 0]);
    assert_eq!(positions(&["--since", "2100-01-01T00:00:00Z"]).await, [0; 0]);
    assert_eq!(positions(&["--until", "2100-01-01T00:00:00Z"]).await, all);
    for range in [
        ["--from", "20", "--to", "10"],
        ["--since", "2100-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z"],
    ] {
        let (status, out, err) = run_on(&data, &[&["audit", "export"], &range[..]].concat()).await;
        assert_eq!((status, out.as_str()), (2, ""));
        assert!(err.contains("no record is between them"), "{err}");
    }
    let unknown = domain::EventId::from_u128(7).to_string();
    let (status, out, err) = run_on(&data, &["audit", "export", "--event", &unknown]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.contains(&format!("the log knows no event {unknown}")), "{err}");
    let (_, out, _) = run_on(&data, &["audit", "export", "--from", "2", "--to", "2"]).await;
    let drafted: Value = serde_json::from_str(&out).unwrap();
    let event = drafted["stream"].as_str().unwrap().strip_prefix("event-").unwrap().to_owned();
    assert_eq!(positions(&["--event", &event]).await, all[1..]);

    let (status, csv, _) = run_on(&data, &["audit", "export", "--format", "csv"]).await;
    assert_eq!(status, 0);
    let header = "position,stream,revision,id,type,version,at,data,metadata,hash,reason";
    assert_eq!(csv.lines().next(), Some(header));
    assert_eq!(csv.lines().count(), all.len() + 1);
    assert!(csv.contains("\"{\"\"event\"\":"), "{csv}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, csv).unwrap();
    let file = file.path().to_str().unwrap();
    let (status, _, err) = run(&["audit", "verify", "--export", file]).await;
    assert_eq!(status, 1);
    assert!(err.contains("not NDJSON"), "{err}");
}

#[tokio::test]
async fn the_log_is_followed_as_it_is_written() {
    let server = Server::start().await;
    let mut tail = evently()
        .args(["audit", "tail", "--after", "0", "--count", "5", "--data"])
        .arg(server.data())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let shop = Shop::open(&server, 10).await;
    let mut kinds = vec![];
    for sale in 1..=5 {
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line());
        let line = line.await.expect("it is told in time").unwrap().expect("it goes on");
        let record: Value = serde_json::from_str(&line).unwrap();
        kinds.push(record["type"].as_str().unwrap().to_owned());
        if sale == 4 {
            shop.reserve(1, 1).await;
        }
    }
    let expected =
        ["VenueCreated", "EventDrafted", "EventPublished", "InventoryOpened", "Reserved"];
    assert_eq!(kinds, expected);
    assert!(tail.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_damaged_log_is_refused_with_what_to_do() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let log = server.data().join("log.sqlite");
    let sound = std::fs::read(&log).unwrap();
    let (mut torn, mut foreign) = (sound.clone(), sound.clone());
    torn[100..4096].fill(0xff);
    foreign[..16].copy_from_slice(b"not a database!!");
    for (bytes, says) in [
        (&torn, "restore log.sqlite from a backup"),
        (&foreign, "is damaged (it is not an SQLite database)"),
    ] {
        std::fs::write(&log, bytes).unwrap();
        for command in [&["serve"][..], &["audit", "verify"]] {
            let (status, out, err) = run_on(&server.data(), command).await;
            assert_eq!((status, out.as_str()), (1, ""), "{err}");
            assert!(err.contains(says), "{err}");
        }
        assert_eq!(&std::fs::read(&log).unwrap(), bytes, "it was changed");
    }
    std::fs::write(&log, sound).unwrap();
    Connection::open(&log).unwrap().execute_batch("DROP TRIGGER records_never_change").unwrap();
    let (status, _, err) = run_on(&server.data(), &["serve"]).await;
    assert_eq!(status, 1);
    assert!(err.contains("records_never_change is missing or was changed"), "{err}");
}
