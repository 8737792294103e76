//! The views' side of the process: their database, and what keeps them up to date.
//!
//! It has threads of its own at a lower priority, so that selling never waits for reading.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use infra::auth::Auth;
use infra::clock::Clock;
use infra::log::Log;
use infra::postgres::AddressError;
use projections::{AdminState, PrepareError, Projections};
use sqlx::PgPool;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::Checked;

/// Connections to a database server.
const CONNECTIONS: u32 = 16;
/// How long a start waits for the database before it goes on without.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the views cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// No threads.
    #[error("the operating system gives no threads for the views")]
    Threads(#[source] io::Error),
    /// No database.
    #[error("DATABASE_URL cannot be used")]
    Address(#[from] AddressError),
    /// Another database.
    #[error("the views' database cannot be used")]
    Database(#[from] PrepareError),
}

/// The views, kept up to date.
pub(crate) struct Views {
    runtime: Runtime,
    projections: Projections,
    pool: PgPool,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Views {
    /// Opens the database and starts the projections. A database that is away is waited for in the
    /// background: only the log is needed to sell.
    pub(crate) async fn start(
        settings: &Checked,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ViewsError> {
        let runtime = threads().map_err(ViewsError::Threads)?;
        let url = settings.database_url.as_ref().map_or("postgres://localhost:1", |u| u.reveal());
        let pool = infra::postgres::connect(url, CONNECTIONS)?;
        let projections = Projections::new(log, pool.clone(), clock);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let this = Self { runtime, projections, pool, tasks, stop };
        this.prepare().await?;
        let _on = this.runtime.enter();
        this.projections.start(&this.tasks, &this.stop);
        drop(_on);
        Ok(this)
    }

    /// Finds out whether the database is one to work with, if it answers soon.
    async fn prepare(&self) -> Result<(), ViewsError> {
        match tokio::time::timeout(PATIENCE, self.projections.prepare()).await {
            Ok(Err(error)) if !error.is_outage() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What is read from.
    pub(crate) fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// What an admin asks of them.
    pub(crate) fn admin(&self, auth: Auth) -> AdminState {
        AdminState {
            projections: self.projections.clone(),
            auth,
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Ends the projections after what they are at, and closes the database.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.pool.close().await;
        self.runtime.shutdown_background();
    }
}

fn threads() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("views")
        .on_thread_start(step_back)
        .enable_all()
        .build()
}

/// Lets all other threads of the process go first. On Linux a thread has a priority of its own.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "the views run at the same priority as the rest");
    }
}
