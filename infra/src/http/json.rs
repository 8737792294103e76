//! JSON bodies in and out.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use super::problem::{self, Problem};
use super::{codes, context, words};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How many headers an answer gets at most, here and further out: room for them is made once.
const ANSWER_HEADERS: usize = 12;

/// A JSON body: one object. As an extractor it refuses with a problem that names field, line and
/// column; to refuse unknown fields `T` carries `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let body = read(request.into_body()).await?;
        // Serde would also take a struct as a list of its fields without their names.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::malformed("The body must be a JSON object."));
        }
        serde_json::from_slice(&body).map(Self).map_err(|error| explain::<T>(&body, &error))
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let refusal = |detail| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(Problem::new(status, codes::UNSUPPORTED_MEDIA_TYPE, detail))
    };
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return refusal("The body must be JSON, with Content-Type: application/json.");
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => refusal("The body must not be compressed."),
        _ => Ok(()),
    }
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    context::set_reading_body(true);
    let body = body.collect().await;
    context::set_reading_body(false);
    body.map(|body| body.to_bytes()).map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() {
            problem::too_large()
        } else {
            Problem::malformed("The body broke off.")
        }
    })
}

/// Reads the body again to find the place of the error: slower, and only for refusals.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let mut reader = serde_json::Deserializer::from_slice(body);
    // Where a text is wanted, any other value is told of as if it were no JSON.
    let is_json = error.is_data() || serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let field = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) if is_json => named(error.path()),
        _ => None,
    };
    let message = error.to_string();
    if !is_json {
        let message = problem::shortened(&message);
        return Problem::malformed(format!("The body is not JSON: {message}."))
            .details(json!({"line": line, "column": column}));
    }
    let place = format!(" at line {line} column {column}");
    words::refuse(field, message.strip_suffix(&place).unwrap_or(&message), Some((line, column)))
}

fn named(path: &serde_path_to_error::Path) -> Option<String> {
    (path.iter().len() > 0).then(|| path.to_string())
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let mut response = Response::new(Body::from(body));
                let headers = response.headers_mut();
                headers.reserve(ANSWER_HEADERS);
                headers.insert(CONTENT_TYPE, JSON);
                response
            }
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}
