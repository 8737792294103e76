//! The SQL database of the views: a PostgreSQL server (15 or later), or one inside the process.
//!
//! All that is in it can be built again from the log, so commits need not wait for the disk.

#[cfg(feature = "testing")]
pub mod testing;
mod transaction;

pub use transaction::{begin, commit};

use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

/// How long a caller waits for a free connection before its operation fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that rested longer is tried before it is used: the server may be gone.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);
/// Statements kept prepared on each connection; more than the product has.
const PREPARED_STATEMENTS: usize = 500;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The address is not one of a PostgreSQL database.
#[derive(Debug, thiserror::Error)]
#[error("expected an address like postgres://user:password@host:5432/database")]
pub struct AddressError(#[source] sqlx::Error);

/// Why the tables could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached at the moment.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// Its tables are not those this program knows.
    #[error(
        "the database was set up by a newer evently, or by another program; \
         start the newer one, or name another database: views are filled from the log again, \
         but the schema identity, with the keys of persons, has to be copied to it"
    )]
    Foreign(#[source] sqlx::migrate::MigrateError),
    /// A statement failed, for instance for lack of rights.
    #[error("the database's tables cannot be set up")]
    Failed(#[source] sqlx::migrate::MigrateError),
}

/// A pool of at most `max_connections` connections to the database at `url`. Nothing is connected
/// before it is needed, so that the product can start while the database is down.
///
/// # Errors
/// `url` is not understood.
pub fn connect(url: &str, max_connections: u32) -> Result<PgPool, AddressError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(AddressError)?
        .application_name("evently")
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        });
    Ok(pool.connect_lazy_with(options))
}

/// Brings the tables to the form this program works with. Does nothing the second time.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    use sqlx::migrate::MigrateError as Cause;
    let mut connection = pool.acquire().await.map_err(MigrateError::Unreachable)?;
    // However this ends, also by being dropped: nobody else gets a connection that may still hold
    // the lock which keeps migrations apart.
    connection.close_on_drop();
    // A schema of its own: who owns a database need not have rights in `public`.
    let mut migrator = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    migrator.create_schema("migrations");
    migrator.dangerous_set_table_name("migrations.applied");
    let Err(error) = migrator.run_direct(None, &mut *connection, false).await else {
        return Ok(());
    };
    Err(match error {
        Cause::Execute(cause) | Cause::ExecuteMigration(cause, _) if is_outage(&cause) => {
            MigrateError::Unreachable(cause)
        }
        Cause::VersionMissing(_) | Cause::VersionMismatch(_) => MigrateError::Foreign(error),
        error => MigrateError::Failed(error),
    })
}

/// The statements of all migrations that make the schema `view`, for a schema called `copy`: what
/// a view's tables are does not depend on what became of them in the database.
pub fn statements_for(view: &str, copy: &str) -> String {
    let migrations = MIGRATIONS.iter().flat_map(|migration| migration.sql.as_str().lines());
    let lines = migrations.map(|line| line.split("--").next().unwrap_or_default());
    let whole = lines.collect::<Vec<_>>().join("\n");
    let create = format!("CREATE SCHEMA {view}");
    let mine = whole.split_inclusive(';').filter_map(|statement| {
        if statement.trim().trim_end_matches(';') == create {
            return Some(format!("CREATE SCHEMA {copy};"));
        }
        let renamed = rename_schema(statement, view, copy);
        (renamed != statement).then_some(renamed)
    });
    mine.collect()
}

/// `statement` with `view.` as the beginning of a name replaced by `copy.`.
fn rename_schema(statement: &str, view: &str, copy: &str) -> String {
    let mut renamed = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(at) = rest.find(&format!("{view}.")) {
        let before = rest[..at].chars().next_back();
        let begins = before.is_none_or(|it| !it.is_alphanumeric() && !"_.".contains(it));
        renamed += &rest[..at];
        renamed += if begins { copy } else { view };
        rest = &rest[at + view.len()..];
    }
    renamed + rest
}

/// Whether the database lacks what a read needs, which the background work sets up as soon as it
/// can: there are no such tables (yet), for instance because `DATABASE_URL` names another database.
pub fn is_not_set_up(error: &sqlx::Error) -> bool {
    // Undefined table, undefined schema.
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| ["42P01", "3F000"].contains(&&*code))
}

/// Whether the database, not the statement, is at fault: the same may succeed later.
pub fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection lost, role or password refused, no such database, transaction rolled back
            // by the server, out of resources, operator intervention, system error (PostgreSQL,
            // appendix A). Not ours to judge: 57014, a statement cancelled by a time limit, says
            // the same.
            ["08", "28", "3D", "40", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default())
                // A lock that could not be had in time.
                || code == "55P03"
        }),
        _ => false,
    }
}
