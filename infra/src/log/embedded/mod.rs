//! The log in one SQLite file: the default, for one machine.
//!
//! One thread writes and commits the appends of many streams in one transaction; readers have
//! connections of their own. Several processes may open the same file. Every answer of `append`
//! comes after its transaction was synced to the disk.

mod checkpoint;
mod commit;
mod error;
mod file;
mod index;
mod known;
mod names;
mod positions;
mod readers;
mod rows;
mod scan;
mod subscription;
mod tail;
mod wal;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use error::{OpenError, StorageError};
pub use file::is_log;
pub use index::Misled;

use super::{AppendError, Appended, Expected, Log, NewRecord, Position, ReadError, Record, Unfit};
use commit::{Append, Committer};
use error::Damage;
use file::LogFile;
use readers::Readers;
use watch::Watch;
use writer::Message;

/// How an embedded log is used in this process.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Reads at the same time; further ones wait.
    pub readers: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { readers: 4 }
    }
}

/// The log in one SQLite file. Has to be used within a tokio runtime.
#[derive(Debug)]
pub struct EmbeddedLog {
    identity: Uuid,
    changed_guards: Vec<String>,
    readers: Arc<Readers>,
    damage: Damage,
    watch: Arc<Watch>,
    /// Absent when opened for reading only.
    writer: Option<mpsc::UnboundedSender<Message>>,
    /// Whether the writer's last transaction failed.
    failing: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the log in the file at `path`, made if there is none; its folder has to exist.
    ///
    /// # Errors
    /// The file is not a log that this program can write.
    pub fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, OpenError> {
        Self::start(&LogFile::open(path.as_ref(), None)?, &options, true)
    }

    /// Opens the log in the file at `path`, which has to be there and to have this identity.
    ///
    /// # Errors
    /// The log is gone, or the file is not a log that this program can write.
    pub fn open_known(
        path: impl AsRef<Path>,
        identity: Uuid,
        options: EmbeddedOptions,
    ) -> Result<Self, OpenError> {
        let start = || Self::start(&LogFile::open(path.as_ref(), Some(identity))?, &options, true);
        start().map_err(OpenError::of_known)
    }

    /// Opens the log in the file at `path` without changing it, whether a server writes it or not.
    /// Appends are refused. Also one without its guards, see [`Self::changed_guards`], and one of
    /// which not every page can be read: what cannot be read is refused when it is asked for.
    ///
    /// # Errors
    /// The file is not there, or not a log that this program can read.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let file = LogFile::open_read_only(path.as_ref(), None)?;
        Self::start(&file, &EmbeddedOptions::default(), false)
    }

    /// The same of a log that has to be there and to have this identity.
    ///
    /// # Errors
    /// The log is gone, or the file is not a log that this program can read.
    pub fn open_known_read_only(path: impl AsRef<Path>, identity: Uuid) -> Result<Self, OpenError> {
        let open = || LogFile::open_read_only(path.as_ref(), Some(identity));
        let start = || Self::start(&open()?, &EmbeddedOptions::default(), false);
        start().map_err(OpenError::of_known)
    }

    fn start(file: &LogFile, options: &EmbeddedOptions, writes: bool) -> Result<Self, OpenError> {
        Self::start_threads(file, options, writes).map_err(|source| file.refuse(source))
    }

    fn start_threads(
        file: &LogFile,
        options: &EmbeddedOptions,
        writes: bool,
    ) -> Result<Self, StorageError> {
        let head = readers::head(&file.connect_reader()?);
        // What is before a damaged end can be read.
        let head = if writes { head? } else { head.unwrap_or_default() };
        let (watch, damage) = (Arc::new(Watch::new(head)), Damage::default());
        let mut log = Self {
            identity: file.identity(),
            changed_guards: file.changed().to_vec(),
            readers: Arc::new(Readers::new(file.clone(), options.readers, damage.clone())),
            damage: damage.clone(),
            watch: Arc::clone(&watch),
            writer: None,
            failing: Arc::default(),
            closing: Arc::default(),
            threads: Mutex::new(vec![watch.start(file)?]),
        };
        if writes {
            let committer = Committer::open(file, damage)?;
            log.failing = committer.failing();
            let (sender, receiver) = mpsc::unbounded_channel();
            let (checkpoints, thread) = checkpoint::start(file)?;
            log.threads.get_mut().push(thread);
            log.threads.get_mut().push(writer::start(receiver, committer, checkpoints, watch)?);
            let scanning = scan::start(Arc::clone(&log.readers), Arc::clone(&log.closing))?;
            log.threads.get_mut().push(scanning);
            log.writer = Some(sender);
        }
        Ok(log)
    }

    /// What keeps SQLite tools from changing records and is missing or was changed, by name. Only a
    /// log that was opened for reading can have any: somebody was at it.
    pub fn changed_guards(&self) -> &[String] {
        &self.changed_guards
    }

    /// Random, made with the log: tells whether two files are copies of one log.
    pub fn identity(&self) -> Uuid {
        self.identity
    }

    /// Whether there is a stream whose name begins with `beginning`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn has_stream(&self, beginning: &str) -> Result<bool, ReadError> {
        let beginning = beginning.to_owned();
        Ok(self.readers.run(move |reader| reader.has_stream(&beginning)).await?)
    }

    /// Up to `limit` records of `stream` from revision `from` towards the beginning.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn read_stream_back(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let stream = stream.to_owned();
        Ok(self.readers.run(move |reader| reader.stream_back(&stream, from, limit)).await?)
    }

    /// Up to `limit` records before `before`, the last one first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn read_all_back(
        &self,
        before: Position,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        Ok(self.readers.run(move |reader| reader.all_before(before, limit)).await?)
    }

    /// The first record after `after` and up to `upto` that is missing in its stream, as the index of
    /// streams has it.
    ///
    /// # Errors
    /// The log cannot be read, or the index is none.
    pub async fn find_misled(
        &self,
        after: Position,
        upto: Position,
    ) -> Result<Option<Misled>, ReadError> {
        let misled = self.readers.run(move |reader| reader.misled(after, upto)).await?;
        Ok(misled.map(Misled::Record))
    }

    /// What is wrong with the indexes if each record is found in its stream.
    ///
    /// # Errors
    /// The log cannot be read, or an index is none.
    pub async fn find_misled_at_all(&self) -> Result<Option<Misled>, ReadError> {
        Ok(self.readers.run(|reader| reader.misled_at_all()).await?)
    }

    /// Carries out the appends that were begun, moves everything into the file, and closes it. Later
    /// calls are refused; subscriptions end.
    pub async fn close(&self) {
        let threads = self.stop();
        let joined = tokio::task::spawn_blocking(|| join(threads)).await;
        if let Err(error) = joined {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot wait for the log");
        }
        self.readers.close();
    }

    fn stop(&self) -> Vec<JoinHandle<()>> {
        if let Some(writer) = &self.writer {
            // Refused only when it has ended.
            let _ = writer.send(Message::Close);
        }
        self.watch.close();
        self.closing.store(true, Ordering::Relaxed);
        std::mem::take(&mut *self.threads.lock())
    }
}

/// Like [`EmbeddedLog::close`], but waits on this thread.
impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        join(self.stop());
        self.readers.close();
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the log panicked");
        }
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        records: Vec<NewRecord>,
    ) -> Result<Appended, AppendError> {
        let writer = self.writer.as_ref().ok_or(StorageError::ReadOnly)?;
        self.damage.check()?;
        Unfit::check(stream, &records).map_err(AppendError::Unfit)?;
        let (answer, answered) = oneshot::channel();
        let append = Append { stream: Arc::from(stream), expected, records };
        writer.send(Message::Append(append, answer)).map_err(|_| StorageError::Closed)?;
        answered
            .await
            .unwrap_or_else(|_| Err(AppendError::OutcomeUnknown(Box::new(StorageError::Stopped))))
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let stream = stream.to_owned();
        Ok(self.readers.run(move |reader| reader.stream(&stream, from, limit)).await?)
    }

    async fn read_stream_as_is(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let stream = stream.to_owned();
        Ok(self.readers.run(move |reader| reader.stream_as_is(&stream, from, limit)).await?)
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError> {
        Ok(self.readers.run(move |reader| reader.all(after, limit)).await?)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.readers.run(|reader| reader.head()).await?)
    }

    async fn check_writable(&self) -> Result<(), AppendError> {
        let writer = self.writer.as_ref().ok_or(StorageError::ReadOnly)?;
        if writer.is_closed() {
            return Err(StorageError::Closed.into());
        }
        self.damage.check()?;
        // Appends come first: only after a failure is there something to try.
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        writer.send(Message::Check(answer)).map_err(|_| StorageError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(StorageError::Stopped.into()))
    }

    fn subscribe_all(&self, after: Position) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        subscription::subscribe(Arc::clone(&self.readers), Arc::clone(&self.watch), after)
    }
}
