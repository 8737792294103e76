//! `evently demo`, small.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::audit::tamper;
use crate::cli::{run, run_on, said};
use crate::server::{Server, evently};
use crate::shop::Shop;

const SALE: [&str; 6] = ["demo", "--buyers", "400", "--seats", "60", "--json"];

fn check(report: &str) -> Value {
    let report: Value = serde_json::from_str(report).unwrap();
    let number = |path: &str| {
        report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}: {report:#}"))
    };
    assert_eq!((number("/oversold"), number("/held")), (0, 0));
    assert_eq!(number("/failed"), 0, "{report:#}");
    assert_eq!(number("/capacity"), 60);
    assert_eq!(number("/sold") + number("/available"), 60);
    assert!(number("/sold") > 0 && number("/bookings/confirmed") > 0);
    assert!(number("/waitlist/joined") > 0 && number("/waitlist/offered") > 0);
    assert!(number("/waitlist/offered") >= number("/waitlist/served"));
    assert!(number("/refused/INSUFFICIENT_SEATS") > 0);
    assert!(number("/latency_ms/reserve/count") >= 400);
    assert_eq!(report["audit"]["intact"], true);
    report
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn with_a_server_of_its_own_it_leaves_the_log_for_everybody_to_verify() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("data");
    let mut sale = evently();
    sale.args(SALE).env("EVENTLY_DATA", &data).env("TMPDIR", temporary.path());
    let (status, out, err) = said(&mut sale).await;
    assert_eq!(status, 0, "{err}");
    assert!(err.contains("its own server") && !data.exists(), "{err}");
    let report = check(&out);

    let kept = Path::new(report["data"].as_str().unwrap());
    let told = format!("stays in {} until you remove that folder\n", kept.display());
    assert!(err.contains(&told), "{err}");
    assert_eq!(names(temporary.path()), [kept.file_name().unwrap().to_str().unwrap()]);
    assert!(!kept.join("views").exists());
    let (status, proven, err) = run_on(kept, &["audit", "verify", "--json"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    let verdict: Value = serde_json::from_str(&proven).unwrap();
    assert_eq!(verdict["proven"], report["audit"]["proven"]);
    assert_eq!(verdict["proven"]["sold"], report["sold"]);
    assert_eq!(verdict["proven"]["held"], 0);
}

#[tokio::test]
async fn a_server_that_runs_is_used_and_goes_on() {
    let server = Server::start().await;
    let (status, out, err) = run_on(&server.data(), &SALE[..5]).await;
    assert_eq!(status, 0, "{err}");
    assert!(err.contains(&server.url("")), "{err}");
    for says in ["oversold         0", "are unaltered", "evently audit verify --data"] {
        assert!(out.contains(says), "{says}: {out}");
    }
    let url = server.url("/");
    let (status, out, err) = run_on(&server.data(), &[&SALE[..], &["--url", &url]].concat()).await;
    assert_eq!(status, 0, "{err}");
    check(&out);
    Shop::open(&server, 1).await.reserve(1, 1).await;
}

#[tokio::test]
async fn an_altered_log_is_found_out() {
    let server = Server::start().await;
    Shop::open(&server, 10).await.reserve(1, 1).await;
    tamper(&server.data(), "UPDATE records SET at = at + 1 WHERE position = 2");
    let (status, out, err) = run_on(&server.data(), &SALE).await;
    assert_eq!(status, 1, "{err}");
    assert!(err.contains("the audit failed: ") && err.contains("not as written"), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["audit"]["intact"], &report["oversold"]), (&false.into(), &0.into()));
}

#[tokio::test]
async fn interrupted_it_stops_its_server_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = evently()
        .args(["demo", "--buyers", "1000000", "--seats", "500000"])
        .env("EVENTLY_DATA", temporary.path().join("data"))
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.contains("its own server"), "{line}");
    assert_eq!(names(temporary.path()).len(), 1);
    infra::testing::signal(demo.id().unwrap(), Signal::INT);
    let mut rest = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest += &line;
    }
    assert_eq!(demo.wait().await.unwrap().code(), Some(1));
    assert!(rest.contains("interrupted"), "{rest}");
    assert_eq!(names(temporary.path()), [""; 0]);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_another_s_is_named() {
    let (one, other) = tokio::join!(Server::start(), Server::start());
    let data = one.data();
    let data = data.to_str().unwrap();
    for (url, says) in [
        ("http://127.0.0.1:1", "cannot be asked".to_owned()),
        (&other.url(""), format!("does not know the keys in {data}")),
    ] {
        let sale = ["demo", "--buyers", "10", "--url", url, "--data", data];
        let (status, out, err) = run(&sale).await;
        assert_eq!((status, out.as_str()), (1, ""));
        assert!(err.contains(&format!("at {url}")) && err.contains(&says), "{err}");
    }
    let (status, out, err) = run(&["demo", "--url", "127.0.0.1:1"]).await;
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.contains("expected e.g. http://"), "{err}");
}
