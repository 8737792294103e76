//! One database, one log.

use serde_json::json;
use sqlx::PgPool;

use super::shop::histories;
use super::stage::{Stage, at};
use super::story;
use crate::PrepareError;

/// Of another log, or of an older copy of it, nothing is taken.
pub async fn a_database_belongs_to_one_log(pool: PgPool) {
    let stage = Stage::open(pool).await;
    stage.projections.prepare().await.expect("an empty log fits an empty database");
    for (at, fact) in histories(1, 71, 20) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    stage.projections.prepare().await.expect("it is the same log");
    let other = Stage::with_log_only(stage.pool.clone()).await;
    let refused = other.projections.prepare().await.expect_err("the log ends too early");
    assert!(matches!(refused, PrepareError::OtherLog(_)), "{refused:?}");
    assert!(!refused.is_outage() && refused.to_string().contains("log"), "{refused}");
    for (at, fact) in histories(1, 72, 60) {
        other.append(at, None, &fact).await;
    }
    let refused = other.projections.prepare().await.expect_err("it begins with another record");
    assert!(matches!(refused, PrepareError::OtherLog(crate::OtherLog::First)), "{refused:?}");
}

/// Who owns a database alone may have it filled from another log.
pub async fn a_database_starts_afresh(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(2, 81, 40) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    let other = Stage::with_log_only(stage.pool.clone()).await;
    other.append(at(0), None, &story::story()[0].2).await;
    other.projections.start_afresh().await.expect("the database can be emptied");
    other.catch_up().await;
    assert_eq!(other.query("SELECT name FROM catalog.venue").await, [json!({"name": "Hall"})]);
    assert_eq!(other.rows("bookings").await["booking"].len(), 0);
}

/// Migrations run from nothing, and do nothing the second time.
pub async fn tables_are_set_up_once(pool: PgPool) {
    let stage = Stage::with_log_only(pool.clone()).await;
    let found = "SELECT tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'";
    assert_eq!(stage.query(found).await.len(), 0, "the case was given an empty database");
    infra::postgres::migrate(&pool).await.expect("the tables can be set up");
    let applied = "SELECT version, installed_on FROM migrations.applied ORDER BY version";
    let before = stage.query(applied).await;
    infra::postgres::migrate(&pool).await.expect("there is nothing to do");
    assert_eq!(stage.query(applied).await, before);
    assert!(!before.is_empty());
    for view in crate::views::ALL {
        let tables = stage.rows(view.name()).await;
        assert!(!tables.is_empty() && tables.values().all(Vec::is_empty), "{}", view.name());
    }
    stage.execute("UPDATE migrations.applied SET checksum = 'x' WHERE version = 1").await;
    let refused = infra::postgres::migrate(&pool).await.expect_err("the tables are others");
    assert!(refused.to_string().contains("evently"), "{refused}");
}

/// Lag in records and in time.
pub async fn how_far_behind_a_view_is_can_be_seen(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let status = stage.projections.status().await.expect("the database works");
    let names: Vec<_> = status.iter().map(|status| status.name).collect();
    assert_eq!(names, ["catalog", "availability", "seats", "bookings", "waitlist", "audit"]);
    assert!(
        status
            .iter()
            .all(|status| status.following.lag_records == 0 && status.following.lag_seconds == 0.0)
    );
    for (at, by, fact) in story::story().into_iter().take(3) {
        stage.append(at, by, &fact).await;
    }
    stage.clock.set(at(30));
    let head = stage.log.head().await.expect("the log can be read").0;
    for status in stage.projections.status().await.expect("the database works") {
        assert_eq!(
            (status.following.lag_records, status.following.position, status.following.head),
            (3, 0, head)
        );
        assert_eq!(status.following.lag_seconds, 30.0);
    }
    stage.catch_up().await;
    for status in stage.projections.status().await.expect("the database works") {
        assert_eq!(
            (status.following.lag_records, status.following.position, status.following.parked),
            (0, head, 0)
        );
        assert_eq!(status.following.lag_seconds, 0.0);
    }
}
