//! The layer around all routes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use infra::auth::Guarded;
use infra::clock::ManualClock;
use infra::http::{Edge, Json, Problem, RequestId, ServiceLimits, service};
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt;

/// `router` as the product serves it, at a time that stands still.
pub(crate) fn served(router: Router, limits: ServiceLimits) -> Edge {
    let clock = ManualClock::new("2027-06-01T19:30:00Z".parse().unwrap());
    service(Guarded::not_at_all(router), limits, Arc::new(clock))
}

/// The answer to `request`.
pub(crate) async fn ask(router: &Edge, request: Request) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

/// The whole body of an answer, as JSON.
pub(crate) async fn json(response: Response) -> Value {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The body of an answer that must be a complete problem with this status and code.
pub(crate) async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = json(response).await;
    assert_eq!(body["type"], format!("https://evently.example/problems/{code}"));
    assert_eq!(body["status"], status);
    assert_eq!(body["code"], code);
    assert_eq!(body["request_id"], request_id);
    assert_eq!(body["timestamp"], "2027-06-01T19:30:00.000Z");
    assert!(!body["title"].as_str().unwrap().is_empty());
    assert!(!body["detail"].as_str().unwrap().is_empty());
    body
}

fn request(method: &str, path: &str) -> Request {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem() {
    let router = Router::new()
        .route("/a", get(async || "a").put(async || "a"))
        .nest("/api/v1", Router::new().route("/b", get(async || "b")));
    let router = served(router, ServiceLimits::default());
    for path in ["/", "/nowhere", "/api", "/api/v1", "/api/v1/nowhere", "/a/", "/a/%ff"] {
        problem(ask(&router, request("GET", path)).await, 404, "NOT_FOUND").await;
    }
    for (method, path, allow) in
        [("POST", "/a", "GET,HEAD,PUT"), ("DELETE", "/api/v1/b", "GET,HEAD")]
    {
        let response = ask(&router, request(method, path)).await;
        assert_eq!(response.headers()["allow"], allow);
        problem(response, 405, "METHOD_NOT_ALLOWED").await;
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_in_handler_problem_and_answer() {
    let router = Router::new()
        .route("/ok", get(async |id: RequestId| id.to_string()))
        .route("/no", get(async || Problem::not_found("EVENT_NOT_FOUND", "event")));
    let router = served(router, ServiceLimits::default());
    let mine = "0199e1f2-3b4c-7d5e-8f60-718293a4b5c6";
    let sent = |path| Request::get(path).header("x-request-id", mine).body(Body::empty());

    let response = ask(&router, sent("/ok").unwrap()).await;
    assert_eq!(response.headers()["x-request-id"], mine);
    assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), mine);

    let body = problem(ask(&router, sent("/no").unwrap()).await, 404, "EVENT_NOT_FOUND").await;
    assert_eq!(body["request_id"], mine);

    // The log never forgets: what may be about a person is not taken over.
    let personal = Request::get("/ok").header("x-request-id", "ada@example.org");
    for request in [request("GET", "/ok"), personal.body(Body::empty()).unwrap()] {
        let response = ask(&router, request).await;
        let made = response.headers()["x-request-id"].clone();
        assert_eq!(made.len(), 32, "{made:?}");
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), made.as_bytes());
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_next_request_is_served() {
    let limits = ServiceLimits { max_in_flight: 1, ..ServiceLimits::default() };
    let router = Router::new()
        .route("/panic", get(async || -> &str { panic!("secret text of a fault") }))
        .route("/ok", get(async || "ok"));
    let router = served(router, limits);
    for _ in 0..3 {
        let body = problem(ask(&router, request("GET", "/panic")).await, 500, "INTERNAL").await;
        assert!(!body.to_string().contains("secret"), "{body}");
        assert_eq!(ask(&router, request("GET", "/ok")).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_a_problem() {
    let never = get(async || std::future::pending::<&str>().await);
    let router = served(Router::new().route("/never", never), ServiceLimits::default());
    let response = ask(&router, request("GET", "/never")).await;
    assert_eq!(response.headers()["retry-after"], "1");
    problem(response, 503, "TIMED_OUT").await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_the_clients_fault() {
    let router = Router::new().route("/", post(async |Json(body): Json<Value>| Json(body)));
    let router = served(router, ServiceLimits::default());
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
    let request = Request::post("/").header("content-type", "application/json").body(never);
    let response = ask(&router, request.unwrap()).await;
    problem(response, 408, "REQUEST_TIMEOUT").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_outlast_the_time_out() {
    let limits = ServiceLimits { max_in_flight: 1, ..ServiceLimits::default() };
    let (go, went) = tokio::sync::watch::channel(());
    let events = get(async move || {
        let mut went = went.clone();
        let late = async move { went.changed().await.map(|()| "late") };
        Body::from_stream(futures::stream::once(late))
    });
    let router = served(Router::new().route("/stream", events), limits);
    let first = ask(&router, request("GET", "/stream")).await;
    // A stream takes no place among those that wait for their answer.
    let second = ask(&router, request("GET", "/stream")).await;
    assert_eq!(second.status(), 200);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    go.send(()).unwrap();
    assert_eq!(to_bytes(first.into_body(), 100).await.unwrap(), "late");
}

#[tokio::test]
async fn beyond_the_limit_nothing_is_done() {
    let limits = ServiceLimits { max_in_flight: 1, ..ServiceLimits::default() };
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, wait) = (entered.clone(), leave.clone());
    let slow = get(async move || {
        signal.notify_one();
        wait.notified().await;
    });
    let router = served(Router::new().route("/slow", slow), limits);
    let first = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, request("GET", "/slow")).await }
    });
    entered.notified().await;

    let response = ask(&router, request("GET", "/slow")).await;
    assert_eq!(response.headers()["retry-after"], "1");
    problem(response, 503, "OVERLOADED").await;

    leave.notify_one();
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    leave.notify_one();
    assert_eq!(ask(&router, request("GET", "/slow")).await.status(), StatusCode::OK);
}
