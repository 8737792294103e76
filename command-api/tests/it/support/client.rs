//! One person in front of the API. Every answer is checked for form, and remembered.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use domain::UserId;
use futures::FutureExt;
use infra::http::promise::Answered;
use infra::http::{Edge, GENERIC_CODES};
use serde_json::Value;
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::witness::Witness;

/// A request that can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// Below `/api/v1`.
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: Option<Bytes>,
    pub(crate) content_type: &'static str,
}

impl Call {
    fn new(method: &'static str, path: impl Into<String>, body: Option<Bytes>) -> Self {
        let content_type = "application/json";
        Self { method, path: path.into(), key: None, body, content_type }
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path, Some(body.to_string().into()))
    }

    pub(crate) fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PUT", path, Some(body.to_string().into()))
    }

    /// A POST without a body.
    pub(crate) fn order(path: impl Into<String>) -> Self {
        Self::new("POST", path, None)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path, None)
    }

    pub(crate) fn raw(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With what an admin says of why.
    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.path = format!("{}?reason={reason}", self.path);
        self
    }

    fn request(&self, token: Option<&str>) -> Request<Body> {
        let mut request =
            Request::builder().method(self.method).uri(format!("/api/v1{}", self.path));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if self.body.is_some() {
            request = request.header("content-type", self.content_type);
        }
        let body = self.body.clone().map_or_else(Body::empty, Body::from);
        request.body(body).unwrap()
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A member of the body that is a text.
    pub(crate) fn text(&self, member: &str) -> String {
        let body = self.json();
        body[member].as_str().unwrap_or_else(|| panic!("no {member} in {body}")).to_owned()
    }

    pub(crate) fn position(&self) -> u64 {
        self.headers["evently-position"].to_str().unwrap().parse().unwrap()
    }

    /// The problem's code, or nothing.
    pub(crate) fn code(&self) -> String {
        if self.status.is_success() { String::new() } else { self.text("code") }
    }

    /// This answer, if the status is as expected.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// This answer, if it is the problem that was expected.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.code(), code);
        answer
    }

    /// Success, or a complete problem that is no fault of ours.
    #[track_caller]
    fn check_form(&self) {
        if self.status.is_success() {
            assert_eq!(self.headers["content-type"], "application/json");
            assert!(self.position() > 0);
            return;
        }
        let body = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json", "{body}");
        assert_ne!(self.status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        let mut listed = command_api::CODES.iter().chain(GENERIC_CODES);
        let code = body["code"].as_str().unwrap();
        let listed = listed.find(|listed| listed.code == code);
        assert_eq!(listed.map(|listed| listed.status), Some(self.status.as_u16()), "{body}");
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["request_id"], self.headers["x-request-id"].to_str().unwrap());
        assert!(!body["detail"].as_str().unwrap().is_empty());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(self.headers.contains_key("retry-after"), "{body}");
        }
    }
}

/// One person in front of one node.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) user: UserId,
    pub(super) token: Option<String>,
    pub(super) router: Edge,
    /// Where the node runs.
    pub(super) runtime: Handle,
    pub(super) witness: Arc<Witness>,
}

impl Client {
    pub(crate) async fn send(&self, call: &Call) -> Answer {
        let answer = self.clone().ask(call.request(self.token.as_deref())).await;
        answer.check_form();
        self.witness.note(self, call, &answer);
        answer
    }

    /// Anything at all; the answer has to be as the API document says.
    pub(crate) async fn ask(self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.runtime.spawn(async move {
            let response = self.router.oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            Answer { status: head.status, headers: head.headers, body }
        });
        let answer: Answer = answer.await.unwrap();
        let content_type = answer.headers.get("content-type");
        Answered {
            method: method.as_str(),
            path: &path,
            status: answer.status.as_u16(),
            content_type: content_type.map_or("", |kind| kind.to_str().unwrap()),
            headers: &answer.headers,
            body: &answer.body,
        }
        .is_as_promised();
        answer
    }

    /// Asks, and goes away before there is an answer.
    pub(crate) fn ask_and_go(&self, request: Request<Body>) {
        let answered = self.router.clone().oneshot(request).now_or_never();
        assert!(answered.is_none(), "it was answered at once");
    }

    /// The head of an answer, whose body waits to be read.
    pub(crate) async fn begin(&self, request: Request<Body>) -> axum::response::Response {
        let router = self.router.clone();
        self.runtime.spawn(async move { router.oneshot(request).await.unwrap() }).await.unwrap()
    }

    /// The same person with another token, or none.
    pub(crate) fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }
}
