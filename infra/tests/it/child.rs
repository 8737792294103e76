//! Other processes, for what a thread cannot show: being killed, limits, locks.
//!
//! A child is this test binary again, told to run one test. That test asks for [`Child::folder`]
//! and does nothing when it is run like any other.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdout, Command, Stdio};

const FOLDER: &str = "EVENTLY_TEST_CHILD_FOLDER";
const MARK: &str = "child: ";

/// A process that ends, at the latest, with the test.
pub(crate) struct Child {
    process: process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Runs `test` in `folder`.
    pub(crate) fn start(test: &str, folder: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::spawn(Command::new(program), test, folder)
    }

    /// Runs `test` in `folder`, unable to write further than `blocks` of 512 bytes into any file:
    /// for the program that is a disk that fails when a file grows.
    #[cfg(unix)]
    pub(crate) fn start_limited(test: &str, folder: &Path, blocks: u32) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("/bin/sh");
        // An ignored signal makes the write fail where it would end the program.
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        command.arg(program);
        Self::spawn(command, test, folder)
    }

    fn spawn(mut command: Command, test: &str, folder: &Path) -> Self {
        command
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The folder to work in, if this process is a child.
    pub(crate) fn folder() -> Option<PathBuf> {
        let folder = std::env::var_os(FOLDER).map(PathBuf::from)?;
        // The test runner has begun a line.
        println!();
        Some(folder)
    }

    /// Tells the parent.
    pub(crate) fn say(text: &str) {
        println!("{MARK}{text}");
    }

    /// What it said next; nothing when it has ended.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(MARK).map(str::to_owned))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
