//! Where several processes could keep the views of one database up to date, one at a time does.
//!
//! It holds a lease, a row that it renews; when it dies, or stands still for longer than
//! [`TERM`], another takes over. Rows are exact without it, for every transaction moves a checkpoint
//! that it holds the lock on: the lease only keeps processes from doing the same work and from being
//! in each other's way.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

/// For how long the lease is good without a sign of life.
const TERM: Duration = Duration::from_secs(5);
/// Between two signs of life.
const RENEWAL: Duration = Duration::from_secs(1);
/// Between two looks at a lease that another has.
const LOOK: Duration = Duration::from_millis(500);
/// How long giving it up may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The lease, as one process sees it.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pool: PgPool,
    /// The same over restarts, so that a process need not wait for itself.
    holder: Uuid,
}

impl Lease {
    pub(crate) fn new(pool: PgPool, holder: Uuid) -> Self {
        Self { pool, holder }
    }

    /// Waits until this process has the lease; from when on it is good is the answer.
    pub(crate) async fn taken(&self) -> Instant {
        let mut told = false;
        loop {
            let asked = Instant::now();
            match timeout(TERM, self.hold()).await {
                Ok(Ok(true)) => return asked,
                Ok(Ok(false)) if !std::mem::replace(&mut told, true) => {
                    tracing::info!("another process keeps the views up to date; standing by");
                }
                // That the database is away, or that it stands still, passes or is told elsewhere.
                _ => {}
            }
            sleep(LOOK).await;
        }
    }

    /// Renews the lease taken at `taken`, until that fails for as long as it is good.
    pub(crate) async fn lost(&self, taken: Instant) {
        let mut end = taken + TERM;
        loop {
            sleep(RENEWAL).await;
            let asked = Instant::now();
            match timeout_at(end, self.hold()).await {
                Ok(Ok(true)) => end = asked + TERM,
                Ok(Err(error)) if asked < end => {
                    tracing::debug!(%error, "the lease on the views cannot be renewed");
                }
                _ => {
                    tracing::warn!("the lease on the views was lost");
                    return;
                }
            }
        }
    }

    /// Lets others have it at once.
    pub(crate) async fn give_up(&self) {
        let holder = self.holder;
        let given = sqlx::query!("DELETE FROM projection.lease WHERE holder = $1", holder);
        // Otherwise they have it later.
        let _ = timeout(FAREWELL, given.execute(&self.pool)).await;
    }

    /// Takes or renews it; false if another has it.
    async fn hold(&self) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            "INSERT INTO projection.lease (holder, until)
             VALUES ($1, clock_timestamp() + make_interval(secs => $2))
             ON CONFLICT (only_one) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE lease.holder = excluded.holder OR lease.until < clock_timestamp()",
            self.holder,
            TERM.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
