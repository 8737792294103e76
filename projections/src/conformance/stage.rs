//! Where a case plays: a log of its own, and the database it was given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Aggregate, AttemptId, EmailHash, Fact, LoginHash, Time, UserId, account, administration,
    attempt, email_claim, event, inventory, login_claim, venue,
};
use infra::clock::ManualClock;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, Metadata, NewRecord, Position, Record};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::checkpoint;
use crate::tables::{Batch, Tables};
use crate::{Projection, Projections};

/// How long a case waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log and what is projected from it.
pub(super) struct Stage {
    pub(super) log: Arc<dyn Log>,
    pub(super) pool: PgPool,
    pub(super) clock: Arc<ManualClock>,
    pub(super) projections: Projections,
    _folder: TempDir,
}

/// Projections that keep the views up to date until they are stopped.
pub(super) struct Running {
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// All rows of a schema's tables, as JSON, by table.
pub(super) type Rows = BTreeMap<String, Vec<Value>>;

/// So many seconds after noon of some day.
pub(super) fn at(seconds: u64) -> Time {
    Time::from_ms(1_800_000_000_000).plus_s(seconds)
}

/// The stream that a fact belongs to.
pub(super) fn stream_of(fact: &Fact) -> String {
    use {event::Fact as E, inventory::Fact as I, venue::Fact as V};
    match fact {
        Fact::Venue(V::VenueCreated(fact)) => venue::Venue::stream(fact.venue),
        Fact::Venue(V::VenueChanged(fact)) => venue::Venue::stream(fact.venue),
        Fact::Event(E::EventDrafted(fact)) => event::Event::stream(fact.event),
        Fact::Event(E::EventChanged(fact)) => event::Event::stream(fact.event),
        Fact::Event(E::EventPublished(fact)) => event::Event::stream(fact.event),
        Fact::Event(E::EventCancelled(fact)) => event::Event::stream(fact.event),
        Fact::Inventory(fact) => inventory::stream(match fact {
            I::InventoryOpened(fact) => fact.event,
            I::InventoryRevised(fact) => fact.event,
            I::InventoryClosed(fact) => fact.event,
            I::WaitlistJoined(fact) => fact.event,
            I::WaitlistLeft(fact) => fact.event,
            fact => fact.booking().expect("all others are of a booking").event,
        }),
        Fact::Account(fact) => account::Account::stream(fact.user()),
        Fact::Admin(fact) => administration::Administration::stream(fact.subject()),
        // Which one it is, or which address it is about, no fact says.
        Fact::Login(_) => login_claim::LoginClaim::stream(LoginHash([0; 32])),
        Fact::Attempt(_) => attempt::Attempt::stream(AttemptId::from_u128(0)),
        Fact::Email(_) => email_claim::EmailClaim::stream(EmailHash([0; 32])),
    }
}

/// A fact as a record, decided at that moment by that person.
pub(super) fn record(at: Time, actor: Option<UserId>, fact: &Fact) -> NewRecord {
    let (kind, version, data) = (fact.kind(), fact.version(), fact.encode());
    let id = Uuid::from_u128(infra::ids::random_u128());
    let metadata = Metadata { command: id, actor, ..Metadata::default() };
    let metadata = serde_json::to_string(&metadata).expect("metadata is text").into();
    NewRecord { id, kind: kind.into(), version, at, metadata, data: data.into() }
}

impl Stage {
    /// A new log, and the tables of the views, empty.
    pub(super) async fn open(pool: PgPool) -> Self {
        let stage = Self::with_log_only(pool).await;
        stage.projections.prepare().await.expect("the database can be set up");
        stage
    }

    /// A new log, over whatever is in the database.
    pub(super) async fn with_log_only(pool: PgPool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = EmbeddedLog::open(folder.path().join("log.sqlite"), EmbeddedOptions::default());
        let log: Arc<dyn Log> = Arc::new(log.expect("a new log"));
        let clock = Arc::new(ManualClock::new(at(0)));
        let projections = Projections::new(Arc::clone(&log), pool.clone(), clock.clone());
        Self { log, pool, clock, projections, _folder: folder }
    }

    /// Appends one fact; gives its position.
    pub(super) async fn append(&self, at: Time, actor: Option<UserId>, fact: &Fact) -> Position {
        self.append_raw(&stream_of(fact), record(at, actor, fact)).await
    }

    /// Appends facts of one stream, many at once.
    pub(super) async fn append_all(&self, facts: &[(Time, Fact)]) {
        for facts in facts.chunks(500) {
            let records = facts.iter().map(|(at, fact)| record(*at, None, fact)).collect();
            let appended = self.log.append(&stream_of(&facts[0].1), Expected::Any, records).await;
            appended.expect("the log takes them");
        }
    }

    /// Appends whatever it is.
    pub(super) async fn append_raw(&self, stream: &str, record: NewRecord) -> Position {
        let appended = self.log.append(stream, Expected::Any, vec![record]).await;
        appended.expect("the log takes it").position
    }

    /// All there is in the log.
    pub(super) async fn records(&self) -> Vec<Record> {
        self.log.read_all(Position(0), usize::MAX).await.expect("the log can be read")
    }

    /// The tables of a view, or of a copy of it.
    pub(super) fn tables(&self, view: &'static dyn Projection, name: &str) -> Tables {
        let (pool, clock) = (self.pool.clone(), self.clock.clone());
        Tables { view, name: name.to_owned(), owner: None, pool, clock }
    }

    /// Applies records, so many at a time.
    pub(super) async fn apply(&self, tables: &Tables, records: &[Record], at_once: usize) {
        for chunk in records.chunks(at_once.max(1)) {
            let at = self.checkpoint(&tables.name).await;
            let to = chunk.last().map_or(at.position, |record| record.position);
            let batch = Batch::new(tables.view, chunk.to_vec(), to).await;
            let applied = tables.apply(at, batch).await.expect("the database works");
            assert!(applied.is_some(), "nobody else moves the view");
        }
    }

    pub(super) async fn checkpoint(&self, name: &str) -> checkpoint::Checkpoint {
        let mut connection = self.pool.acquire().await.expect("a connection");
        let loaded = checkpoint::load(&mut connection, name).await.expect("the database works");
        loaded.expect("the view has begun")
    }

    /// Starts what keeps the views up to date.
    pub(super) fn start(&self) -> Running {
        Running::of(&self.projections)
    }

    /// Has the views apply all there is.
    pub(super) async fn catch_up(&self) {
        let running = self.start();
        self.reach_head().await;
        running.stop().await;
    }

    /// Waits until the views are where the log ends now.
    pub(super) async fn reach_head(&self) {
        let head = self.log.head().await.expect("the log can be read");
        soon(self.projections.reach(head)).await.expect("the database works");
    }

    /// What a query gives, as JSON, each row an object.
    pub(super) async fn query(&self, query: &str) -> Vec<Value> {
        let query = format!("SELECT row_to_json(found) FROM ({query}) AS found");
        let found = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&self.pool).await;
        found.expect("the query is right")
    }

    /// Runs statements.
    pub(super) async fn execute(&self, statements: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.pool).await;
        done.expect("the statements are right");
    }

    /// All rows of a schema.
    pub(super) async fn rows(&self, schema: &str) -> Rows {
        let tables = format!("SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'");
        let mut rows = Rows::new();
        for table in self.query(&tables).await {
            let table = table["tablename"].as_str().expect("a name").to_owned();
            let all = format!("SELECT * FROM {schema}.{table}");
            let mut all = self.query(&all).await;
            all.sort_by_key(ToString::to_string);
            rows.insert(table, all);
        }
        rows
    }
}

impl Running {
    pub(super) fn of(projections: &Projections) -> Self {
        let running = Self { tasks: TaskTracker::new(), stop: CancellationToken::new() };
        projections.start(&running.tasks, &running.stop);
        running
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        soon(self.tasks.wait()).await;
    }
}

/// Waits, but not for ever.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens in time")
}

/// Waits until something is so.
pub(super) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    soon(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
