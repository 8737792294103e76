//! Holds answers to the API document as it lies in `schemas/openapi.json`, for tests.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use axum::http::HeaderMap;
use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// An answer, and to what.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// As it was asked.
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Of the answer.
    pub status: u16,
    /// What kind of body it says it has; empty if it says nothing.
    pub content_type: &'a str,
    /// All of them.
    pub headers: &'a HeaderMap,
    /// All of it; empty if it was not read.
    pub body: &'a [u8],
}

type Validators = Mutex<HashMap<String, Arc<Validator>>>;

struct Promise {
    document: Value,
    /// By the place of the schema in the document.
    validators: Validators,
}

static PROMISE: LazyLock<Promise> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
    let text = std::fs::read_to_string(path).expect("the API document");
    let document = serde_json::from_str(&text).expect("a JSON document");
    Promise { document, validators: Validators::default() }
});

impl Answered<'_> {
    /// Sees that the route is documented, that this status is documented for it, that a problem's code is
    /// listed with this status and for this route, and that the body is of the form that is documented.
    ///
    /// # Panics
    /// It is not so.
    pub fn is_as_promised(&self) {
        if let Err(why) = PROMISE.check(self) {
            let Self { method, path, status, body, .. } = self;
            let body = String::from_utf8_lossy(body);
            unreachable!(
                "{method} {path} answered {status}, which is not as documented: {why}\n{body}"
            );
        }
    }
}

impl Promise {
    fn check(&self, answer: &Answered<'_>) -> Result<(), String> {
        let body = serde_json::from_slice::<Value>(answer.body).ok();
        self.check_code(answer, body.as_ref())?;
        let method = match answer.method {
            "HEAD" => "get".to_owned(),
            method => method.to_lowercase(),
        };
        let Some(template) = self.template(answer.path) else {
            let is_told = answer.status == 404;
            return is_told.then_some(()).ok_or_else(|| "there is no such path".to_owned());
        };
        let operation = &self.document["paths"][template][&method];
        if operation.is_null() {
            let is_told = [404, 405].contains(&answer.status);
            return is_told.then_some(()).ok_or_else(|| "there is no such method".to_owned());
        }
        let response = &operation["responses"][answer.status.to_string()];
        if response.is_null() {
            return Err(format!("{template} has no such status"));
        }
        Self::check_named(answer, response, body.as_ref())?;
        self.check_headers(answer, response)?;
        let kind = answer.content_type.split(';').next().unwrap_or_default().trim();
        let content = &response["content"];
        if kind.is_empty() || content.is_null() || answer.body.is_empty() {
            return Ok(());
        }
        let Some(described) = content.get(kind) else {
            return Err(format!("the body is {kind}, which is not documented"));
        };
        let (Some(body), Some(_)) = (body, described.get("schema")) else { return Ok(()) };
        let place = [template, &method, &answer.status.to_string(), kind].join(" ");
        let validator = self.validator(&place, &described["schema"])?;
        match validator.iter_errors(&body).next() {
            None => Ok(()),
            Some(error) => Err(format!("{error} at {}", error.instance_path())),
        }
    }

    /// A problem has a code that is listed, with this status.
    fn check_code(&self, answer: &Answered<'_>, body: Option<&Value>) -> Result<(), String> {
        if !answer.content_type.starts_with("application/problem+json") || answer.body.is_empty() {
            return Ok(());
        }
        let code = body.map(|body| &body["code"]).ok_or("the problem is no JSON")?;
        let listed = self.document["x-problem-codes"].as_array().into_iter().flatten();
        let mut listed = listed.filter(|listed| listed["code"] == *code);
        match listed.next() {
            None => Err(format!("the code {code} is not listed")),
            Some(listed) if listed["status"] == answer.status => Ok(()),
            Some(_) => Err(format!("the code {code} has another status")),
        }
    }

    /// Headers that the document knows are there where it says so.
    fn check_headers(&self, answer: &Answered<'_>, response: &Value) -> Result<(), String> {
        let has = |headers: &Value, name: &str| {
            let names = headers.as_object().into_iter().flatten().map(|(name, _)| name);
            names.into_iter().any(|other| other.eq_ignore_ascii_case(name))
        };
        let known = &self.document["components"]["headers"];
        let mut names = answer.headers.keys().map(|name| name.as_str());
        match names.find(|name| has(known, name) && !has(&response["headers"], name)) {
            None => Ok(()),
            Some(name) => Err(format!("the header {name} is not documented")),
        }
    }

    /// The description names the problem's code: `CODE, CODE: words`.
    fn check_named(
        answer: &Answered<'_>,
        response: &Value,
        body: Option<&Value>,
    ) -> Result<(), String> {
        let is_problem = answer.content_type.starts_with("application/problem+json");
        let Some(code) = body.filter(|_| is_problem).and_then(|body| body["code"].as_str()) else {
            return Ok(());
        };
        let said = response["description"].as_str().unwrap_or_default();
        let named = said.split(':').next().unwrap_or_default();
        let is_named = named.split(',').any(|named| named.trim() == code);
        is_named.then_some(()).ok_or_else(|| format!("{code} is not among {named:?}"))
    }

    /// The path of the document that fits, with as few parameters as can be.
    fn template(&self, path: &str) -> Option<&str> {
        let asked: Vec<_> = path.split('/').collect();
        let fits = |template: &&str| {
            let parts: Vec<_> = template.split('/').collect();
            let same = |(part, asked): (&&str, &&str)| part.starts_with('{') || part == asked;
            parts.len() == asked.len() && parts.iter().zip(&asked).all(same)
        };
        let paths = self.document["paths"].as_object()?.keys().map(String::as_str);
        paths.filter(fits).min_by_key(|template| template.matches('{').count())
    }

    fn validator(&self, place: &str, schema: &Value) -> Result<Arc<Validator>, String> {
        if let Some(known) = self.validators.lock().get(place) {
            return Ok(known.clone());
        }
        let whole = json!({"allOf": [schema], "components": self.document["components"]});
        let validator = jsonschema::validator_for(&whole).map_err(|error| error.to_string())?;
        let validator = Arc::new(validator);
        self.validators.lock().insert(place.to_owned(), validator.clone());
        Ok(validator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
        let content_type = match status {
            200..300 => "application/json",
            _ => "application/problem+json",
        };
        let body = serde_json::to_vec(body).unwrap();
        let headers = &HeaderMap::new();
        PROMISE.check(&Answered { method, path, status, content_type, headers, body: &body })
    }

    #[test]
    fn what_is_not_documented_is_found() {
        let page = json!({"items": []});
        assert_eq!(check("GET", "/api/v1/venues", 200, &page), Ok(()));
        for (method, path, status, body) in [
            ("GET", "/api/v1/nowhere", 200, &page),
            ("PATCH", "/api/v1/venues", 200, &page),
            ("GET", "/api/v1/venues", 201, &page),
            ("GET", "/api/v1/venues", 200, &json!({"items": 7})),
            ("GET", "/api/v1/venues", 200, &json!([])),
        ] {
            assert!(check(method, path, status, body).is_err(), "{method} {path} {status} {body}");
        }
        let problem = |code: &str| {
            json!({
                "type": "about:blank", "title": "x", "status": 404, "detail": "x", "code": code,
                "request_id": "x", "timestamp": "2026-01-01T00:00:00Z",
            })
        };
        let path = "/api/v1/events/evt_00000000000000000000000007";
        assert_eq!(check("GET", path, 404, &problem("EVENT_NOT_FOUND")), Ok(()));
        assert!(check("GET", path, 404, &problem("MADE_UP")).is_err());
        assert!(check("GET", path, 404, &problem("FORBIDDEN")).is_err());
        assert!(check("GET", path, 404, &problem("VENUE_NOT_FOUND")).is_err());
        assert_eq!(check("GET", "/nowhere", 404, &problem("NOT_FOUND")), Ok(()));

        let (content_type, body) = ("", &[][..]);
        for (name, path, is_said) in [
            ("evently-position", "/api/v1/venues", true),
            ("evently-position", "/health", false),
            ("etag", "/health", true),
        ] {
            let headers = &HeaderMap::from_iter([(name.parse().unwrap(), "1".parse().unwrap())]);
            let (method, status) = ("GET", 200);
            let answer = Answered { method, path, status, content_type, headers, body };
            assert_eq!(PROMISE.check(&answer).is_ok(), is_said, "{name} {path}");
        }
    }
}
