//! Errors as clients see them: RFC 9457 problem details.

use std::borrow::Cow;
use std::error::Error;

use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::Time;
use serde::Serialize;
use serde_json::{Value, json};

use super::codes::{self, Code};
use super::context::{self, RequestId};
use crate::errors::chain;

/// What the `type` of every problem begins with; the code follows.
pub const PROBLEM_BASE: &str = "https://evently.example/problems/";

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong, as the client is told. Returned by handlers as their error; request id and
/// time are filled in when it becomes an answer.
///
/// Holds nothing that the client may not see: no SQL, no stack, no other person's data.
#[derive(Debug)]
#[must_use]
pub struct Problem(Box<Content>);

#[derive(Debug)]
struct Content {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    details: Option<Value>,
    headers: HeaderMap,
}

/// A problem as it is sent, `application/problem+json`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemDocument<'a> {
    /// A stable URI that ends in the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened in this case, for a person.
    detail: &'a str,
    /// Stable, for programs.
    code: &'a str,
    /// Numbers and names that belong to the code, e.g. `{"requested": 5, "available": 3}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    details: Option<&'a Value>,
    /// The request's id, as in the header `x-request-id`; absent where none was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    request_id: Option<&'a str>,
    /// When it happened, RFC 3339 in UTC; absent where no request was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    timestamp: Option<Time>,
}

impl Problem {
    /// A problem with a stable `code` (`INSUFFICIENT_SEATS`) and a sentence on this case.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (detail, details, headers) = (detail.into(), None, HeaderMap::new());
        Self(Box::new(Content { status, code, detail, details, headers }))
    }

    /// Adds the numbers and names that belong to the code.
    pub fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Tells the client when to ask again (`Retry-After`).
    pub fn retry_after_s(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Sets a header of the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// 400: the request cannot be read.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::MALFORMED, detail)
    }

    /// 422: `field` can be read, but its value cannot be; `problem` completes "`field` ...", e.g.
    /// "must be at least 1".
    pub fn invalid(field: &str, problem: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, codes::INVALID, format!("{field} {problem}"))
            .details(json!({"field": field, "problem": problem}))
    }

    /// 401: a valid bearer token is needed.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, codes::UNAUTHORIZED, detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the person may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, codes::FORBIDDEN, detail)
    }

    /// 405: the path has only these methods.
    pub(crate) fn method_not_allowed<'a>(methods: impl Iterator<Item = &'a str>) -> Self {
        let all = methods.map(|method| if method == "GET" { "GET,HEAD" } else { method });
        let allow = HeaderValue::try_from(all.collect::<Vec<_>>().join(","));
        Self::new(StatusCode::METHOD_NOT_ALLOWED, codes::METHOD_NOT_ALLOWED, OTHER_METHODS)
            .header(ALLOW, allow.unwrap_or(HeaderValue::from_static("")))
    }

    /// 404: there is no such `what` ("event"), or not for this person.
    pub fn not_found(code: &'static str, what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, format!("There is no such {what}."))
    }

    /// 429: too much was asked for in a short time; nothing was done.
    pub fn too_many(detail: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, codes::TOO_MANY_REQUESTS, detail)
            .retry_after_s(retry_after_s)
    }

    /// 503: something that is needed is down or behind; nothing was done.
    pub fn unavailable(
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
        retry_after_s: u32,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after_s(retry_after_s)
    }

    /// 500: a fault of ours. The chain of `error` is logged here, under the request's id; the
    /// client is told nothing of it.
    pub fn internal(error: &dyn Error) -> Self {
        let request_id = RequestId::current();
        let request_id = request_id.as_ref().map(RequestId::as_str);
        tracing::error!(request_id, error = chain(error), "a request failed");
        Self::fault()
    }

    pub(super) fn fault() -> Self {
        const DETAIL: &str = "A fault of the server. It was logged under the request id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, codes::INTERNAL, DETAIL)
    }

    fn body(&self) -> Vec<u8> {
        let content = &*self.0;
        let request_id = RequestId::current();
        let document = ProblemDocument {
            kind: format!("{PROBLEM_BASE}{}", content.code),
            title: title(content.code),
            status: content.status.as_u16(),
            detail: &content.detail,
            code: content.code,
            details: content.details.as_ref(),
            request_id: request_id.as_ref().map(RequestId::as_str),
            timestamp: context::now(),
        };
        // Strings and numbers always become JSON.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl Code {
    /// A problem with this code, as a client may get it.
    pub fn example(&self) -> Value {
        let Self { code, status, meaning } = *self;
        json!({
            "type": format!("{PROBLEM_BASE}{code}"),
            "title": title(code),
            "status": status,
            "detail": meaning,
            "code": code,
            "request_id": "018f3c5e-9a7b-7c2d-8e4f-1a2b3c4d5e6f",
            "timestamp": "2026-06-01T10:00:00.000Z",
        })
    }
}

/// The code in words: `SALE_NOT_OPEN` is "Sale not open".
fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(rest) = title.get_mut(1..) {
        rest.make_ascii_lowercase();
    }
    title
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body().into());
        *response.status_mut() = self.0.status;
        *response.headers_mut() = self.0.headers;
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response
    }
}

/// The answer where there is no route.
pub(super) async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, codes::NOT_FOUND, "There is nothing at this path.")
}

const OTHER_METHODS: &str = "The path has other methods; see the header Allow.";

/// The answer where the route has other methods; the router adds `Allow`.
pub(super) async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, codes::METHOD_NOT_ALLOWED, OTHER_METHODS)
}

pub(super) fn too_large() -> Problem {
    const DETAIL: &str = "The body is larger than this endpoint takes.";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, codes::PAYLOAD_TOO_LARGE, DETAIL)
}

pub(super) fn overloaded() -> Problem {
    const DETAIL: &str = "Too many requests at once. Nothing was done.";
    Problem::unavailable(codes::OVERLOADED, DETAIL, 1)
}

/// The connection is closed with it.
pub(super) fn crowded() -> Problem {
    const DETAIL: &str =
        "As many connections are open as this server serves, or one address. Nothing was done.";
    let problem = Problem::unavailable(codes::OVERLOADED, DETAIL, 5);
    problem.header(CONNECTION, HeaderValue::from_static("close"))
}

/// The connection is closed with it.
pub(super) fn astray() -> Problem {
    const DETAIL: &str = "The request must name its host, once, in the header Host.";
    Problem::malformed(DETAIL).header(CONNECTION, HeaderValue::from_static("close"))
}

/// Time is up: because the client did not send its body, or because we did not answer.
pub(super) fn timed_out() -> Problem {
    if context::is_reading_body() {
        const DETAIL: &str = "The body did not arrive in time.";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, codes::REQUEST_TIMEOUT, DETAIL);
    }
    const DETAIL: &str = "No answer in time. Ask again, with the same Idempotency-Key.";
    Problem::unavailable(codes::TIMED_OUT, DETAIL, 1)
}

/// A message that may quote what the client sent, cut so that an answer stays small.
pub(super) fn shortened(message: &str) -> String {
    const MAX: usize = 300;
    let Some((end, _)) = message.char_indices().nth(MAX) else {
        return message.to_owned();
    };
    format!("{}...", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    #[tokio::test]
    async fn a_problem_says_all_it_has_to() {
        let problem = Problem::new(StatusCode::CONFLICT, "INSUFFICIENT_SEATS", "3 seats are left.")
            .details(json!({"requested": 5, "available": 3}))
            .retry_after_s(7);
        let response = problem.into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "7");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({
            "type": "https://evently.example/problems/INSUFFICIENT_SEATS",
            "title": "Insufficient seats",
            "status": 409,
            "detail": "3 seats are left.",
            "code": "INSUFFICIENT_SEATS",
            "details": {"requested": 5, "available": 3},
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the view")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "cannot read the view: disk on fire");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        let cut = shortened(&"ü".repeat(301));
        assert_eq!(cut.chars().count(), 303);
        assert!(cut.ends_with("..."));
    }
}
