//! What an admin asks of the projections over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use domain::administration::{Administration, Fact, Operator, ViewRetryOrdered};
use domain::{Aggregate, Scope, StoredFact, Time, UserId};
use http_body_util::BodyExt;
use infra::auth::{Auth, Guarded, Keys, OPERATOR, Role};
use infra::clock::{Clock, ManualClock};
use infra::http::{Edge, ServiceLimits};
use infra::identity::{IdentityStore, ServiceKey, SqliteIdentity};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::{Expected, Log, NewRecord, Position};
use infra::postgres::testing;
use projections::{AdminState, NotWritten, Orders, Projections};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

const LIST: &str = "/api/v1/admin/projections";

/// Writes orders into the log, as long as that is open.
struct Written(Arc<EmbeddedLog>);

#[async_trait]
impl Orders for Written {
    async fn write_down(&self, order: Fact) -> Result<(), NotWritten> {
        let record = NewRecord {
            id: uuid::Uuid::from_u128(infra::ids::random_u128()),
            kind: order.kind().into(),
            version: order.version(),
            at: Time::from_ms(1_800_000_000_000),
            metadata: "{}".into(),
            data: order.encode().into(),
        };
        let stream = Administration::stream(order.subject());
        let written = self.0.append(&stream, Expected::Any, vec![record]).await;
        written.map(drop).map_err(|error| NotWritten(error.into()))
    }
}

struct Admin {
    router: Edge,
    log: Arc<EmbeddedLog>,
    auth: Auth,
    clock: Arc<ManualClock>,
    keys: Keys,
    projections: Projections,
    tasks: TaskTracker,
    pool: PgPool,
    folder: TempDir,
}

impl Admin {
    async fn open() -> Option<Self> {
        let pool = testing::server()?.pool(10).await;
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path().join("log.sqlite"), EmbeddedOptions::default());
        let log = Arc::new(log.unwrap());
        let clock = Arc::new(ManualClock::new(Time::from_ms(1_800_000_000_000)));
        let keys = Keys::load_or_create(folder.path(), clock.clone()).unwrap();
        let auth = Auth::new(&keys, clock.clone());
        let projections = Projections::new(log.clone(), pool.clone(), clock.clone());
        projections.prepare().await.unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let runtime = tokio::runtime::Handle::current();
        let (views, all) = (projections.clone(), tasks.clone());
        let orders = Arc::new(Written(log.clone()));
        let state = AdminState { projections: views, orders, tasks: all, runtime, stop };
        let router = infra::http::service(
            Guarded::new(projections::router(state), auth.clone()),
            ServiceLimits::default(),
            clock.clone(),
        );
        Some(Self { router, log, auth, clock, keys, projections, tasks, pool, folder })
    }

    /// What was ordered, in order.
    async fn orders(&self) -> Vec<Fact> {
        let records = self.log.read_all(Position(0), 100).await.unwrap();
        let decoded = records.iter().map(|it| Fact::decode(&it.kind, it.version, &it.data));
        decoded.collect::<Result<_, _>>().unwrap()
    }

    async fn ask(&self, method: &str, path: &str, role: Option<Role>) -> (StatusCode, Value) {
        let token = role.map(|role| self.token(UserId::from_u128(1), role));
        self.ask_with(method, path, token.as_deref()).await
    }

    fn token(&self, user: UserId, role: Role) -> String {
        self.keys.issue(user, &[role], Duration::from_secs(60)).unwrap()
    }

    async fn ask_with(&self, method: &str, path: &str, token: Option<&str>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

#[tokio::test]
async fn only_admins_may_ask() {
    let Some(admin) = Admin::open().await else { return };
    let rebuild = format!("{LIST}/bookings/rebuild");
    let retry = format!("{LIST}/bookings/retry");
    for (method, path) in [("GET", LIST), ("POST", &*rebuild), ("POST", &*retry)] {
        let (status, body) = admin.ask(method, path, None).await;
        assert_eq!((status, &body["code"]), (StatusCode::UNAUTHORIZED, &json!("UNAUTHORIZED")));
        for role in [Role::Attendee, Role::Organizer, Role::BoxOffice, Role::Auditor] {
            let (status, body) = admin.ask(method, path, Some(role)).await;
            assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!("FORBIDDEN")));
        }
    }
}

#[tokio::test]
async fn the_list_says_how_far_each_view_is() {
    let Some(admin) = Admin::open().await else { return };
    let (status, body) = admin.ask("GET", LIST, Some(Role::Admin)).await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&Value> = body["items"].as_array().unwrap().iter().map(|i| &i["name"]).collect();
    assert_eq!(names, ["catalog", "availability", "seats", "bookings", "waitlist", "audit"]);
    assert_eq!(
        body["items"][3],
        json!({"name": "bookings", "version": 2, "known_version": 2, "position": 0, "head": 0,
            "lag_records": 0, "lag_exceeded": false, "lag_seconds": 0.0, "parked": 0})
    );
}

#[tokio::test]
async fn a_rebuild_goes_on_after_the_answer() {
    let Some(admin) = Admin::open().await else { return };
    let path = format!("{LIST}/bookings/rebuild");
    let (status, body) = admin.ask("POST", &path, Some(Role::Admin)).await;
    // Up to the order itself.
    assert_eq!((status, body), (StatusCode::ACCEPTED, json!({"name": "bookings", "target": 1})));
    admin.tasks.close();
    let done = tokio::time::timeout(Duration::from_secs(60), admin.tasks.wait());
    done.await.unwrap();
    let statuses = admin.projections.status().await.unwrap();
    assert!(statuses.iter().all(|status| status.rebuild.is_none()));
}

#[tokio::test]
async fn a_second_rebuild_is_refused() {
    let Some(admin) = Admin::open().await else { return };
    let claim = "INSERT INTO projection.rebuild (name, owner, position, target, started_at, \
                 updated_at) VALUES ('seats', gen_random_uuid(), 5, 9, now(), now())";
    sqlx::query(claim).execute(&admin.pool).await.unwrap();
    let (status, body) =
        admin.ask("POST", &format!("{LIST}/seats/rebuild"), Some(Role::Admin)).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("REBUILD_RUNNING")));
    let (_, body) = admin.ask("GET", LIST, Some(Role::Admin)).await;
    let rebuild = &body["items"][2]["rebuild"];
    assert_eq!((&rebuild["position"], &rebuild["target"]), (&json!(5), &json!(9)));
}

#[tokio::test]
async fn an_unknown_view_is_not_found() {
    let Some(admin) = Admin::open().await else { return };
    for what in ["rebuild", "retry"] {
        let path = format!("{LIST}/nothing/{what}");
        let (status, body) = admin.ask("POST", &path, Some(Role::Admin)).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(body["code"], "PROJECTION_NOT_FOUND");
        assert!(body["detail"].as_str().unwrap().contains("bookings"), "{body}");
    }
    assert_eq!(admin.orders().await, []);
}

#[tokio::test]
async fn who_orders_what_and_why_stands_in_the_log() {
    let Some(admin) = Admin::open().await else { return };
    let store = SqliteIdentity::open(&admin.folder.path().join("identity.sqlite")).unwrap();
    let (key, service) =
        ServiceKey::make("deploy", &[Scope::ProjectionsRun], admin.clock.now()).unwrap();
    store.add_service_key(key.clone()).await.unwrap();
    admin.auth.look_at(&store).await.unwrap();
    let person = UserId::from_u128(1);
    let retry = format!("{LIST}/seats/retry");
    let (as_person, as_operator) =
        (admin.token(person, Role::Admin), admin.token(OPERATOR, Role::Admin));
    for (path, token) in [
        (format!("{retry}?reason=case-7"), &*as_person),
        (retry.clone(), &*as_operator),
        ("/internal/projections/seats/retry?reason=deploy".to_owned(), &**service),
    ] {
        let (status, body) = admin.ask_with("POST", &path, Some(token)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    let retried = |by, service, reason: Option<&str>| {
        let operator = Operator { by, service, reason: reason.map(str::to_owned) };
        Fact::from(ViewRetryOrdered { view: "seats".to_owned(), operator })
    };
    let expected = [
        retried(Some(person), None, Some("case-7")),
        retried(None, None, None),
        retried(None, Some(key.id), Some("deploy")),
    ];
    assert_eq!(admin.orders().await, expected);

    // More than a word may be personal, and is neither done nor written.
    for wrong in ["Ada%20Lovelace", "", "a_b", "ada@example.org"] {
        let (status, body) =
            admin.ask("POST", &format!("{retry}?reason={wrong}"), Some(Role::Admin)).await;
        assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("INVALID")));
    }
    assert_eq!(admin.orders().await, expected);
}

#[tokio::test]
async fn nothing_is_done_that_cannot_be_written_down() {
    let Some(admin) = Admin::open().await else { return };
    admin.log.close().await;
    for what in ["rebuild", "retry"] {
        let path = format!("{LIST}/seats/{what}");
        let (status, body) = admin.ask("POST", &path, Some(Role::Admin)).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("LOG_UNAVAILABLE"))
        );
    }
    let claims = "SELECT count(*) FROM projection.rebuild";
    let claims: i64 = sqlx::query_scalar(claims).fetch_one(&admin.pool).await.unwrap();
    assert_eq!(claims, 0);
}

#[tokio::test]
async fn a_retry_says_what_came_of_it() {
    let Some(admin) = Admin::open().await else { return };
    let path = format!("{LIST}/bookings/retry");
    let answer = admin.ask("POST", &path, Some(Role::Admin)).await;
    assert_eq!(answer, (StatusCode::OK, json!({"applied": 0, "still_parked": 0})));
}

#[tokio::test]
async fn without_a_kafka_there_is_no_feed() {
    let Some(admin) = Admin::open().await else { return };
    let (status, problem) = admin.ask("GET", "/api/v1/admin/feed", Some(Role::Admin)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("FEED_NOT_FOUND")));
}

#[test]
fn the_document_names_every_endpoint() {
    let document = serde_json::to_value(projections::api()).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let feed = ["/api/v1/admin/feed", "/api/v1/admin/feed/replay"].map(str::to_owned);
    let of_views = [LIST, "/internal/projections"].map(|list| {
        [list.to_owned(), format!("{list}/{{name}}/rebuild"), format!("{list}/{{name}}/retry")]
    });
    let expected: Vec<_> = feed.iter().chain(of_views.iter().flatten()).collect();
    assert_eq!(paths, expected);
}
