//! The thread that writes: it takes all appends that wait and commits them together.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::checkpoint::{self, Checkpoints};
use super::commit::{Append, Committer};
use super::error::StorageError;
use super::watch::Watch;
use crate::log::{AppendError, Appended};

/// Records and bytes in one transaction, unless a single append has more. Bounds how long the first
/// of them waits for the last.
const RECORDS_AT_ONCE: usize = 8192;
const BYTES_AT_ONCE: usize = 16 << 20;

type Answer = oneshot::Sender<Result<Appended, AppendError>>;

/// What the writer is told.
pub(super) enum Message {
    Append(Append, Answer),
    /// Try whether a failure is over.
    Check(oneshot::Sender<Result<(), AppendError>>),
    /// Carry out what was sent before, and end.
    Close,
}

struct Writer {
    receiver: mpsc::UnboundedReceiver<Message>,
    committer: Committer,
    checkpoints: Checkpoints,
    watch: Arc<Watch>,
}

/// Starts the thread.
pub(super) fn start(
    receiver: mpsc::UnboundedReceiver<Message>,
    committer: Committer,
    checkpoints: Checkpoints,
    watch: Arc<Watch>,
) -> Result<JoinHandle<()>, StorageError> {
    let writer = Writer { receiver, committer, checkpoints, watch };
    std::thread::Builder::new()
        .name("log-writer".into())
        .spawn(move || writer.run())
        .map_err(|_| StorageError::Stopped)
}

impl Writer {
    fn run(mut self) {
        Checkpoints::count(self.committer.connection());
        let mut appends = Vec::new();
        let mut answers = Vec::new();
        while let Some(first) = self.receiver.blocking_recv() {
            self.gather(first, &mut appends, &mut answers);
            if appends.is_empty() {
                continue;
            }
            let committed = self.committer.commit(&appends);
            appends.clear();
            for (answer, outcome) in answers.drain(..).zip(committed.outcomes) {
                // Who no longer waits finds its records by their ids.
                let _ = answer.send(outcome);
            }
            self.watch.publish(committed.records);
            self.checkpoints.after_commit(self.committer.connection());
        }
        checkpoint::complete(self.committer.connection());
    }

    fn gather(&mut self, first: Message, appends: &mut Vec<Append>, answers: &mut Vec<Answer>) {
        let (mut records, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Append(append, answer) => {
                    records += append.records.len();
                    bytes += append.bytes();
                    appends.push(append);
                    answers.push(answer);
                }
                Message::Check(answer) => {
                    // Who no longer waits asks again.
                    let _ = answer.send(self.committer.check());
                }
                Message::Close => self.receiver.close(),
            }
            if records < RECORDS_AT_ONCE && bytes < BYTES_AT_ONCE {
                next = self.receiver.try_recv().ok();
            }
        }
    }
}
