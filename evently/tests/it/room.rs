//! Starting on a disk that is full: a file system of its own, in a name space of its own, which goes with
//! the process.

use std::path::Path;
use std::process::Stdio;

use domain::UserId;
use infra::auth::Role;
use infra::testing::signal;
use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::server::{PROGRAM, Server, without_settings};
use crate::serving::free_port;
use crate::shop::{Shop, answer};

/// Runs `script` where it may mount at `$1`; the program is `$0`.
fn apart(script: &str, place: &Path) -> Command {
    let mut command = without_settings("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, PROGRAM]).arg(place);
    command
}

/// Whether this machine lets anybody do so.
async fn may_mount(place: &Path) -> bool {
    let mut trial = apart("mount -t tmpfs -o size=48k none \"$1\"", place);
    let may = trial.stderr(Stdio::null()).status().await.is_ok_and(|status| status.success());
    if !may {
        println!("left out: nobody may mount a file system here");
    }
    may
}

#[tokio::test]
async fn a_new_folder_on_a_full_disk_is_refused_in_one_sentence() {
    let place = tempfile::tempdir().unwrap();
    if !may_mount(place.path()).await {
        return;
    }
    let start = |command: &str| {
        let size = "mount -t tmpfs -o size=16k none \"$1\"";
        apart(&format!("{size} && exec \"$0\" {command} --data \"$1/data\""), place.path())
    };
    for command in ["serve --listen 127.0.0.1:0", "log-server --listen 127.0.0.1:0"] {
        let ended = start(command).output().await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(1), &b""[..]), "{said}");
        let full = format!("the disk that {}/data is on is full: free ", place.path().display());
        assert!(said.contains(&full), "{said}");
        let lines = said.lines().filter(|line| line.starts_with("evently: ")).count();
        assert_eq!((lines, said.lines().count()), (1, 1), "{said}");
    }
}

/// What is there can be read, and nothing is sold until there is room.
#[tokio::test]
async fn a_server_starts_on_a_disk_that_became_full_while_it_did_not_run() {
    let place = tempfile::tempdir().unwrap();
    if !may_mount(place.path()).await {
        return;
    }
    // The database inside is another matter: what it needs, it takes when there is room.
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/none", free_port());
    let mut server = Server::start_with(&["--database-url", &nowhere]).await;
    let shop = Shop::open(&server, 1_000).await;
    shop.reserve(1, 1).await;
    let (event, tier) = (shop.event.clone(), shop.tier.clone());
    drop(shop);
    assert!(server.stop().await.success());
    let script = format!(
        "mount -t tmpfs -o size=2m none \"$1\" && cp -r '{}' \"$1/data\" \
         && head -c 1000000000 /dev/zero > \"$1/filler\" 2>/dev/null; \
         truncate -s -160k \"$1/filler\" \
         && exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1/data\" --database-url '{nowhere}'",
        server.data().display()
    );
    let mut full = apart(&script, place.path());
    let mut full = full.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(full.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("it starts");
    let url = line.split("at ").nth(1).and_then(|rest| rest.split("/api/").next()).unwrap();
    let left = Client::new().get(format!("{url}/api/v1/events/{event}/availability"));
    assert_eq!(answer(left, 200).await["available"], 999);
    let body = json!({"event_id": event, "tier_id": tier, "quantity": 1});
    let path = format!("{url}/api/v1/bookings/reserve");
    // What little room there is may be enough for a few.
    let mut refused = Value::Null;
    for number in 2..900 {
        let token = server.token(UserId::from_u128(number), &[Role::Attendee]);
        let ask = Client::new().request(Method::POST, &path).bearer_auth(&token).json(&body);
        let answer = ask.send().await.unwrap();
        let status = answer.status();
        refused = answer.json().await.unwrap();
        if status == 503 {
            break;
        }
    }
    assert_eq!(refused["code"], "LOG_UNAVAILABLE", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("cannot be written: the disk is full"), "{detail}");
    signal(full.id().unwrap(), Signal::TERM);
    assert!(full.wait().await.unwrap().success());
}
