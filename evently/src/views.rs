//! The views' side of the process: their database, and what keeps them up to date, on threads of
//! their own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use infra::clock::Clock;
use infra::data_folder::{DataFolder, DataFolderError};
use infra::log::Log;
use projections::feed::Feed;
use projections::{AdminState, Projections};
use sqlx::PgPool;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::database::{Database, DatabaseError, Threads};
use crate::orders::Orders;
use crate::settings::Checked;

/// How long a start waits for a database that does not answer before it goes on without.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long their end waits for a database that does not answer.
const STOP: Duration = Duration::from_secs(10);

/// Why the views cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// No threads.
    #[error("the operating system gives no threads for the views")]
    Threads(#[source] io::Error),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// A thread ended.
    #[error("the views could not be started")]
    Crashed(#[from] JoinError),
    /// No database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The views, kept up to date.
pub(crate) struct Views {
    threads: Threads,
    projections: Projections,
    orders: Arc<Orders>,
    pool: PgPool,
    /// The projections end first, then the database.
    projecting: (TaskTracker, CancellationToken),
    database: (TaskTracker, CancellationToken),
}

impl Views {
    /// Opens the database and, if it `projects`, starts the projections and the `feed`. A database that is away is
    /// waited for in the background: only the log is needed to sell.
    pub(crate) async fn start(
        settings: &Checked,
        folder: &DataFolder,
        log: &Arc<dyn Log>,
        clock: &Arc<dyn Clock>,
        projects: bool,
        feed: &Option<Feed>,
    ) -> Result<Self, ViewsError> {
        let threads = Threads::start().map_err(ViewsError::Threads)?;
        let process = folder.process()?;
        let orders = Arc::new(Orders { log: log.clone(), clock: clock.clone() });
        let (settings, folder, log) = (settings.clone(), folder.clone(), log.clone());
        let (clock, feed) = (clock.clone(), feed.clone());
        let starting = async move {
            let database = Database::open(&settings, &folder).await?;
            let projections = Projections::new(log, database.pool(), clock).with_feed(feed);
            let projections = match database.is_inside() {
                true => projections,
                false => projections.shared(process),
            };
            let projecting = (TaskTracker::new(), CancellationToken::new());
            let kept = (TaskTracker::new(), CancellationToken::new());
            // Here on the views' own threads, where all tasks of the projections then are.
            let ready = async {
                match projects {
                    true => database.prepare(&projections).await,
                    false => projections.check().await,
                }
            };
            match tokio::time::timeout(PATIENCE, ready).await {
                Ok(Err(error)) if !error.is_outage() => return Err(error.into()),
                _ if projects => projections.start(&projecting.0, &projecting.1),
                _ => {}
            }
            let pool = database.pool();
            kept.0.spawn(database.run(kept.1.clone()));
            Ok::<_, DatabaseError>((projections, pool, projecting, kept))
        };
        let (projections, pool, projecting, database) = threads.handle().spawn(starting).await??;
        Ok(Self { threads, projections, orders, pool, projecting, database })
    }

    /// What is read from.
    pub(crate) fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// The projections, to be asked how they are.
    pub(crate) fn projections(&self) -> Projections {
        self.projections.clone()
    }

    /// What an admin asks of them.
    pub(crate) fn admin(&self) -> AdminState {
        let (tasks, stop) = self.projecting.clone();
        let (projections, orders) = (self.projections.clone(), self.orders.clone());
        let runtime = self.threads.handle();
        AdminState { projections, orders, tasks, runtime, stop }
    }

    /// Ends the projections after what they are at, and then the database. What takes longer than
    /// [`STOP`] is left: the views can be brought up to date, or built again, from the log.
    pub(crate) async fn stop(self) {
        let ended = tokio::time::timeout(STOP, async {
            for (tasks, stop) in [&self.projecting, &self.database] {
                stop.cancel();
                tasks.close();
                tasks.wait().await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(
                waited_s = STOP.as_secs(),
                "the views' database does not answer and is left as it is; \
                 the views go on from there after the next start"
            );
        }
    }
}
