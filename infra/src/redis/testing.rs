//! A Redis server for tests, which can be stopped, killed and started again.

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::testing::ServerProcess;

/// Set where Redis has to be installed: nothing may be left out there.
const REQUIRED: &str = "EVENTLY_TEST_REDIS";

/// A server of its own on a free port of this machine. Gone when it is dropped.
#[derive(Debug)]
pub struct Redis {
    /// For what becomes of it. It ends before its folder goes.
    pub process: ServerProcess,
    folder: TempDir,
    port: u16,
}

impl Redis {
    /// Starts one; `None` when Redis is not installed on this machine.
    ///
    /// # Panics
    /// It is installed but does not start, or it is not although `EVENTLY_TEST_REDIS` is set.
    pub fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("redis-server").is_file()) {
            let required = std::env::var_os(REQUIRED).is_some();
            assert!(!required, "{REQUIRED} is set, but there is no redis-server");
            let left_out = "LEFT OUT: what is tested on a Redis server. None is installed.\n";
            // Who closed standard error does not want to know.
            let _ = io::stderr().write_all(left_out.as_bytes());
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = spawn(folder.path(), port);
        Some(Self { process, folder, port })
    }

    /// As settings name it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/1", self.port)
    }

    /// What it says to a command; empty if it does not answer.
    pub fn tell(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let told = Command::new("redis-cli").args(["-p", &port, "-n", "1"]).args(command).output();
        let told = told.expect("redis-cli is there");
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    /// Another one at the same place, after it was killed: what it kept is gone.
    pub fn restart(&mut self) {
        self.process = spawn(self.folder.path(), self.port);
    }
}

fn spawn(folder: &Path, port: u16) -> ServerProcess {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port"]).arg(port.to_string());
    command.arg("--dir").arg(folder).stdout(Stdio::null()).stdin(Stdio::null());
    ServerProcess::spawn(&mut command)
}
