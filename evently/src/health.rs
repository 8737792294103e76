//! Whether the process lives and what it depends on (OP-2).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use infra::log::Log;
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone)]
pub(crate) struct Health {
    log: Arc<dyn Log>,
    pool: PgPool,
}

/// How the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Readiness {
    /// Everything works.
    Ready,
    /// It sells, but something else is down.
    Degraded,
    /// It cannot sell.
    Down,
}

/// How the process is, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthReport {
    status: Readiness,
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
}

/// Whether a dependency answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DependencyState {
    /// It answers.
    Up,
    /// It does not answer in time, or with an error.
    Down,
}

impl Health {
    pub(crate) fn new(log: Arc<dyn Log>, pool: PgPool) -> Self {
        Self { log, pool }
    }

    async fn report(&self) -> HealthReport {
        let log = timeout(PATIENCE, self.log.head());
        let database = timeout(PATIENCE, sqlx::query("SELECT 1").execute(&self.pool));
        let (log, database) = tokio::join!(log, database);
        let log = state(matches!(log, Ok(Ok(_))));
        let database = state(matches!(database, Ok(Ok(_))));
        let dependency = |name, state, needed, purpose| Dependency { name, state, needed, purpose };
        HealthReport {
            status: match (log, database) {
                (DependencyState::Down, _) => Readiness::Down,
                (_, DependencyState::Down) => Readiness::Degraded,
                _ => Readiness::Ready,
            },
            version: env!("CARGO_PKG_VERSION"),
            dependencies: vec![
                dependency("log", log, true, "selling, availability"),
                dependency("database", database, false, "all other reads"),
            ],
        }
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
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Alive)))]
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
        (status = 503, description = "It cannot sell", body = HealthReport),
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
        (status = 503, description = "It cannot sell", body = HealthReport),
    )
)]
pub(crate) async fn health(health: State<Health>) -> (StatusCode, Json<HealthReport>) {
    ready(health).await
}
