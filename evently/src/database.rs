//! The database of the views: the one named by `DATABASE_URL`, or one inside this process.

use std::io;

#[cfg(feature = "embedded-postgres")]
use crate::embedded_postgres::{EmbeddedPostgres, EmbeddedPostgresError};
use infra::data_folder::DataFolder;
use infra::postgres::AddressError;
use projections::{OtherLog, PrepareError, Projections};
use sqlx::PgPool;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::settings::Checked;

/// Connections to a database server. The one inside takes one at a time.
const CONNECTIONS: u32 = 16;

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address is none.
    #[error("DATABASE_URL cannot be used")]
    Address(#[from] AddressError),
    /// The one inside does not start.
    #[cfg(feature = "embedded-postgres")]
    #[error(transparent)]
    Embedded(#[from] EmbeddedPostgresError),
    /// There is none inside.
    #[cfg(not(feature = "embedded-postgres"))]
    #[error("this build has no database inside: name one with DATABASE_URL")]
    None,
    /// It is there, but belongs to something else.
    #[error("the views' database cannot be used")]
    Unusable(#[from] PrepareError),
}

/// The database of the views, open.
pub(crate) struct Database {
    pool: PgPool,
    #[cfg(feature = "embedded-postgres")]
    inside: Option<EmbeddedPostgres>,
}

impl Database {
    /// Opens the database. A server that is away is no error: it is connected to when needed.
    pub(crate) async fn open(
        settings: &Checked,
        folder: &DataFolder,
    ) -> Result<Self, DatabaseError> {
        if let Some(url) = &settings.database_url {
            return Ok(Self {
                pool: infra::postgres::connect(url.reveal(), CONNECTIONS)?,
                #[cfg(feature = "embedded-postgres")]
                inside: None,
            });
        }
        Self::open_inside(folder).await
    }

    #[cfg(feature = "embedded-postgres")]
    async fn open_inside(folder: &DataFolder) -> Result<Self, DatabaseError> {
        let inside = EmbeddedPostgres::start(&folder.views()).await?;
        let pool = infra::postgres::connect(inside.url(), 1)?;
        Ok(Self { pool, inside: Some(inside) })
    }

    #[cfg(not(feature = "embedded-postgres"))]
    #[expect(clippy::unused_async, reason = "as with a database inside")]
    async fn open_inside(_: &DataFolder) -> Result<Self, DatabaseError> {
        Err(DatabaseError::None)
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// Makes the database ready for these projections. The one inside belongs to nobody else: with
    /// the views of another log in it, it begins anew.
    pub(crate) async fn prepare(&self, projections: &Projections) -> Result<(), PrepareError> {
        match projections.prepare().await {
            Err(PrepareError::OtherLog(error)) if self.is_inside() => {
                let error: &OtherLog = &error;
                tracing::warn!(%error, "the views are filled again");
                projections.start_afresh().await
            }
            prepared => prepared,
        }
    }

    /// Keeps it open until `stop`; whoever uses it has to have ended by then.
    pub(crate) async fn run(self, stop: CancellationToken) {
        #[cfg(feature = "embedded-postgres")]
        if let Some(inside) = self.inside {
            return inside.run(self.pool, stop).await;
        }
        stop.cancelled().await;
        self.pool.close().await;
    }

    /// Whether nobody else can use it.
    #[cfg(feature = "embedded-postgres")]
    pub(crate) fn is_inside(&self) -> bool {
        self.inside.is_some()
    }

    #[cfg(not(feature = "embedded-postgres"))]
    pub(crate) fn is_inside(&self) -> bool {
        false
    }
}

/// How far they step back: by this nice value.
const NICE: i32 = 10;

/// Threads for the database and for those who fill it, which all others of the process go before:
/// selling never waits for reading.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(crate) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let step_back = || infra::threads::step_back(NICE, "views");
        builder.worker_threads(2).thread_name("views").on_thread_start(step_back).enable_all();
        Ok(Self(Some(builder.build()?)))
    }

    /// Where tasks are put on them.
    pub(crate) fn handle(&self) -> Handle {
        // They are taken away only by the drop.
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Threads {
    /// Whoever drops them may be on another runtime, where nobody may wait for their end.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
