//! The headers that commands and reads share: `Idempotency-Key` (BK-6), `Evently-Position` and
//! `Evently-Min-Position` (OP-4).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::RequestError;

use super::problem::Problem;
use crate::log::Position;

/// The header in which a write says where in the log it is.
pub const POSITION_HEADER: HeaderName = HeaderName::from_static("evently-position");

const MIN_POSITION: HeaderName = HeaderName::from_static("evently-min-position");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The client's `Idempotency-Key`, if it sent one: 1 to 255 visible ASCII characters (BK-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = only(parts, &IDEMPOTENCY_KEY)? else {
            return Ok(Self(None));
        };
        let key = value.to_str().unwrap_or_default();
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=255).contains(&key.len()) {
            return Err(Problem::malformed(RequestError.to_string()));
        }
        Ok(Self(Some(key.to_owned())))
    }
}

/// The position that a read must have reached, if the client asked for one (OP-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinPosition(pub Option<u64>);

impl<S: Sync> FromRequestParts<S> for MinPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = only(parts, &MIN_POSITION)? else {
            return Ok(Self(None));
        };
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let digits = value.to_str().ok().filter(is_number);
        let refusal = || Problem::malformed("Evently-Min-Position must be a position: a number.");
        // What is larger than any position is one that is not reached.
        Ok(Self(Some(digits.ok_or_else(refusal)?.parse().unwrap_or(u64::MAX))))
    }
}

fn only<'a>(parts: &'a Parts, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Problem::malformed(format!("The header {name} may be sent only once."))),
    }
}

/// The answer of a write: `T`, and in `Evently-Position` where in the log the write is.
#[derive(Debug, Clone, Copy)]
pub struct AtPosition<T>(pub Position, pub T);

impl<T: IntoResponse> IntoResponse for AtPosition<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        response.headers_mut().insert(POSITION_HEADER, HeaderValue::from(self.0.0));
        response
    }
}
