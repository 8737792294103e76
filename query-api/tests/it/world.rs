//! A query side on a log of its own, asked through its router.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use domain::{StoredFact, Time, UserId};
use http_body_util::BodyExt;
use infra::auth::{Auth, Guarded, Keys, Role};
use infra::clock::{Clock, ManualClock};
use infra::http::promise::Answered;
use infra::http::{Edge, ServiceLimits, service};
use infra::identity::{MasterError, MasterKeys, Reasons, SqliteIdentity, Vault};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, NewRecord, Position};
use query_api::{CacheLimits, LiveLimits, LiveStats, QueryState, Sources, router};
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const NOW: &str = "2027-01-10T12:00:00.000Z";

/// A query side and what it reads from.
pub(crate) struct World {
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) router: Edge,
    pub(crate) state: QueryState,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    keys: Keys,
    _stop: DropGuard,
    folder: TempDir,
}

impl World {
    /// One without a database.
    pub(crate) async fn without_database() -> Self {
        Self::with_limits(LiveLimits::default()).await
    }

    /// One with a database of its own; `None` where PostgreSQL is not installed.
    pub(crate) async fn with_database() -> Option<Self> {
        let server = infra::postgres::testing::server()?;
        Some(Self::new(server.pool(4).await, LiveLimits::default()).await)
    }

    /// The keys of persons; made if there are none.
    pub(crate) fn vault(&self) -> Vault {
        MasterKeys::load_or_create(self.folder.path()).unwrap();
        vault(self.folder.path()).unwrap()
    }

    /// The file of the log.
    pub(crate) fn log_file(&self) -> std::path::PathBuf {
        self.folder.path().join("log.sqlite")
    }

    /// One without a database.
    pub(crate) async fn with_limits(limits: LiveLimits) -> Self {
        let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
        let pool = infra::postgres::connect(nowhere, 1).unwrap();
        Self::new(pool, limits).await
    }

    pub(crate) async fn new(pool: PgPool, limits: LiveLimits) -> Self {
        Self::begun_at(Position::default(), pool, limits).await
    }

    /// One that began when the log ended there, and builds its views.
    pub(crate) async fn begun_at(least: Position, pool: PgPool, limits: LiveLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let log = Arc::new(EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap());
        let clock = Arc::new(ManualClock::new(NOW.parse().unwrap()));
        let keys = Keys::load_or_create(folder.path(), clock.clone()).unwrap();
        let auth = Auth::new(&keys, clock.clone());
        let (log_, clock_) = (log.clone(), clock.clone());
        // Rows are put into the views behind the back of the log.
        let cache = CacheLimits { ttl: Duration::ZERO, ..CacheLimits::default() };
        let reasons = reasons(folder.path());
        let sources =
            Sources { log: log_, pool: pool.clone(), clock: clock_, reasons, cache, least };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let state = QueryState::start(sources, limits, &tasks, stop.clone());
        let router = service(
            Guarded::new(router(state.clone()), auth),
            ServiceLimits::default(),
            clock.clone(),
        );
        let _stop = stop.clone().drop_guard();
        Self { log, pool, clock, router, state, tasks, stop, keys, _stop, folder }
    }

    /// Appends facts to a stream, each decided now.
    pub(crate) async fn append<F: StoredFact>(&self, stream: &str, facts: &[F]) -> Position {
        let now = self.clock.now();
        let records = facts.iter().map(|fact| record(fact, now)).collect();
        self.log.append(stream, Expected::Any, records).await.unwrap().position
    }

    pub(crate) fn token(&self, user: UserId, roles: &[Role]) -> String {
        self.keys.issue(user, roles, Duration::from_secs(900)).unwrap()
    }

    pub(crate) fn stats(&self) -> LiveStats {
        self.state.live().stats()
    }

    /// Asks by GET, as nobody.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path)).await
    }

    /// Asks by GET, when everything up to `position` is to be seen.
    pub(crate) async fn get_at(&self, path: &str, position: Position) -> Answer {
        self.ask(Request::get(path).header("evently-min-position", position.0)).await
    }

    /// Asks by GET with a token.
    pub(crate) async fn get_as(&self, path: &str, token: &str) -> Answer {
        self.ask(Request::get(path).header("authorization", format!("Bearer {token}"))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn ask(&self, request: axum::http::request::Builder) -> Answer {
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let content_type = head.headers.get("content-type");
        Answered {
            method: method.as_str(),
            path: &path,
            status: head.status.as_u16(),
            content_type: content_type.map_or("", |kind| kind.to_str().unwrap()),
            headers: &head.headers,
            body: &body,
        }
        .is_as_promised();
        Answer { status: head.status, headers: head.headers, body }
    }
}

/// The keys of persons, which lie in the same folder.
pub(crate) fn vault(folder: &Path) -> Result<Vault, MasterError> {
    let store = SqliteIdentity::open(&folder.join("identity.sqlite")).unwrap();
    Ok(Vault::new(Arc::new(store), MasterKeys::load(folder)?))
}

fn reasons(folder: &Path) -> Reasons {
    let folder = folder.to_owned();
    Reasons::by(move || vault(&folder))
}

pub(crate) fn record<F: StoredFact>(fact: &F, at: Time) -> NewRecord {
    NewRecord {
        id: Uuid::from_u128(infra::ids::random_u128()),
        kind: fact.kind().into(),
        version: fact.version(),
        at,
        metadata: r#"{"command":"00000000-0000-0000-0000-000000000001"}"#.into(),
        data: fact.encode().into(),
    }
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body of an answer that is as hoped for.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.status);
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        let text = String::from_utf8_lossy(&self.body);
        for secret in ["SELECT", "sqlx", "src/", "postgres"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(problem["status"], self.status.as_u16());
        let has_retry_after = self.headers.contains_key("retry-after");
        assert_eq!(has_retry_after, self.status == StatusCode::SERVICE_UNAVAILABLE);
        (self.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `Evently-Position`.
    pub(crate) fn position(&self) -> Position {
        Position(self.header("evently-position").parse().unwrap())
    }
}

/// What `look` finds as soon as it finds something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("it never happened")
}
