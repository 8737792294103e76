//! What a path and a query say.

use std::error::Error;

use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::problem::{Problem, shortened};
use super::words;

/// The parameters of a path. An id that is not of its form is 400, with a sample of the form.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path =
            <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state);
        path.await.map(|path| Self(path.0)).map_err(|rejection| explain_path(&rejection))
    }
}

fn explain_path(rejection: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failure) = rejection else {
        return Problem::internal(rejection);
    };
    let wrong = |field: &str, problem: &str| {
        Problem::malformed(format!("{field} in the path {}.", shortened(problem)))
            .details(json!({"field": field}))
    };
    let must_be = |expected: &str| format!("must be {}", words::kind(expected));
    match failure.kind() {
        ErrorKind::DeserializeError { key, message, .. } => wrong(key, &words::reworded(message)),
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            wrong(key, &must_be(expected_type))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => wrong(key, "must be UTF-8"),
        ErrorKind::ParseErrorAtIndex { expected_type, .. }
        | ErrorKind::ParseError { expected_type, .. } => {
            Problem::malformed(format!("What the path names {}.", must_be(expected_type)))
        }
        ErrorKind::Message(message) => {
            Problem::malformed(format!("The path: {}.", shortened(message)))
        }
        // The handler asks for something other than its route gives.
        _ => Problem::internal(rejection),
    }
}

/// The query of a URL. To refuse unknown parameters `T` carries `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The parser would put replacement characters, and something else be looked for than asked.
        let text = parts.uri.query().unwrap_or_default();
        if percent_decode_str(text).decode_utf8().is_err() {
            return Err(Problem::malformed("The query must be UTF-8."));
        }
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|rejection| {
            // The source names the parameter; the rejection itself only says that it failed.
            let message = rejection.source().map_or_else(String::new, ToString::to_string);
            match message.split_once(": ") {
                Some((field, NO_NUMBER)) if is_negative(text, field) => {
                    Problem::invalid(&shortened(field), "must be a whole number from 0 up")
                }
                Some((field, message)) => words::refuse(Some(field.to_owned()), message, None),
                None => words::refuse(None, &message, None),
            }
        })
    }
}

/// What the standard library says.
const NO_NUMBER: &str = "invalid digit found in string";

/// Whether a number with a sign stands there, where only those without can.
fn is_negative(query: &str, field: &str) -> bool {
    let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
    let value =
        values.find(|(name, _)| *name == field).and_then(|(_, value)| value.strip_prefix('-'));
    value.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()))
}
