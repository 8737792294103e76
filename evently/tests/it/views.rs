//! What the projections have to do, on the database inside the process.

use evently::embedded_postgres::EmbeddedPostgres;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Database {
    pool: PgPool,
    running: JoinHandle<()>,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Database {
    fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// A new database without any table, with the one connection it takes.
async fn open() -> Option<Database> {
    let folder = tempfile::tempdir().unwrap();
    let inside = EmbeddedPostgres::start(&folder.path().join("views")).await.unwrap();
    let pool = infra::postgres::connect(inside.url(), 1).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(inside.run(pool.clone(), stop.clone()));
    Some(Database { pool, running, stop, _folder: folder })
}

projections::projection_conformance!(open);
