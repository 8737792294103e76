//! Every case on PostgreSQL as installed on this machine.

use infra::postgres::{connect, testing};
use sqlx::PgPool;

struct Database(PgPool);

impl Database {
    fn pool(&self) -> PgPool {
        self.0.clone()
    }

    async fn close(self) {
        self.0.close().await;
    }
}

/// A new database without any table.
async fn open() -> Option<Database> {
    let url = testing::server()?.empty_database().await;
    Some(Database(connect(&url, 10).unwrap()))
}

projections::projection_conformance!(open);
