//! PostgreSQL inside this process, for running without a database server: version 17 as
//! WebAssembly, compiled ahead of time.
//!
//! It takes one connection at a time, and it does not wait for the disk. So only views are in it:
//! whatever cannot be trusted is moved aside, and filled from the log again.

mod folder;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pglite_oxide::PgliteServer;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use folder::ViewsFolder;

/// How long it may take to answer for the first time; replaying its own log takes the longest.
const FIRST_ANSWER: Duration = Duration::from_secs(60);
/// How often it is looked whether it still answers.
const WATCH: Duration = Duration::from_secs(1);
/// How often it is tried to start one that could not be started.
const AGAIN: Duration = Duration::from_secs(3);
/// How long to wait for its end. What is lost then is in the log.
const STOP: Duration = Duration::from_secs(10);
/// Settings beside those it comes with. Its own log is kept small: it is replayed after a kill, and
/// is not needed for anything else.
const SETTINGS: [(&str, &str); 3] =
    [("max_wal_size", "256MB"), ("synchronous_commit", "off"), ("wal_compression", "on")];

/// A database inside this process. It is of use only while [`Self::run`] runs.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    folder: ViewsFolder,
    /// Absent when it is stopped, or could not be started yet.
    server: Option<PgliteServer>,
    /// Whether the last try to start it was in vain: it is told once.
    is_failing: bool,
    url: String,
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// The folder cannot be used.
    #[error(
        "the views' folder {} cannot be used: see that it is a folder and may be written to, or remove it, \
         and the views are built again from the log",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not start, and neither would another.
    #[error(
        "the database of the views cannot start in {}: see that the disk has space, and that the \
         process may open files; the views are as they were",
        folder.display()
    )]
    Shortage {
        /// Its folder.
        folder: PathBuf,
        /// What is short.
        #[source]
        source: std::io::Error,
    },
    /// It does not start, though it starts afresh.
    #[error(
        "the database of the views does not start in {}; name one with DATABASE_URL instead",
        folder.display()
    )]
    Start {
        /// Its folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

type Cause = Box<dyn Error + Send + Sync>;

impl EmbeddedPostgres {
    /// Starts the database that lives in `folder`, or a new one. What is damaged, or was in use
    /// when the machine went down, is moved aside. Where the disk has no room for it, it is tried again
    /// until there is: only the log is needed to sell.
    ///
    /// # Errors
    /// See [`EmbeddedPostgresError`].
    pub async fn start(folder: &Path) -> Result<Self, EmbeddedPostgresError> {
        let unusable = |source| {
            let folder = folder.to_owned();
            EmbeddedPostgresError::Folder { folder, source }
        };
        let folder = ViewsFolder::open(folder).map_err(unusable)?;
        let url = folder.url();
        let mut database = Self { folder, server: None, is_failing: false, url };
        match serve(&database.folder).await {
            Ok(server) => database.server = Some(server),
            Err(error @ EmbeddedPostgresError::Shortage { .. }) => database.failed(&error),
            Err(error) => return Err(error),
        }
        Ok(database)
    }

    /// Where to connect to, with one connection at a time.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Keeps it running until `stop`, then closes `pool` and stops it. Whoever uses the pool should
    /// have ended by then.
    pub async fn run(mut self, pool: PgPool, stop: CancellationToken) {
        loop {
            let pause = if self.is_failing { AGAIN } else { WATCH };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            if self.server.is_some() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    alive = is_alive(&pool, self.folder.socket()) => if alive { continue },
                }
                tracing::warn!("the database of the views broke down and is started again");
            }
            self.restart().await;
        }
        pool.close().await;
        self.stop().await;
    }

    async fn restart(&mut self) {
        if let Some(dead) = self.server.take()
            && let Err(error) = shut_down(dead).await
        {
            tracing::warn!(error = &*error as &dyn Error, "the database of the views broke down");
        }
        match serve(&self.folder).await {
            Ok(server) => {
                self.server = Some(server);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the database of the views could be started");
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &EmbeddedPostgresError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let error = error as &dyn Error;
            tracing::error!(
                error,
                "the database of the views cannot be started, and is tried again; reads of views are \
                 refused meanwhile"
            );
        }
    }

    async fn stop(mut self) {
        let Some(server) = self.server.take() else { return };
        if let Err(error) = shut_down(server).await {
            let error = &*error as &dyn Error;
            tracing::warn!(error, "the database of the views did not stop as it should");
            return;
        }
        if let Err(error) = self.folder.mark_clean() {
            let error = &error as &dyn Error;
            tracing::warn!(error, "the views' folder could not be brought to the disk");
        }
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // Its own drop waits for its clients, who may be waiting for us. Its thread ends with
            // the process; what is in its folder survives that.
            std::mem::forget(server);
        }
    }
}

/// Serves what is in the folder if it can be trusted and starts, else a new database.
async fn serve(folder: &ViewsFolder) -> Result<PgliteServer, EmbeddedPostgresError> {
    let unusable = |source| {
        let folder = folder.path().to_owned();
        EmbeddedPostgresError::Folder { folder, source }
    };
    let start_or_explain = async |folder: &ViewsFolder| {
        start(folder).await.map_err(|source| {
            let folder = folder.path().to_owned();
            EmbeddedPostgresError::Start { folder, source }
        })
    };
    let distrust = folder.distrust();
    if let Some(why) = distrust {
        folder.set_aside(why).map_err(unusable)?;
    }
    let short = |source| {
        let folder = folder.path().to_owned();
        EmbeddedPostgresError::Shortage { folder, source }
    };
    folder.mark_in_use().map_err(|error| match infra::room::is_lack(&error) {
        true => short(error),
        false => unusable(error),
    })?;
    let is_new = !folder.has_database();
    match start_or_explain(folder).await {
        Err(error) if is_new || folder.has_database() => {
            // Nothing is wrong with the database where nothing could start.
            if let Err(lack) = folder.try_resources() {
                if is_new {
                    folder.remove_unfinished().map_err(unusable)?;
                }
                return Err(short(lack));
            }
            if !folder.has_database() {
                return Err(error);
            }
            tracing::warn!(error = &error as &dyn Error, "the database of the views is damaged");
            folder.set_aside("it does not start").map_err(unusable)?;
            start_or_explain(folder).await
        }
        started => started,
    }
}

/// Starts the server and has it answer once: only then does it look at its files.
async fn start(folder: &ViewsFolder) -> Result<PgliteServer, Cause> {
    let builder = PgliteServer::builder()
        .path(folder.database())
        .unix(folder.socket())
        .postgres_configs(SETTINGS);
    let server = in_thread("views-start", move || builder.start().map_err(Cause::from)).await?;
    let answer = tokio::time::timeout(FIRST_ANSWER, first_answer(&folder.url())).await;
    let error = match answer {
        Ok(Ok(())) => return Ok(server),
        Ok(Err(error)) => Cause::from(error),
        Err(late) => Cause::from(late),
    };
    // It has to let go of its folder before another can start there.
    shut_down(server).await?;
    Err(error)
}

/// Stops the server, which waits for its client to close the connection.
async fn shut_down(server: PgliteServer) -> Result<(), Cause> {
    let stopped = in_thread("views-stop", move || server.shutdown().map_err(Cause::from));
    tokio::time::timeout(STOP, stopped).await?
}

/// Reads what everything else depends on.
async fn first_answer(url: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('projection.checkpoint') IS NOT NULL")
            .fetch_one(&mut connection)
            .await?;
    if exists {
        sqlx::query("SELECT * FROM projection.checkpoint").fetch_all(&mut connection).await?;
    }
    connection.close().await
}

/// Whether it answers, or is only busy.
async fn is_alive(pool: &PgPool, socket: &Path) -> bool {
    match pool.acquire().await {
        Ok(_) | Err(sqlx::Error::PoolClosed) => true,
        // A listener whose thread has died is refused.
        Err(_) => tokio::net::UnixStream::connect(socket).await.is_ok(),
    }
}

/// Runs what blocks on a thread of its own: the runtime, when it ends, would wait for one of its
/// own threads for ever.
async fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    let (send, receive) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || send.send(work()))?;
    receive.await?
}
