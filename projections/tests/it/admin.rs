//! What an admin asks of the projections over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use domain::{Time, UserId};
use http_body_util::BodyExt;
use infra::auth::{Auth, Guarded, Keys, Role};
use infra::clock::ManualClock;
use infra::http::{Edge, ServiceLimits};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::postgres::testing;
use projections::{AdminState, Projections};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

const LIST: &str = "/api/v1/admin/projections";

struct Admin {
    router: Edge,
    keys: Keys,
    projections: Projections,
    tasks: TaskTracker,
    pool: PgPool,
    _folder: TempDir,
}

impl Admin {
    async fn open() -> Option<Self> {
        let pool = testing::server()?.pool(10).await;
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path().join("log.sqlite"), EmbeddedOptions::default());
        let clock = Arc::new(ManualClock::new(Time::from_ms(1_800_000_000_000)));
        let keys = Keys::load_or_create(folder.path(), clock.clone()).unwrap();
        let auth = Auth::new(&keys, clock.clone());
        let projections = Projections::new(Arc::new(log.unwrap()), pool.clone(), clock.clone());
        projections.prepare().await.unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let runtime = tokio::runtime::Handle::current();
        let (views, all) = (projections.clone(), tasks.clone());
        let state = AdminState { projections: views, tasks: all, runtime, stop };
        let router = infra::http::service(
            Guarded::new(projections::router(state), auth),
            ServiceLimits::default(),
            clock,
        );
        Some(Self { router, keys, projections, tasks, pool, _folder: folder })
    }

    async fn ask(&self, method: &str, path: &str, role: Option<Role>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(role) = role {
            let token = self.keys.issue(UserId::from_u128(1), &[role], Duration::from_secs(60));
            request = request.header("authorization", format!("Bearer {}", token.unwrap()));
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
    assert_eq!((status, body), (StatusCode::ACCEPTED, json!({"name": "bookings", "target": 0})));
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
