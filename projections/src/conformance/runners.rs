//! What keeps the views up to date, under bad conditions.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::shop::histories;
use super::stage::{Rows, Running, Stage, soon, until};
use crate::Projection;
use crate::runner::Runner;
use crate::tables::Batch;
use crate::trouble::Trouble;
use crate::views::{self, Bookings};

/// The rows of every view.
pub(super) async fn all_rows(stage: &Stage) -> Vec<(&'static str, Rows)> {
    let mut all = Vec::new();
    for view in views::ALL {
        all.push((view.name(), stage.rows(view.name()).await));
    }
    all
}

/// The views hold what one undisturbed pass over the log gives.
pub(super) async fn assert_exact(stage: &Stage) {
    let live = all_rows(stage).await;
    for (name, _) in &live {
        stage.projections.rebuild(name, |_| {}).await.expect("it can be rebuilt");
    }
    for ((name, live), (_, rebuilt)) in live.into_iter().zip(all_rows(stage).await) {
        assert_eq!(live, rebuilt, "{name}");
        assert_eq!(stage.checkpoint(name).await.parked, 0, "{name}");
    }
}

/// Two processes keep the same views up to date.
pub async fn a_record_is_applied_once_by_two_runners(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let (one, other) = (stage.start(), Running::of(&stage.projections.clone()));
    let history = histories(3, 7, 90);
    let (first, rest) = history.split_at(180);
    for (at, fact) in first {
        stage.append(*at, None, fact).await;
    }
    stage.reach_head().await;
    one.stop().await;
    // The other takes over.
    for (at, fact) in rest {
        stage.append(*at, None, fact).await;
    }
    stage.reach_head().await;
    other.stop().await;
    assert_exact(&stage).await;
}

/// Of several processes one has the lease, until it gives it up or shows no sign of life.
pub async fn one_process_at_a_time_keeps_the_views(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let start = |process| {
        let shared = stage.projections.clone().shared(Uuid::from_u128(process));
        Running::of(&shared)
    };
    let holder = async || {
        let row = stage.query("SELECT holder FROM projection.lease").await.pop();
        row.map(|row| row["holder"].as_str().expect("an id").parse::<Uuid>().expect("an id"))
    };
    let has_it = async |process| until(async || holder().await == Some(process)).await;
    let [one, two, dead] = [1, 2, 3].map(Uuid::from_u128);
    let history = histories(1, 5, 40);
    let (first, rest) = history.split_at(20);

    let running = start(1);
    has_it(one).await;
    let standing_by = start(2);
    for (at, fact) in first {
        stage.append(*at, None, fact).await;
    }
    stage.reach_head().await;
    assert_eq!(holder().await, Some(one));
    running.stop().await;
    has_it(two).await;
    standing_by.stop().await;
    assert_eq!(holder().await, None);

    // Who died gave nothing up.
    let lease = |until| {
        format!(
            "INSERT INTO projection.lease (holder, until) VALUES ('{dead}', {until})
             ON CONFLICT (only_one) DO UPDATE SET until = excluded.until"
        )
    };
    stage.execute(&lease("'infinity'")).await;
    let running = start(1);
    let before = stage.checkpoint("audit").await.position;
    for (at, fact) in rest {
        stage.append(*at, None, fact).await;
    }
    assert_eq!((holder().await, stage.checkpoint("audit").await.position), (Some(dead), before));
    stage.execute(&lease("clock_timestamp()")).await;
    stage.reach_head().await;
    assert_eq!(holder().await, Some(one));
    running.stop().await;
    assert_exact(&stage).await;
}

/// A runner is dropped at any point of its work, over and over, while records come in.
pub async fn a_record_is_applied_once_however_often_a_runner_is_killed(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let history = histories(3, 21, 120);
    let mut places = BTreeSet::new();
    for (lived, facts) in history.chunks(9).enumerate() {
        for (at, fact) in facts {
            stage.append(*at, None, fact).await;
        }
        for (place, view) in views::ALL.into_iter().enumerate() {
            // From too short to do anything to long enough for all there is, in turns.
            let polls = (lived + place) % 40 + 1;
            let (tables, log) = (stage.tables(view, view.name()), stage.log.clone());
            let runner =
                Runner { tables, log, trouble: Trouble::default() }.run(CancellationToken::new());
            let head = stage.log.head().await.expect("the log can be read");
            tokio::select! {
                () = live_for(polls, runner) => {}
                () = until(async || stage.checkpoint(view.name()).await.position == head) => {}
            }
            places.insert((view.name(), stage.checkpoint(view.name()).await.position));
        }
    }
    assert!(places.len() > 2 * views::ALL.len(), "some were killed between two batches");
    stage.catch_up().await;
    assert_exact(&stage).await;
}

/// Polls so often, then drops it, whatever it waits for.
async fn live_for(mut polls: usize, what: impl Future<Output = ()>) {
    let mut what = pin!(what);
    poll_fn(|context| {
        polls -= 1;
        match what.as_mut().poll(context) {
            Poll::Pending if polls > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// Whoever gets the connection next would work in it.
pub async fn a_beginning_that_is_dropped_leaves_no_transaction(pool: PgPool) {
    for polls in (1..=4).cycle().take(40) {
        live_for(polls, async {
            let _ = infra::postgres::begin(&pool, "BEGIN").await;
        })
        .await;
        let mut connection = pool.acquire().await.expect("a connection");
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            let id = sqlx::query_scalar::<_, i64>("SELECT txid_current()");
            ids.insert(id.fetch_one(&mut *connection).await.expect("the database works"));
        }
        assert_eq!(ids.len(), 2, "each statement is a transaction of its own");
    }
}

/// As if its first commit had not been heard of.
pub async fn a_batch_that_comes_again_changes_nothing(pool: PgPool) {
    let stage = Stage::open(pool).await;
    for (at, fact) in histories(1, 17, 60) {
        stage.append(at, None, &fact).await;
    }
    let records = stage.records().await;
    let (first, rest) = records.split_at(30);
    for view in views::ALL {
        let tables = stage.tables(view, view.name());
        let before = stage.checkpoint(view.name()).await;
        stage.apply(&tables, first, first.len()).await;
        let (rows, at) = (stage.rows(view.name()).await, stage.checkpoint(view.name()).await);
        for again in [first, &records] {
            let to = again.last().expect("records").position;
            let batch = Batch::new(view, again.to_vec(), to).await;
            let applied = tables.apply(before, batch).await.expect("the database works");
            assert_eq!(applied, None, "{} is elsewhere", view.name());
        }
        assert_eq!(stage.rows(view.name()).await, rows, "{}", view.name());
        assert_eq!(stage.checkpoint(view.name()).await, at, "{}", view.name());
        stage.apply(&tables, rest, 7).await;
    }
    assert_exact(&stage).await;
}

/// The database cuts all connections while records come in.
pub async fn a_cut_connection_only_delays(pool: PgPool) {
    let stage = Stage::open(pool).await;
    let running = stage.start();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid <> pg_backend_pid() AND datname = current_database()";
    for (place, (at, fact)) in histories(2, 5, 80).into_iter().enumerate() {
        stage.append(at, None, &fact).await;
        if place % 20 == 0 {
            // The connection this is asked on may be one that was cut before.
            let _ = sqlx::query(cut).execute(&stage.pool).await;
        }
    }
    let head = stage.log.head().await.expect("the log can be read");
    until(async || stage.projections.reach(head).await.is_ok()).await;
    soon(running.stop()).await;
    assert_exact(&stage).await;
}

/// Those who wait for a position wait for every view, also where nothing of theirs happens.
pub async fn records_a_view_does_not_want_move_its_checkpoint(pool: PgPool) {
    static ONE: [&dyn Projection; 1] = [&Bookings];
    let stage = Stage::open(pool).await;
    let (at, _, venue) = super::story::story().remove(0);
    let position = stage.append(at, None, &venue).await;
    let projections = stage.projections.clone().with_views(&ONE);
    let running = Running::of(&projections);
    soon(projections.reach(position)).await.expect("the database works");
    let position = stage.append(at, None, &venue).await;
    soon(projections.reach(position)).await.expect("the database works");
    running.stop().await;
    assert!(!Bookings.wants(&stage.records().await[0]));
}
