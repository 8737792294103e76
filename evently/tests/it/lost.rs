//! Logs of which something is gone: no server sells on what is left, and the audit says so.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::audit::{server_with_sales, tamper};
use crate::cli::{run, run_on};
use crate::server::Server;

/// Neither a server nor an audit takes what is there, and they say why; nothing is changed.
async fn assert_refused(data: &Path, says: &str) {
    let log = data.join("log.sqlite");
    let before = fs::read(&log).ok();
    for command in [&["serve"][..], &["audit", "verify"], &["projections", "status"]] {
        let (status, out, err) = run_on(data, command).await;
        assert_eq!((status, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.contains(says) && err.contains("backup"), "{command:?}: {err}");
    }
    assert!(fs::read(&log).ok() == before, "it was changed");
}

async fn in_json(data: &Path, args: &[&str]) -> (i32, Value) {
    let (status, out, _) = run_on(data, &[&["audit", "verify", "--json"], args].concat()).await;
    (status, serde_json::from_str(&out).unwrap())
}

#[tokio::test]
async fn a_log_that_is_gone_is_not_begun_anew() {
    let mut server = server_with_sales().await;
    let data = server.data();
    let log = data.join("log.sqlite");
    server.kill().await;
    let whole = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let wal = fs::read(data.join("log.sqlite-wal")).unwrap();
    assert_refused(&data, "is missing, though this data folder had one").await;
    fs::write(&log, "").unwrap();
    assert_refused(&data, "is empty, though this data folder had one").await;
    assert_eq!(in_json(&data, &[]).await.0, 1);
    assert!(fs::read(data.join("log.sqlite-wal")).unwrap() == wal, "it was changed");
    // Of another folder.
    let mut other = Server::start().await;
    other.stop().await;
    let set_aside = data.join("set-aside");
    fs::rename(data.join("log.sqlite-wal"), &set_aside).unwrap();
    fs::copy(other.data().join("log.sqlite"), &log).unwrap();
    assert_refused(&data, "is not the one that this data folder had").await;
    let mut garbled = whole.clone();
    garbled[..8].copy_from_slice(b"garbage!");
    fs::write(&log, garbled).unwrap();
    assert_refused(&data, "log.sqlite is damaged (it is not an SQLite database)").await;
    fs::write(&log, whole).unwrap();
    fs::rename(set_aside, data.join("log.sqlite-wal")).unwrap();
    server.restart().await;
    assert_eq!(in_json(&data, &[]).await.1["proven"]["sold"], 4);
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_not_sold_from_until_that_is_accepted() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let data = server.data();
    let (_, sound) = in_json(&data, &[]).await;
    let last = sound["proven"]["position"].as_u64().unwrap();
    for table in ["records", "latest_positions"] {
        tamper(&data, &format!("DELETE FROM {table} WHERE position = {last}"));
    }
    let says = format!("ends at position {}, but was followed to position {last}", last - 1);
    assert_refused(&data, &says).await;
    let (status, told) = in_json(&data, &[]).await;
    assert_eq!((status, &told["intact"]), (1, &false.into()));
    assert!(told["problems"][0].as_str().unwrap().contains(&says), "{told}");
    // Without the wake list nobody knows, which is said.
    fs::remove_file(data.join("wake.json")).unwrap();
    let (status, out, _) = run_on(&data, &["audit", "verify"]).await;
    assert_eq!(status, 0);
    assert!(out.contains("not proven: that nothing was cut off at the end"), "{out}");
    let expected = last.to_string();
    let (status, told) = in_json(&data, &["--expect", &expected]).await;
    assert_eq!((status, &told["position"]), (1, &(last - 1).into()));
    let expected = (last - 1).to_string();
    assert_eq!(in_json(&data, &["--expect", &expected]).await.0, 0);
}

#[tokio::test]
async fn an_export_that_lost_its_end_is_found_by_who_noted_it() {
    let server = server_with_sales().await;
    let (_, export, _) = run_on(&server.data(), &["audit", "export"]).await;
    let last = export.lines().count();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ndjson");
    let cut: Vec<&str> = export.lines().take(last - 1).collect();
    fs::write(&file, cut.join("\n")).unwrap();
    let verify = async |args: &[&str]| {
        let command = ["audit", "verify", "--export", file.to_str().unwrap()];
        run(&[&command, args].concat()).await
    };
    let (status, out, _) = verify(&[]).await;
    assert_eq!(status, 0);
    assert!(out.contains("not proven: that nothing was cut off"), "{out}");
    let (status, out, err) = verify(&["--expect", &last.to_string()]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    let says = format!("at position {}, but there should be one at {last}", last - 1);
    assert!(err.contains(&says), "{err}");
    fs::write(&file, "").unwrap();
    let (status, _, err) = verify(&[]).await;
    assert_eq!(status, 1);
    assert!(err.contains("empty: nothing to prove"), "{err}");
    let (status, out, _) = verify(&["--json"]).await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&out).unwrap()["intact"].as_bool()),
        (1, Some(false))
    );
}

/// Whoever can write the file can also compute hashes: a log of other sales, all chained.
#[tokio::test]
async fn a_log_that_was_written_anew_does_not_have_the_seal() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let (_, sound) = in_json(&server.data(), &[]).await;
    let seal = sound["seal"].as_str().unwrap().to_owned();
    let (status, told) = in_json(&server.data(), &["--expect", &seal]).await;
    assert_eq!(status, 0);
    assert!(told["not_proven"].as_str().unwrap().ends_with(&seal), "{told}");
    server.restart().await;
    server.stop().await;
    assert_eq!(in_json(&server.data(), &["--expect", &seal]).await.0, 0, "it only grows");
    let mut other = server_with_sales().await;
    other.stop().await;
    assert_eq!(in_json(&other.data(), &[]).await.0, 0);
    let (status, told) = in_json(&other.data(), &["--expect", &seal]).await;
    assert_eq!(status, 1);
    assert!(told["problems"][0].as_str().unwrap().contains(&format!("not those of seal {seal}")));
    let (status, _, err) = run_on(&other.data(), &["audit", "verify", "--expect", "7:x"]).await;
    assert_eq!(status, 2);
    assert!(err.contains("expected a position"), "{err}");
}

#[tokio::test]
async fn an_empty_log_proves_nothing() {
    let mut server = Server::start().await;
    server.stop().await;
    let (status, out, err) = run_on(&server.data(), &["audit", "verify"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains("\nempty: nothing to prove"), "{out}");
}

#[tokio::test]
async fn guards_that_were_dropped_do_not_hide_what_was_altered() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let data = server.data();
    let drop = "DROP TRIGGER records_never_change; DROP TRIGGER log_is_never_deleted;";
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    log.execute_batch(drop).unwrap();
    let (status, out, err) = run_on(&data, &["audit", "verify"]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.contains("changed: log_is_never_deleted, records_never_change;"), "{err}");
    assert!(!err.contains("record at position"), "{err}");
    log.execute("UPDATE records SET at = at + 1 WHERE position = 3", []).unwrap();
    let (status, told) = in_json(&data, &[]).await;
    assert_eq!((status, &told["first_bad_record"]["position"]), (1, &3.into()));
    assert_eq!(told["problems"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(run_on(&data, &["audit", "export"]).await.0, 0);
}

#[tokio::test]
async fn a_damaged_page_is_named_by_the_position_before_it() {
    let mut server = server_with_sales().await;
    server.stop().await;
    let data = server.data();
    let path = data.join("log.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let (_, sound) = in_json(&data, &[]).await;
    let last = sound["proven"]["position"].as_u64().unwrap();
    // The page with the data of the last record, which has the first one no more.
    let log = Connection::open(&path).unwrap();
    let sql = "SELECT hash FROM records WHERE position = ?1";
    let hash = |position: u64| -> Vec<u8> {
        log.query_row(sql, [position as i64], |row| row.get(0)).unwrap()
    };
    let page = |position| {
        let hash = hash(position);
        bytes.windows(hash.len()).position(|some| some == hash).unwrap() / 4096
    };
    let damaged = page(last);
    let before = (1..last).take_while(|position| page(*position) != damaged).count();
    assert!(before > 0, "the records are on more than one page");
    bytes[damaged * 4096..][..4096].fill(0xA5);
    drop(log);
    fs::write(&path, bytes).unwrap();
    let (status, out, err) = run_on(&data, &["audit", "verify"]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    let says = format!("cannot be read after position {before}: ");
    assert!(err.contains(&says) && err.contains("restore log.sqlite from a backup"), "{err}");
    assert!(err.contains(&format!("{before} records are as written")), "{err}");
    assert_eq!(err.matches("malformed").count(), 1, "{err}");
    let (status, told) = in_json(&data, &[]).await;
    assert_eq!((status, &told["position"]), (1, &before.into()));
    let (status, out, err) = run_on(&data, &["audit", "export"]).await;
    assert_eq!((status, out.lines().count()), (1, before));
    assert!(err.contains(&says), "{err}");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_told_in_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let (status, told) = in_json(&folder.path().join("none"), &[]).await;
    assert_eq!(status, 1);
    assert!(told["error"].as_str().unwrap().contains("there is no data folder at"), "{told}");
    let file = folder.path().join("log.ndjson");
    fs::write(&file, "{}\n").unwrap();
    let (status, out, _) =
        run(&["audit", "verify", "--json", "--export", file.to_str().unwrap()]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status, 1);
    assert!(told["error"].as_str().unwrap().contains("line 1 of the export"), "{told}");
}

#[tokio::test]
async fn only_the_owner_may_read_the_databases() {
    use std::os::unix::fs::PermissionsExt;
    let server = server_with_sales().await;
    let mut seen = 0;
    for entry in fs::read_dir(server.data()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".sqlite") {
            seen += 1;
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
    }
    assert_eq!(seen, 6, "two databases, each with what SQLite puts beside it");
}

/// No server starts, and nothing is made in place of what is lost.
async fn assert_keys_refused(data: &Path, says: &str) {
    // What SQLite puts beside a database comes and goes.
    let keys = || {
        let mut files = crate::accounts::files(&data.join("keys"));
        files.retain(|file| !file.to_string_lossy().contains("sqlite-"));
        files
    };
    let before = keys();
    for command in [&["serve"][..], &["admin", "create", "--email", "eve@example.org"]] {
        let (status, out, err) = run_on(data, command).await;
        assert_eq!((status, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.contains(says) && err.contains("from a backup"), "{command:?}: {err}");
    }
    assert_eq!(keys(), before, "something was made");
}

#[tokio::test]
async fn keys_that_are_gone_are_not_made_anew() {
    let mut server = Server::start().await;
    let data = server.data();
    let create = ["admin", "create", "--email", "ada@example.org"];
    assert_eq!(run_on(&data, &create).await.0, 0);
    server.stop().await;
    let (keys, aside) = (data.join("keys"), data.join("aside"));
    let marker = fs::read_to_string(data.join("evently.json")).unwrap();
    let mut before_it_was_noted: Value = serde_json::from_str(&marker).unwrap();
    before_it_was_noted.as_object_mut().unwrap().remove("keys").unwrap();
    for marker in [marker, before_it_was_noted.to_string()] {
        fs::write(data.join("evently.json"), &marker).unwrap();
        fs::rename(&keys, &aside).unwrap();
        assert_keys_refused(&data, "keys is missing, which had the keys").await;
        fs::rename(&aside, &keys).unwrap();
        for (name, says) in [
            ("signing.pem", "signing.pem is missing"),
            ("master.key", "master.key is missing"),
            ("identity.sqlite", "identity.sqlite, with the keys of persons, is missing"),
        ] {
            fs::rename(keys.join(name), &aside).unwrap();
            assert_keys_refused(&data, says).await;
            fs::rename(&aside, keys.join(name)).unwrap();
        }
        // Nor is a store taken that has nobody's keys, if it was forgotten which one it was.
        let (store, name) = (keys.join("identity.sqlite"), keys.join("identity.store"));
        let (whole, noted) = (fs::read(&store).unwrap(), fs::read(&name).unwrap());
        let put = |bytes: &[u8]| {
            for beside in ["identity.sqlite-wal", "identity.sqlite-shm"] {
                let _ = fs::remove_file(keys.join(beside));
            }
            fs::write(&store, bytes).unwrap();
        };
        fs::remove_file(&name).unwrap();
        put(b"");
        let (status, _, err) = run_on(&data, &["serve"]).await;
        assert!(status == 1 && err.contains("is not the one that holds the keys"), "{err}");
        put(&whole);
        fs::write(&name, noted).unwrap();
    }
    server.restart().await;
    assert_eq!(run_on(&data, &create).await.0, 0);
    let (_, token, _) = run_on(&data, &["token"]).await;
    fs::remove_file(keys.join("signing.pem")).unwrap();
    let (status, _, err) = run_on(&data, &["token"]).await;
    assert!(status == 1 && err.contains("signing.pem is missing"), "{token}{err}");
    assert_eq!(run_on(&data, &["keys", "rotate-signing"]).await.0, 0);
    assert_eq!(run_on(&data, &["token"]).await.0, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_master_key_that_does_not_fit_is_found_at_the_start() {
    let mut server = Server::start().await;
    let data = server.data();
    server.stop().await;
    let path = data.join("keys").join("master.key");
    let right = fs::read(&path).unwrap();
    let wrong = format!("{}=\n", "A".repeat(43));
    fs::write(&path, &wrong).unwrap();
    assert_keys_refused(&data, "the master key does not fit the keys of persons").await;
    fs::write(&path, right).unwrap();
    server.restart().await;
    server.stop().await;
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let url = postgres.empty_database().await;
    let mut server = Server::start_with(&["--database-url", &url]).await;
    server.stop().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    for (args, says) in [
        (&["--master-key", wrong.trim()][..], "the master key does not fit"),
        // What is in the database was wrapped with a key that is not here.
        (&[], "master.key is missing"),
    ] {
        let serve = [&["serve", "--database-url", &url], args].concat();
        let (status, _, err) = run_on(&data, &serve).await;
        assert!(status == 1 && err.contains(says), "{err}");
    }
    assert!(!data.join("keys").join("master.key").exists());
}

#[tokio::test]
async fn where_keys_are_lost_for_ever_one_begins_anew() {
    let mut server = Server::start().await;
    let data = server.data();
    let create = ["admin", "create", "--email", "ada@example.org"];
    let (_, first, _) = run_on(&data, &create).await;
    let anew = async || run_on(&data, &["keys", "begin-anew"]).await;
    let (status, _, err) = anew().await;
    assert!(status == 1 && err.contains("already has the data folder"), "{err}");
    server.stop().await;
    let (status, _, err) = anew().await;
    assert!(status == 1 && err.contains("nothing is lost"), "{err}");
    let keys = data.join("keys");
    let signing = fs::read(keys.join("signing.pem")).unwrap();
    fs::remove_file(keys.join("master.key")).unwrap();
    assert_keys_refused(&data, "master.key is missing").await;
    let (status, out, err) = anew().await;
    assert_eq!((status, err.as_str()), (0, ""));
    let aside = std::path::Path::new(out.trim().split(" is in ").nth(1).unwrap());
    assert!(aside.join("identity.sqlite").exists() && aside.join("identity.store").exists());
    // Tokens are as good as before, and people register again.
    assert_eq!(fs::read(keys.join("signing.pem")).unwrap(), signing);
    server.restart().await;
    let (status, second, err) = run_on(&data, &create).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert_ne!(first.lines().next(), second.lines().next());
    server.stop().await;
    fs::remove_dir_all(&keys).unwrap();
    assert_eq!(anew().await, (0, "there are new keys\n".to_owned(), String::new()));
    server.restart().await;
    server.stop().await;
    // Nor was that done without the log saying so.
    let (_, log, _) = run_on(&data, &["audit", "export"]).await;
    assert_eq!(log.matches("KeysRenewalOrdered").count(), 2, "{log}");
}
