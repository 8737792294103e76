//! All projections together: what a role starts, and what an operator asks of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use infra::clock::Clock;
use infra::errors::chain;
use infra::log::{Log, Position, ReadError};
use infra::postgres::{self, MigrateError};
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::feed::{self, Feed, Worker};
use crate::identity::{CheckError, OtherLog};
use crate::lease::Lease;
use crate::rebuild::{Progress, Rebuild, RebuildError};
use crate::retry::{Retried, RetryError};
use crate::runner::Runner;
use crate::status::{LastRebuild, Status, StatusError};
use crate::tables::Tables;
use crate::trouble::Trouble;
use crate::{Projection, checkpoint, identity, rebuild, retry, status, views};

/// How often it is looked whether a view has to be built again.
const SUPERVISION: Duration = Duration::from_secs(5);

/// The views of one database, built from one log. Cheap to clone.
#[derive(Clone)]
pub struct Projections {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
    views: &'static [&'static dyn Projection],
    /// Where other processes could keep the views up to date too.
    lease: Option<Lease>,
    /// Where there is a Kafka.
    pub(crate) feed: Option<Feed>,
    /// By name.
    last_rebuilds: Arc<Mutex<HashMap<&'static str, LastRebuild>>>,
    pub(crate) trouble: Trouble,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its tables could not be set up.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// Its views are those of another log.
    #[error(transparent)]
    OtherLog(#[from] OtherLog),
    /// It cannot be reached at the moment.
    #[error("the database failed while the views were prepared")]
    Database(#[from] sqlx::Error),
    /// The log cannot be read.
    #[error("the log failed while the views were prepared")]
    Log(#[from] ReadError),
}

impl PrepareError {
    /// Whether the same may succeed later, without anybody doing anything.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Migrate(error) => matches!(error, MigrateError::Unreachable(_)),
            Self::OtherLog(_) => false,
            Self::Database(_) | Self::Log(_) => true,
        }
    }
}

impl From<CheckError> for PrepareError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::OtherLog(error) => Self::OtherLog(error),
            CheckError::Database(error) => Self::Database(error),
            CheckError::Log(error) => Self::Log(error),
        }
    }
}

impl Projections {
    /// All views of the product, in the database of `pool`, from `log`.
    pub fn new(log: Arc<dyn Log>, pool: PgPool, clock: Arc<dyn Clock>) -> Self {
        let (lease, feed, last_rebuilds, trouble) = Default::default();
        Self { log, pool, clock, views: &views::ALL, lease, feed, last_rebuilds, trouble }
    }

    /// In a database that other processes use too: of all that were started, one at a time keeps the
    /// views up to date, and when it dies another goes on. `process` names this one, after a restart
    /// too.
    #[must_use]
    pub fn shared(self, process: Uuid) -> Self {
        let lease = Some(Lease::new(self.pool.clone(), process));
        Self { lease, ..self }
    }

    /// With a feed (OP-3), which is kept up to date by whoever keeps the views.
    #[must_use]
    pub fn with_feed(self, feed: Option<Feed>) -> Self {
        Self { feed, ..self }
    }

    /// Only these views.
    #[must_use]
    pub fn with_views(self, views: &'static [&'static dyn Projection]) -> Self {
        Self { views, ..self }
    }

    /// The names of the views.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.views.iter().map(|view| view.name())
    }

    /// Sets the database up, makes sure that it belongs to the log, and takes away what rebuilds
    /// left behind whose process died. Does nothing the second time.
    ///
    /// # Errors
    /// See [`PrepareError`]; [`PrepareError::is_outage`] tells what may pass by itself.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        postgres::migrate(&self.pool).await?;
        identity::check(&self.pool, &*self.log).await?;
        rebuild::clean_up(&self.pool).await?;
        let mut connection = self.pool.acquire().await?;
        for view in self.views {
            let now = self.clock.now();
            checkpoint::create(&mut connection, view.name(), view.version(), now).await?;
        }
        Ok(())
    }

    /// Makes sure that the database belongs to the log, for a process that only reads the views.
    ///
    /// # Errors
    /// As [`Self::prepare`]. A database that nobody has prepared is an outage.
    pub async fn check(&self) -> Result<(), PrepareError> {
        Ok(identity::check(&self.pool, &*self.log).await?)
    }

    /// Drops everything in the database that belongs to the views, and prepares it for this log:
    /// for a database that nobody else uses and that was built from another log.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub async fn start_afresh(&self) -> Result<(), PrepareError> {
        rebuild::drop_everything(&self.pool, self.views).await?;
        self.prepare().await
    }

    /// Keeps the views up to date until `stop`. A database that is away is waited for; a view
    /// whose rows are of an older version is built again in the background.
    pub fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(self.clone().supervise(tasks.clone(), stop.clone()));
    }

    async fn supervise(self, tasks: TaskTracker, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            prepared = self.prepare_patiently() => if prepared.is_none() { return },
        }
        let Some(lease) = self.lease.clone() else {
            self.run_views(&tasks, &stop);
            stop.run_until_cancelled(self.look_after()).await;
            return;
        };
        while let Some(taken) = stop.run_until_cancelled(lease.taken()).await {
            let (term, runners) = (stop.child_token(), TaskTracker::new());
            self.run_views(&runners, &term);
            let is_over = tokio::select! {
                () = stop.cancelled() => true,
                () = lease.lost(taken) => false,
                () = self.look_after() => true,
            };
            term.cancel();
            runners.close();
            runners.wait().await;
            self.trouble.is_over();
            if is_over {
                break;
            }
        }
        lease.give_up().await;
    }

    fn run_views(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for view in self.views {
            let (tables, log) = (self.tables(*view), Arc::clone(&self.log));
            let runner = Runner { tables, log, trouble: self.trouble.clone() };
            tasks.spawn(runner.run(stop.clone()));
        }
        if let Some(feed) = self.feed.clone() {
            let (log, pool, clock) = (self.log.clone(), self.pool.clone(), self.clock.clone());
            tasks.spawn(Worker { feed, log, pool, clock }.run(stop.clone()));
        }
    }

    /// Builds views again when they have to be. Ends when the database turned out to be one that
    /// cannot be used.
    async fn look_after(&self) {
        loop {
            if let Err(error) = self.bring_up().await {
                // Perhaps the database is another than before: an empty one.
                tracing::debug!(error = chain(&error), "the views cannot be looked after");
                if self.prepare_patiently().await.is_none() {
                    return;
                }
            }
            tokio::time::sleep(SUPERVISION).await;
        }
    }

    async fn prepare_patiently(&self) -> Option<()> {
        let mut waiting = false;
        loop {
            match self.prepare().await {
                Ok(()) => return Some(()),
                Err(error) if error.is_outage() => {
                    if !std::mem::replace(&mut waiting, true) {
                        let error = chain(&error);
                        tracing::warn!(error, "the views wait for the database");
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "the views stand still");
                    return None;
                }
            }
        }
    }

    /// Builds those views again whose rows are of an older version.
    async fn bring_up(&self) -> Result<(), sqlx::Error> {
        rebuild::clean_up(&self.pool).await?;
        for view in self.views {
            let mut connection = self.pool.acquire().await?;
            let at = checkpoint::load(&mut connection, view.name()).await?;
            drop(connection);
            let Some(at) = at else { continue };
            if at.version >= view.version() {
                continue;
            }
            let (name, from, to) = (view.name(), at.version, view.version());
            tracing::info!(projection = name, from, to, "building the view again");
            match self.rebuild(name, |_| {}).await {
                Ok(()) => tracing::info!(projection = name, "the view was built again"),
                // Another process is at it.
                Err(RebuildError::Running | RebuildError::Superseded) => {}
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(projection = name, error, "the view could not be built again");
                }
            }
        }
        Ok(())
    }

    /// Builds a view again from the log while the present one serves, and puts it in its place;
    /// says how far it is after every batch. Dropped before its end, it leaves the present view as
    /// it is, and what it made is taken away later.
    ///
    /// # Errors
    /// See [`RebuildError`].
    pub async fn rebuild(
        &self,
        name: &str,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<(), RebuildError> {
        self.rebuild_unless(&CancellationToken::new(), name, progress).await
    }

    /// [`Self::rebuild`], which takes away what it made if it is told to stop.
    ///
    /// # Errors
    /// See [`RebuildError`].
    pub async fn rebuild_unless(
        &self,
        stop: &CancellationToken,
        name: &str,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<(), RebuildError> {
        let rebuild = self.begin_rebuild(name).await?;
        self.finish_rebuild(rebuild, &mut progress, stop).await
    }

    /// Carries a rebuild out that was begun, and remembers how it ended.
    pub(crate) async fn finish_rebuild(
        &self,
        rebuild: Rebuild,
        progress: &mut (dyn FnMut(Progress) + Send),
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let name = rebuild.view_name();
        let done = rebuild.finish(progress, stop).await;
        let problem = done.as_ref().err().map(ToString::to_string);
        let last = LastRebuild { ended_at: self.clock.now(), problem };
        self.last_rebuilds.lock().insert(name, last);
        done
    }

    /// Claims a view's rebuild, so that whoever asks is told at once if it cannot begin.
    pub(crate) async fn begin_rebuild(&self, name: &str) -> Result<Rebuild, RebuildError> {
        let view = self.view(name).ok_or_else(|| RebuildError::Unknown { known: self.known() })?;
        Rebuild::begin(view, &self.pool, &self.log, &self.clock).await
    }

    /// Applies a view's parked records in order again.
    ///
    /// # Errors
    /// See [`RetryError`].
    pub async fn retry(&self, name: &str) -> Result<Retried, RetryError> {
        let view = self.view(name).ok_or_else(|| RetryError::Unknown { known: self.known() })?;
        retry::retry(&self.tables(view), &*self.log).await
    }

    /// How every view is doing.
    ///
    /// # Errors
    /// See [`StatusError`].
    pub async fn status(&self) -> Result<Vec<Status>, StatusError> {
        let mut all = status::status(self.views, &self.pool, &*self.log, &*self.clock).await?;
        let last = self.last_rebuilds.lock();
        for status in &mut all {
            status.last_rebuild = last.get(status.name).cloned();
        }
        Ok(all)
    }

    /// The feed, where there is a Kafka.
    pub fn feed(&self) -> Option<&Feed> {
        self.feed.as_ref()
    }

    /// Waits until brokers have everything up to `position`. Somebody has to be feeding them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn reach_by_feed(&self, position: Position) -> Result<(), sqlx::Error> {
        self.reach_in(feed::NAME, position).await
    }

    /// Waits until every view has applied everything up to `position`. Somebody has to be running
    /// them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn reach(&self, position: Position) -> Result<(), sqlx::Error> {
        for view in self.views {
            self.reach_in(view.name(), position).await?;
        }
        Ok(())
    }

    async fn reach_in(&self, name: &str, position: Position) -> Result<(), sqlx::Error> {
        loop {
            let mut connection = self.pool.acquire().await?;
            let at = checkpoint::load(&mut connection, name).await?;
            drop(connection);
            if at.is_some_and(|at| at.position >= position) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The name of a view that there is; of all there are, as a sentence has them, if there is none.
    pub(crate) fn known_view(&self, name: &str) -> Result<&'static str, String> {
        self.view(name).map(|view| view.name()).ok_or_else(|| self.known())
    }

    fn view(&self, name: &str) -> Option<&'static dyn Projection> {
        self.views.iter().copied().find(|view| view.name() == name)
    }

    fn known(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }

    fn tables(&self, view: &'static dyn Projection) -> Tables {
        let (pool, clock) = (self.pool.clone(), Arc::clone(&self.clock));
        Tables { view, name: view.name().to_owned(), owner: None, pool, clock }
    }
}
