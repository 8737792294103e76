//! Servers that tests start, and what becomes of them.

use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

/// A server that runs. Gone when it is dropped.
#[derive(Debug)]
pub struct ServerProcess(Child);

impl ServerProcess {
    /// Starts it; whether it answers is another matter.
    ///
    /// # Panics
    /// The program cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program is there"))
    }

    /// It stands still: whoever asks waits.
    pub fn freeze(&self) {
        signal(self.0.id(), Signal::STOP);
    }

    /// It goes on.
    pub fn thaw(&self) {
        signal(self.0.id(), Signal::CONT);
    }

    /// It is gone, in the middle of whatever it did.
    pub fn kill(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that was started and not waited for.
///
/// # Panics
/// There is none of this number.
pub fn signal(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("it runs");
}
