//! A client in another language: the one for Python, driven by `tests/clients/log_server.py`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::{Served, soon, url};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/log_server.py");

/// Names a Python that has the package `kurrentdbclient`, and demands that this is not left out.
const PYTHON: &str = "EVENTLY_TEST_PYTHON";

/// A Python that has the client.
async fn python() -> Option<OsString> {
    let named = std::env::var_os(PYTHON);
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let mut import = Command::new(&python);
    import.args(["-c", "import kurrentdbclient"]).stdin(Stdio::null()).stderr(Stdio::null());
    if import.status().await.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    assert_eq!(named, None, "{PYTHON} is set, but that Python has no kurrentdbclient");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_python_uses_the_log_server() {
    let Some(python) = python().await else {
        // Not by a printing macro: what those write in a test that passes is not shown.
        const LEFT_OUT: &str = "LEFT OUT: the log server used from Python. There is no python3 with \
            the package kurrentdbclient (EVENTLY_TEST_PYTHON can name one).\n";
        // Who closed standard error does not want to know.
        let _ = io::stderr().write_all(LEFT_OUT.as_bytes());
        return;
    };
    let mut served = Served::start().await;
    let mut client = Command::new(python)
        .args([SCRIPT, &url(served.address())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    if soon(lines.next_line()).await.unwrap().as_deref() == Some("restart") {
        served.stop().await;
        served.restart().await;
        client.stdin.take().unwrap().write_all(b"restarted\n").await.unwrap();
    }
    let last = soon(lines.next_line()).await.unwrap();
    let ended = soon(client.wait_with_output()).await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && last.as_deref() == Some("done"), "{errors}");
}
