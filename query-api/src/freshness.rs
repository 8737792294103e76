//! Reads that have to see what was written before (OP-4): `Evently-Min-Position`.
//!
//! A read waits up to a second until what it reads from is there. How far the views are stands in
//! `projection.checkpoint`; one task asks for it, and only while someone waits, or while the
//! database does not answer: then reads are refused at once until it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use infra::http::Problem;
use infra::log::Position;
use infra::postgres::{is_not_set_up, is_outage};
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::live::Live;
use crate::problems;

/// The longest wait for a position.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks at the checkpoints.
const PAUSE: Duration = Duration::from_millis(10);

/// The same while the database is down: each look may be a connection.
const PAUSE_WHILE_DOWN: Duration = Duration::from_millis(100);

/// The views that are read here; each has a schema and a checkpoint of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Catalog,
    Bookings,
    Waitlist,
    Audit,
}

impl View {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "catalog" => Self::Catalog,
            "bookings" => Self::Bookings,
            "waitlist" => Self::Waitlist,
            "audit" => Self::Audit,
            _ => return None,
        })
    }
}

/// How far the views are. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Views(Arc<Inner>);

struct Inner {
    pool: PgPool,
    /// What every read has to include.
    least: Position,
    /// By [`View`], as last seen.
    seen: watch::Sender<[Position; 4]>,
    waiting: AtomicUsize,
    /// The database did not answer when it was last asked.
    down: AtomicBool,
    /// Someone waits, or the database is down.
    look: Notify,
}

impl Views {
    pub(crate) fn new(pool: PgPool, least: Position) -> Self {
        Self(Arc::new(Inner {
            pool,
            least,
            seen: watch::Sender::default(),
            waiting: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            look: Notify::new(),
        }))
    }

    /// Waits until everything up to `wanted`, and what has to be there at least, is in `view`. Comes
    /// before every read of a view.
    ///
    /// # Errors
    /// 503: it is not in time, or the database is down.
    pub(crate) async fn at_least(&self, view: View, wanted: Option<u64>) -> Result<(), Problem> {
        if self.0.down.load(Ordering::Relaxed) {
            return Err(problems::database_unavailable());
        }
        let wanted = wanted.map_or(self.0.least, |wanted| self.0.least.max(Position(wanted)));
        if self.0.seen.borrow()[view as usize] >= wanted {
            return Ok(());
        }
        let mut seen = self.0.seen.subscribe();
        let _waiting = Waiting::start(&self.0);
        let reached = seen.wait_for(|seen| seen[view as usize] >= wanted);
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(_) => Ok(()),
            Err(_elapsed) => Err(problems::behind()),
        }
    }

    /// What a read says when its query failed.
    pub(crate) fn failure(&self, error: sqlx::Error) -> Problem {
        if !is_outage(&error) && !is_not_set_up(&error) {
            return Problem::internal(&error);
        }
        self.refuse_reads(&error);
        problems::database_unavailable()
    }

    fn refuse_reads(&self, error: &sqlx::Error) {
        if !self.0.down.swap(true, Ordering::Relaxed) {
            let error: &dyn std::error::Error = error;
            tracing::warn!(
                error,
                "the database does not answer as it should; reads of views are refused"
            );
            self.0.look.notify_one();
        }
    }

    /// Looks at the checkpoints while someone waits or the database is down, until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            loop {
                self.0.look.notified().await;
                while self.0.is_watched() {
                    self.look().await;
                    tokio::time::sleep(self.0.pause()).await;
                }
            }
        })
        .await;
    }

    async fn look(&self) {
        let checkpoints = sqlx::query!("SELECT name, position FROM projection.checkpoint");
        let checkpoints = match checkpoints.fetch_all(&self.0.pool).await {
            Ok(checkpoints) => checkpoints,
            Err(error) => {
                // Those who wait are told when their time is over.
                self.refuse_reads(&error);
                return;
            }
        };
        if self.0.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the database answers again");
        }
        self.0.seen.send_if_modified(|seen| {
            let before = *seen;
            for checkpoint in checkpoints {
                if let Some(view) = View::named(&checkpoint.name) {
                    seen[view as usize] = Position(checkpoint.position.cast_unsigned());
                }
            }
            *seen != before
        });
    }
}

impl Inner {
    fn is_watched(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0 || self.down.load(Ordering::Relaxed)
    }

    fn pause(&self) -> Duration {
        if self.down.load(Ordering::Relaxed) { PAUSE_WHILE_DOWN } else { PAUSE }
    }
}

/// Someone who waits for a view; counted until dropped.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn start(inner: &'a Inner) -> Self {
        inner.waiting.fetch_add(1, Ordering::SeqCst);
        inner.look.notify_one();
        Self(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Live {
    /// Waits until everything up to `wanted` was taken in.
    ///
    /// # Errors
    /// 503: it is not in time.
    pub(crate) async fn at_least(&self, wanted: Option<u64>) -> Result<(), Problem> {
        let Some(wanted) = wanted.map(Position) else { return Ok(()) };
        if self.position() >= Some(wanted) {
            return Ok(());
        }
        let reached = tokio::time::timeout(PATIENCE, self.reached(wanted));
        reached.await.map_err(|_elapsed| problems::behind())
    }
}
