//! What the query endpoints share.

use std::sync::Arc;

use infra::clock::Clock;
use infra::identity::Reasons;
use infra::log::{Log, Position};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, CacheLimits};
use crate::freshness::Views;
use crate::live::{Live, LiveLimits};

/// What query endpoints read from.
#[derive(Clone)]
pub struct Sources {
    /// The source of truth.
    pub log: Arc<dyn Log>,
    /// The database of the views.
    pub pool: PgPool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Opens for auditors why admins did something.
    pub reasons: Reasons,
    /// How long what was read is kept.
    pub cache: CacheLimits,
    /// What every read of a view has to include: the log's head at the start, where this process
    /// builds the views. Before they are there nobody is told that something does not exist. Zero
    /// where others build them: what they left is better than nothing.
    pub least: Position,
}

/// What the query endpoints share. Cloning is cheap.
#[derive(Clone)]
pub struct QueryState {
    pub(crate) sources: Sources,
    pub(crate) live: Live,
    pub(crate) views: Views,
    pub(crate) cache: Cache,
}

impl QueryState {
    /// Starts what has to run beside the endpoints, as tasks of `tasks` that end with `stop`.
    pub fn start(
        sources: Sources,
        limits: LiveLimits,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let live = Live::start(Arc::clone(&sources.log), limits, tasks, stop.clone());
        let views = Views::new(sources.pool.clone(), sources.least);
        tasks.spawn(views.clone().watch(stop));
        let (limits, clock) = (sources.cache.clone(), Arc::clone(&sources.clock));
        let cache = Cache::new(limits, clock, live.changes());
        Self { sources, live, views, cache }
    }

    /// Live availability, for metrics.
    pub fn live(&self) -> &Live {
        &self.live
    }
}
