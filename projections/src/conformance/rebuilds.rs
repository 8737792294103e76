//! A view is built again beside the live one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use sqlx::PgPool;

use super::shop::{Shop, histories};
use super::stage::{Running, Stage, soon, until};
use crate::views::{self, Bookings};
use crate::{Changes, Projection, Projections, RebuildError, RetryError};
use domain::{EventId, FactError};
use infra::log::Record;
use infra::postgres::begin;

/// Writes, reads and the live views go on; nobody sees a view that is not whole.
pub async fn a_rebuild_gives_the_same_rows_while_all_goes_on(pool: PgPool) {
    let stage = Arc::new(Stage::open(pool).await);
    let first = histories(2, 31, 150);
    for (at, fact) in &first {
        stage.append(*at, None, fact).await;
    }
    let running = stage.start();
    stage.reach_head().await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(Arc::clone(&stage), Arc::clone(&done)));
    let reader = tokio::spawn(read(Arc::clone(&stage), Arc::clone(&done)));
    for _ in 0..2 {
        for view in views::ALL {
            let mut last = crate::Progress::default();
            let rebuilt = stage.projections.rebuild(view.name(), |progress| {
                assert!(progress.position >= last.position, "it only goes forward");
                last = progress;
            });
            soon(rebuilt).await.expect("it can be rebuilt");
            assert_eq!(last.position, last.target, "it came to the end");
        }
    }
    done.store(true, Ordering::Relaxed);
    let (written, read) = (soon(writer).await, soon(reader).await);
    assert!(written.expect("the writer is well") > 0, "records came in meanwhile");
    assert!(read.expect("the reader is well") > 0, "somebody read meanwhile");
    stage.reach_head().await;
    running.stop().await;
    super::runners::assert_exact(&stage).await;
    let left = "SELECT nspname FROM pg_namespace WHERE nspname ~ '_(next|old)$'";
    assert_eq!(stage.query(left).await, Vec::<serde_json::Value>::new());
}

async fn write(stage: Arc<Stage>, done: Arc<AtomicBool>) -> u64 {
    let mut shop = Shop::new(EventId::from_u128(77), 77);
    let mut written = 0;
    while !done.load(Ordering::Relaxed) {
        let (at, facts) = shop.next();
        for fact in facts {
            stage.append(at, None, &fact).await;
            written += 1;
        }
    }
    written
}

/// Bookings are never deleted: at no moment may there be fewer than before.
async fn read(stage: Arc<Stage>, done: Arc<AtomicBool>) -> u64 {
    let (mut most, mut reads) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let query = "SELECT count(*) FROM bookings.booking";
        let found: i64 = sqlx::query_scalar(query).fetch_one(&stage.pool).await.expect("a count");
        assert!(found >= most, "{found} bookings after {most}");
        (most, reads) = (found, reads + 1);
    }
    reads
}

/// A log longer than a batch, also while the live view is so far behind that the copy overtakes it.
pub async fn a_long_log_is_rebuilt_in_many_batches(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for event in 1..=2 {
        stage.append_all(&Shop::new(EventId::from_u128(event), 91).history(6_000)).await;
    }
    let head = stage.log.head().await.expect("the log can be read");
    let mut seen = Vec::new();
    let rebuilt = stage.projections.rebuild("bookings", |progress| seen.push(progress));
    soon(rebuilt).await.expect("it can be rebuilt");
    assert!(seen.len() > 3 && seen.is_sorted_by_key(|seen| seen.position), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.target == head && seen.position <= head), "{seen:?}");
    assert_eq!(stage.checkpoint("bookings").await.position, head);
    stage.catch_up().await;
    super::runners::assert_exact(&stage).await;
}

/// Whatever became of its tables; and those of a copy are as they were set up.
pub async fn a_damaged_view_is_made_whole(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(2, 37, 80) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    let names: Vec<_> = stage.projections.names().collect();
    let form = "SELECT nspname, relname, relkind, pg_get_indexdef(pg_class.oid) AS index,
            (SELECT json_agg(json_build_array(attname, atttypid::regtype, attnotnull)
                ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = pg_class.oid AND attnum > 0) AS columns,
            (SELECT json_agg(pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint
             WHERE conrelid = pg_class.oid) AS constraints
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname !~ '^pg_' AND relkind IN ('r', 'i', 'S') ORDER BY nspname, relname";
    let before = stage.query(form).await;
    let mut rows = Vec::new();
    for name in &names {
        rows.push(stage.rows(name).await);
    }
    stage
        .execute(
            "DROP SCHEMA seats CASCADE;
             DROP TABLE catalog.venue;
             ALTER TABLE bookings.booking DROP COLUMN currency;
             UPDATE availability.tier SET sold = sold + 1;
             DELETE FROM waitlist.entry;
             TRUNCATE audit.record",
        )
        .await;
    for (name, rows) in names.iter().zip(&rows) {
        soon(stage.projections.rebuild(name, |_| {})).await.expect("it can be rebuilt");
        assert_eq!(&stage.rows(name).await, rows, "{name}");
    }
    assert_eq!(stage.query(form).await, before);
}

/// Its process died; the live view is as it was.
pub async fn a_rebuild_that_was_cut_short_is_taken_away(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(2, 41, 100) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    let live = stage.rows("bookings").await;
    // Dropped right after its tables were made.
    drop(stage.projections.begin_rebuild("bookings").await.expect("it can begin"));
    let status = stage.projections.status().await.expect("the database works");
    let bookings = status.iter().find(|status| status.name == "bookings").expect("it is there");
    assert!(bookings.rebuild.is_some(), "it can be seen");

    // Nobody takes it away while it may be alive.
    stage.projections.prepare().await.expect("the database works");
    let copies = "SELECT nspname FROM pg_namespace WHERE nspname ~ '_next$'";
    assert_eq!(stage.query(copies).await.len(), 1);
    stage.execute("UPDATE projection.rebuild SET updated_at = now() - interval '1 minute'").await;
    stage.projections.prepare().await.expect("the database works");
    assert_eq!(stage.query(copies).await.len(), 0);
    let left = "SELECT name FROM projection.checkpoint WHERE name ~ '_next$' \
                UNION SELECT name FROM projection.rebuild";
    assert_eq!(stage.query(left).await.len(), 0);
    assert_eq!(stage.rows("bookings").await, live);
}

/// It stood still so long that another process began anew: it must not touch what that one makes.
pub async fn a_rebuild_that_was_taken_over_ends(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(1, 43, 80) {
        stage.append(at, None, &fact).await;
    }
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'bookings' ORDER BY 1";
    let before = stage.query(indexes).await;
    let old = stage.projections.begin_rebuild("bookings").await.expect("it can begin");
    stage.execute("UPDATE projection.rebuild SET updated_at = now() - interval '1 minute'").await;
    let new = stage.projections.begin_rebuild("bookings").await.expect("it can be taken over");
    let never = tokio_util::sync::CancellationToken::new();
    let ended = soon(old.finish(&mut |_| {}, &never)).await;
    assert!(matches!(ended, Err(RebuildError::Superseded)), "{ended:?}");
    soon(new.finish(&mut |_| {}, &never)).await.expect("the other is not disturbed");
    assert_eq!(stage.query(indexes).await, before);
    stage.catch_up().await;
    super::runners::assert_exact(&stage).await;
}

/// Nothing is heard of a rebuild while it makes indexes: that is not taken for its death.
pub async fn a_rebuild_that_makes_indexes_is_left_alone(pool: PgPool) {
    if pool.options().get_max_connections() == 1 {
        // Then nobody is there who could take it for dead.
        return;
    }
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(1, 47, 80) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'bookings' ORDER BY 1";
    let before = stage.query(indexes).await;
    let rebuild = stage.projections.begin_rebuild("bookings").await.expect("it can begin");
    // Rows can be written, indexes not be made. And every sign of life is an old one.
    let mut writer = begin(&stage.pool, "BEGIN").await.expect("a transaction");
    let lock = "LOCK TABLE bookings_next.booking IN ROW EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *writer).await.expect("a lock");
    stage
        .execute(
            "CREATE FUNCTION old() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.updated_at := now() - interval '1 minute'; RETURN NEW; END $$;
             CREATE TRIGGER old BEFORE UPDATE ON projection.rebuild
                FOR EACH ROW EXECUTE FUNCTION old()",
        )
        .await;
    let rebuilding = tokio::spawn(async move {
        let never = tokio_util::sync::CancellationToken::new();
        rebuild.finish(&mut |_| {}, &never).await
    });
    let waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'";
    until(async || !stage.query(waits).await.is_empty()).await;
    soon(stage.projections.prepare()).await.expect("the database works");
    let second = soon(stage.projections.rebuild("bookings", |_| {})).await;
    assert!(matches!(second, Err(RebuildError::Running)), "{second:?}");
    writer.rollback().await.expect("the lock is given back");
    soon(rebuilding).await.expect("it is well").expect("it was left alone");
    assert_eq!(stage.query(indexes).await, before);
}

/// A second one is refused, also one by another process.
pub async fn one_rebuild_at_a_time(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let rebuild = stage.projections.begin_rebuild("seats").await.expect("it can begin");
    let second = stage.projections.rebuild("seats", |_| {}).await;
    assert!(matches!(second, Err(RebuildError::Running)), "{second:?}");
    stage.projections.rebuild("waitlist", |_| {}).await.expect("another view can be rebuilt");
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    let stopped = rebuild.finish(&mut |_| {}, &stop).await;
    assert!(matches!(stopped, Err(RebuildError::Stopped)), "{stopped:?}");
    stage.projections.rebuild("seats", |_| {}).await.expect("the way is free again");
}

/// It is told which there are; no name reaches a statement.
pub async fn a_view_that_does_not_exist_is_refused(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let schemas = "SELECT nspname FROM pg_namespace ORDER BY nspname";
    let before = stage.query(schemas).await;
    for name in
        ["nothing", "", "Bookings", "bookings_next", "projection", "seats; DROP SCHEMA seats"]
    {
        let known = "catalog, availability, seats, bookings, waitlist, audit";
        let told = format!("there is no view of this name; there are {known}");
        let refused = stage.projections.rebuild(name, |_| {}).await.expect_err(name);
        assert!(matches!(refused, RebuildError::Unknown { .. }), "{refused:?}");
        assert_eq!(refused.to_string(), told);
        let refused = stage.projections.retry(name).await.expect_err(name);
        assert!(matches!(refused, RetryError::Unknown { .. }), "{refused:?}");
        assert_eq!(refused.to_string(), told);
    }
    assert_eq!(stage.query(schemas).await, before);
}

/// Bookings as a later program would make them.
struct LaterBookings;

impl Projection for LaterBookings {
    fn name(&self) -> &'static str {
        Bookings.name()
    }

    fn version(&self) -> i32 {
        Bookings.version() + 1
    }

    fn wants(&self, record: &Record) -> bool {
        Bookings.wants(record)
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        Bookings.apply(records)
    }
}

static LATER: [&dyn Projection; 1] = [&LaterBookings];

/// In the background, while the rows that are there serve and are kept up to date.
pub async fn a_view_of_an_older_version_is_built_again(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(2, 51, 80) {
        stage.append(at, None, &fact).await;
    }
    stage.catch_up().await;
    let before = stage.rows("bookings").await;
    let later = stage.projections.clone().with_views(&LATER);
    let running = Running::of(&later);
    let version = LaterBookings.version();
    until(async || stage.checkpoint("bookings").await.version == version).await;
    assert_eq!(stage.rows("bookings").await, before);
    stage.append(super::stage::at(0), None, &super::story::story()[4].2).await;
    let head = stage.log.head().await.expect("the log can be read");
    soon(later.reach(head)).await.expect("the database works");
    running.stop().await;
    let rows = &stage.rows("bookings").await["booking"];
    assert_eq!(rows.len(), before["booking"].len() + 1, "it goes on in the new tables");
}

/// A program that was put back to an earlier version does not spoil what the later one made.
pub async fn a_view_of_a_newer_version_is_left_alone(pool: PgPool) {
    let stage = Stage::open(pool).await;
    stage.execute("UPDATE projection.checkpoint SET version = 99 WHERE name = 'bookings'").await;
    let running = stage.start();
    for (at, fact) in histories(1, 61, 30) {
        stage.append(at, None, &fact).await;
    }
    let head = stage.log.head().await.expect("the log can be read");
    let others: &'static [&'static dyn Projection] =
        &[&views::Availability, &views::Seats, &views::Audit];
    let others: Projections = stage.projections.clone().with_views(others);
    soon(others.reach(head)).await.expect("the database works");
    running.stop().await;
    assert_eq!(stage.checkpoint("bookings").await.position.0, 0);
    let rows = stage.query("SELECT * FROM bookings.booking").await;
    assert_eq!(json!(rows), json!([]));
}
