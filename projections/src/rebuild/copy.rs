//! The tables of a rebuild: `NAME_next` beside `NAME`, and `NAME_old` after the swap.
//!
//! Names come from the views and from the catalog of the database, never from outside.

use infra::postgres::{begin, commit};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

/// Makes `NAME_next` with the tables that `NAME` should have, empty. Not a copy of those it has: a
/// view whose tables are damaged or gone can be built again.
pub(super) async fn create(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    remove(connection, name).await?;
    run(connection, infra::postgres::statements_for(name, &format!("{name}_next"))).await
}

/// Removes what there is of a rebuild of `NAME`.
pub(super) async fn remove(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    run(
        connection,
        format!(
            "SET LOCAL client_min_messages TO warning;
             DROP SCHEMA IF EXISTS {name}_next CASCADE;
             DROP SCHEMA IF EXISTS {name}_old CASCADE;
             DELETE FROM projection.checkpoint WHERE name = '{name}_next';
             DELETE FROM projection.parked WHERE projection = '{name}_next';"
        ),
    )
    .await
}

/// Drops the indexes of `schema` that are no keys, and gives the statements that make them again:
/// a sorted build at the end costs less than keeping them up to date.
pub(super) async fn drop_indexes(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Vec<String>, sqlx::Error> {
    let indexes = sqlx::query!(
        r#"SELECT indexrelid::regclass::text AS "index!",
            pg_get_indexdef(indexrelid) AS "definition!"
           FROM pg_index
           JOIN pg_class ON pg_class.oid = indrelid
           JOIN pg_namespace ON pg_namespace.oid = relnamespace
           WHERE nspname = $1 AND NOT indisunique"#,
        schema,
    )
    .fetch_all(&mut *connection)
    .await?;
    for index in &indexes {
        run(connection, format!("DROP INDEX {}", index.index)).await?;
    }
    Ok(indexes.into_iter().map(|index| index.definition).collect())
}

/// Makes indexes again.
pub(super) async fn create_indexes(
    connection: &mut PgConnection,
    definitions: &[String],
) -> Result<(), sqlx::Error> {
    for definition in definitions {
        run(connection, definition.clone()).await?;
    }
    Ok(())
}

/// Puts `NAME_next` in the place of `NAME`, with its checkpoint and its parked records. Nobody who
/// reads waits: tables found before keep their rows until [`drop_old`].
pub(super) async fn rename(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    run(
        connection,
        format!(
            "SET LOCAL client_min_messages TO warning;
             CREATE SCHEMA IF NOT EXISTS {name};
             ALTER SCHEMA {name} RENAME TO {name}_old;
             ALTER SCHEMA {name}_next RENAME TO {name};
             DELETE FROM projection.parked WHERE projection = '{name}';
             UPDATE projection.parked SET projection = '{name}'
                WHERE projection = '{name}_next';
             UPDATE projection.checkpoint AS live
                SET (version, position, parked, updated_at) =
                    (next.version, next.position, next.parked, next.updated_at)
                FROM projection.checkpoint AS next
                WHERE live.name = '{name}' AND next.name = '{name}_next';
             DELETE FROM projection.checkpoint WHERE name = '{name}_next';"
        ),
    )
    .await
}

/// Drops the tables that were replaced; waits a little for those who still read them.
pub(super) async fn drop_old(pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    run(
        &mut transaction,
        format!(
            "SET LOCAL client_min_messages TO warning; SET LOCAL lock_timeout TO '5s';
             DROP SCHEMA IF EXISTS {name}_old CASCADE;"
        ),
    )
    .await?;
    commit(transaction).await
}

/// Drops a view's tables and all copies of them.
pub(super) async fn drop_schemas(
    connection: &mut PgConnection,
    name: &str,
) -> Result<(), sqlx::Error> {
    run(
        connection,
        format!(
            "SET LOCAL client_min_messages TO warning;
             DROP SCHEMA IF EXISTS {name}, {name}_next, {name}_old CASCADE;"
        ),
    )
    .await
}

async fn run(connection: &mut PgConnection, statements: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await?;
    Ok(())
}
