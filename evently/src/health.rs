//! Whether the process lives and what it depends on (OP-2).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use command_api::{CLOCKS_APART, CommandState};
use infra::errors::chain;
use infra::log::{Log, ReadError};
use infra::redis::SharedCache;
use projections::Projections;
use projections::feed::Feed;
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::Role;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of one that takes longer.
const LATE: &str = "it does not answer in time";

/// What is asked.
#[derive(Clone)]
pub(crate) struct Health {
    /// What the process does.
    role: &'static str,
    needs_log: bool,
    needs_database: bool,
    /// What the process has a database for.
    database_is_for: &'static str,
    log: Arc<dyn Log>,
    /// Unless nothing here needs one.
    pool: Option<PgPool>,
    /// If there is one.
    redis: Option<SharedCache>,
    /// If there is a Kafka, where the views are kept.
    feed: Option<Feed>,
    /// If they are kept here.
    views: Option<Projections>,
    /// Where commands are decided.
    commands: Option<CommandState>,
}

/// How the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Readiness {
    /// Everything works.
    Ready,
    /// It sells, but something else is down.
    Degraded,
    /// It cannot do what it is for: sell, where it sells.
    Down,
}

/// How the process is, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthReport {
    status: Readiness,
    /// What the process does: everything (`serve`), or a part.
    role: &'static str,
    /// Of the program.
    version: &'static str,
    dependencies: Vec<Dependency>,
}

/// Something the process depends on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dependency {
    name: &'static str,
    state: DependencyState,
    /// Whether nothing can be sold without it.
    needed: bool,
    /// What it is for.
    purpose: &'static str,
    /// What is wrong with it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether a dependency answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DependencyState {
    /// It answers, and can do what it is for.
    Up,
    /// It does not answer in time, or with an error.
    Down,
}

impl Health {
    pub(crate) fn new(
        role: Role,
        log: Arc<dyn Log>,
        pool: Option<PgPool>,
        redis: Option<SharedCache>,
        feed: Option<Feed>,
    ) -> Self {
        Self {
            role: role.name(),
            // Reads go on without it.
            needs_log: role != Role::QueryApi,
            // Where views are kept, nothing else is done.
            needs_database: role == Role::Projector,
            database_is_for: match role {
                // Selling goes on without it.
                Role::CommandApi => "accounts: logging in, registering, personal data",
                _ => "all other reads",
            },
            log,
            pool,
            redis,
            feed,
            views: None,
            commands: None,
        }
    }

    /// The same where these views are kept up to date, or may be.
    pub(crate) fn keeping(self, views: Option<Projections>) -> Self {
        Self { views, ..self }
    }

    /// The same where these commands are decided, if any are.
    pub(crate) fn deciding(self, commands: Option<CommandState>) -> Self {
        Self { commands, ..self }
    }

    /// Of a log server, which has its log and nothing else.
    pub(crate) fn of_log_server(log: Arc<dyn Log>) -> Self {
        Self {
            role: crate::log_server::ROLE,
            needs_log: true,
            needs_database: false,
            database_is_for: "",
            log,
            pool: None,
            redis: None,
            feed: None,
            views: None,
            commands: None,
        }
    }

    async fn report(&self) -> HealthReport {
        let (log, database, redis, kafka, mail) =
            tokio::join!(self.log(), self.database(), self.redis(), self.kafka(), self.mail());
        let all = [Some(log), database, redis, kafka, mail, self.clock(), self.streams()];
        let dependencies: Vec<_> = all.into_iter().flatten().collect();
        let is_down = |needed| {
            let down = |d: &Dependency| d.state == DependencyState::Down && d.needed == needed;
            dependencies.iter().any(down)
        };
        let status = match (is_down(true), is_down(false)) {
            (true, _) => Readiness::Down,
            (_, true) => Readiness::Degraded,
            _ => Readiness::Ready,
        };
        let version = env!("CARGO_PKG_VERSION");
        HealthReport { status, role: self.role, version, dependencies }
    }

    async fn database(&self) -> Option<Dependency> {
        let pool = self.pool.as_ref()?;
        let reason = match timeout(PATIENCE, sqlx::query("SELECT 1").execute(pool)).await {
            // That it answers does not show that anything can be written.
            Ok(Ok(_)) => self.views.as_ref().and_then(Projections::trouble),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(LATE.to_owned()),
        };
        let (state, needed) = (state(reason.is_none()), self.needs_database);
        Some(Dependency { name: "database", state, needed, purpose: self.database_is_for, reason })
    }

    async fn redis(&self) -> Option<Dependency> {
        let reason = self.redis.as_ref()?.trouble().await;
        let (state, purpose) =
            (state(reason.is_none()), "a cache and counts of requests that processes share");
        Some(Dependency { name: "redis", state, needed: false, purpose, reason })
    }

    async fn kafka(&self) -> Option<Dependency> {
        let reason = self.feed.as_ref()?.kafka().trouble().await;
        let (state, purpose) = (state(reason.is_none()), "the public feed, which waits for it");
        Some(Dependency { name: "kafka", state, needed: false, purpose, reason })
    }

    /// The clock is down when it cannot be right if all that wrote records were. What is decided
    /// goes by it all the same.
    fn clock(&self) -> Option<Dependency> {
        let ahead = self.commands.as_ref()?.log_ahead();
        let reason = (ahead > CLOCKS_APART).then(|| {
            let ahead_s = ahead.as_secs();
            format!(
                "the log has records of a time that comes in {ahead_s} s: a clock is or was wrong"
            )
        });
        let (name, purpose) = ("clock", "deadlines of holds, times of sale");
        Some(Dependency { name, state: state(reason.is_none()), needed: false, purpose, reason })
    }

    /// Events, venues and accounts of which a record is damaged. The others go on.
    fn streams(&self) -> Option<Dependency> {
        let reason = self.commands.as_ref()?.damaged_streams().map(|(count, first)| {
            format!("{count} cannot be read for good, the first of them {first}")
        });
        let (name, purpose) = ("streams", "commands on one event, venue or account each");
        Some(Dependency { name, state: state(reason.is_none()), needed: false, purpose, reason })
    }

    async fn mail(&self) -> Option<Dependency> {
        let reason = self.commands.as_ref()?.mail_server().await?.err();
        let state = state(reason.is_none());
        let purpose =
            "mails to people, which are sent again for some minutes and then kept as files";
        Some(Dependency { name: "mail", state, needed: false, purpose, reason })
    }

    /// The log is up when it can be read and written. Asking whether it can be written is also
    /// what finds out, without any client, that it can be again.
    async fn log(&self) -> Dependency {
        let asked = timeout(PATIENCE, async {
            self.log.head().await.map_err(|ReadError(why)| chain(&*why))?;
            let writable = self.log.check_writable().await;
            writable.map_err(|error| error.reason().unwrap_or_else(|| error.to_string()))
        });
        let reason = match asked.await {
            Ok(answer) => answer.err(),
            Err(_elapsed) => Some(LATE.to_owned()),
        };
        let state = state(reason.is_none());
        let needed = self.needs_log;
        Dependency { name: "log", state, needed, purpose: "selling, availability", reason }
    }
}

fn state(answers: bool) -> DependencyState {
    if answers { DependencyState::Up } else { DependencyState::Down }
}

/// The endpoints, outside of `/api/v1`.
pub(crate) fn router(state: Health) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(state)
}

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alive {
    #[schema(value_type = String, example = "live")]
    status: &'static str,
}

/// Whether the process answers at all: one that does not is to be started again.
#[utoipa::path(get, path = "/health/live", tag = "health",
    responses((status = 200, description = "It answers", body = Alive)))]
pub(crate) async fn live() -> Json<Alive> {
    Json(Alive { status: "live" })
}

/// Whether the process can sell, and which of its dependencies answer.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, description = "It can sell", body = HealthReport),
        (status = 503, description = "or it cannot sell, and says why", body = HealthReport),
    )
)]
pub(crate) async fn ready(State(health): State<Health>) -> (StatusCode, Json<HealthReport>) {
    let report = health.report().await;
    let status = match report.status {
        Readiness::Ready | Readiness::Degraded => StatusCode::OK,
        Readiness::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report))
}

/// The same as `/health/ready`.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses(
        (status = 200, description = "It can sell", body = HealthReport),
        (status = 503, description = "or it cannot sell, and says why", body = HealthReport),
    )
)]
pub(crate) async fn health(health: State<Health>) -> (StatusCode, Json<HealthReport>) {
    ready(health).await
}
