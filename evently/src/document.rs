//! What describes the API to programs: the OpenAPI document, and the keys that verify its tokens.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use infra::auth::Keys;
use infra::http::{Code, GENERIC_CODES, Parameters, ProblemDocument};
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, Ref, RefOr};

use crate::{contract, health};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Evently",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(health::health, health::ready, health::live, crate::metrics::metrics, jwks, openapi),
    components(schemas(ProblemDocument<'static>)),
    tags(
        (name = "accounts", description = "Who people are, and how they are forgotten"),
        (name = "venues", description = "Where events take place"),
        (name = "events", description = "What is sold, and what is left of it"),
        (name = "bookings", description = "Hold, pay, cancel"),
        (name = "waitlist", description = "Waiting for places to return"),
        (name = "audit", description = "The log and its proof"),
        (name = "admin", description = "Running the views"),
        (name = "internal", description = "For other programs of the operator, by service key"),
        (name = "health", description = "Whether it lives and what it depends on"),
    )
)]
struct Document;

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

const ABOUT: &str = "\
Sells tickets to events that sell out in minutes.

Send an `Idempotency-Key` with every command that changes state: the same key and body get the first \
answer again, for at least 24 hours. Every command answers with `Evently-Position`; a read that has \
to include it sends it as `Evently-Min-Position`. Times are RFC 3339 in UTC, amounts are whole minor \
units beside an ISO 4217 currency. The head of a request has at most 32 KiB (431), and what is no HTTP is \
refused with 400, both without a body. Whatever else goes wrong is answered with a problem (RFC 9457), whose \
`code` is one of these:

| code | status | meaning |
| --- | --- | --- |
";

/// The whole API as an OpenAPI 3.1 document.
pub fn document() -> Value {
    let mut document = Document::openapi();
    document.merge(command_api::api());
    document.merge(query_api::api());
    document.merge(projections::api());
    let codes = codes();
    let rows = codes.values().map(|code| {
        let Code { code, status, meaning } = code;
        format!("| `{code}` | {status} | {meaning} |\n")
    });
    document.info.description = Some(ABOUT.to_owned() + &rows.collect::<String>());
    let listed = codes.values().map(|Code { code, status, meaning }| {
        json!({"code": code, "status": status, "meaning": meaning})
    });
    let listed: Vec<_> = listed.collect();
    document
        .extensions
        .get_or_insert_default()
        .merge(Extensions::from_iter([("x-problem-codes", listed)]));
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    let scheme =
        Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("service key").build();
    components.add_security_scheme("service", SecurityScheme::Http(scheme));
    for (path, item) in &mut document.paths.paths {
        if is_of_api(path) {
            operations(item).for_each(type_problems);
        }
    }
    // What describes an API always becomes JSON.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    contract::complete(&mut document, &codes);
    document
}

/// Every code with its status, by name.
fn codes() -> BTreeMap<&'static str, Code> {
    let all = [GENERIC_CODES, command_api::CODES, query_api::CODES, projections::CODES];
    let mut codes = BTreeMap::new();
    for code in all.into_iter().flatten() {
        codes.entry(code.code).or_insert(*code);
    }
    codes
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// All problems have one type, and are of one kind of JSON.
fn type_problems(operation: &mut Operation) {
    let schema = RefOr::Ref(Ref::from_schema_name("ProblemDocument"));
    let as_json = RefOr::T(ContentBuilder::new().schema(Some(schema)).build());
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        if response.content.get(JSON) == Some(&as_json) {
            response.content.clear();
            response.content.insert(PROBLEM_JSON.to_owned(), as_json.clone());
        }
    }
}

/// Where a browser comes back with what its provider says, which may be more than we know of: that is to
/// be passed over (RFC 6749, 4.1.2).
const CALLBACK: &str = "/api/v1/auth/oidc/callback";

/// What queries may name, of every operation but [`CALLBACK`] that is in `document`. Outside of the API a
/// query is passed over: probes, scrapers and caches add some of their own.
fn parameters(document: &Value) -> Parameters {
    let mut parameters = Parameters::default();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        if !is_of_api(path) || path == CALLBACK {
            continue;
        }
        for (method, operation) in item.as_object().into_iter().flatten() {
            let described = operation["parameters"].as_array().into_iter().flatten();
            let named = described.filter(|parameter| parameter["in"] == "query");
            let names = named.filter_map(|parameter| parameter["name"].as_str());
            parameters = parameters.with(method, path, names);
        }
    }
    parameters
}

/// The endpoints, outside of `/api/v1`, and what the queries of all others may name.
pub(crate) fn router(keys: &Keys) -> (Router, Parameters) {
    let document = document();
    let parameters = parameters(&document);
    // A document always becomes JSON, and so do keys.
    let openapi = Bytes::from(document.to_string());
    let keys = keys.clone();
    let jwks = move || Bytes::from(serde_json::to_vec(&keys.jwks()).unwrap_or_default());
    let router =
        Router::new().route("/openapi.json", get(async move || cached(JSON, openapi))).route(
            "/.well-known/jwks.json",
            get(async move || cached("application/jwk-set+json", jwks())),
        );
    (router, parameters)
}

fn is_of_api(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/internal/")
}

fn cached(kind: &'static str, body: Bytes) -> ([(HeaderName, HeaderValue); 2], Bytes) {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, body)
}

/// The keys that verify the tokens of this API (RFC 7517).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "health",
    responses((status = 200, description = "Those in use, and those that were before",
        content_type = "application/jwk-set+json", body = Object))
)]
#[expect(dead_code, reason = "documents the route above")]
fn jwks() {}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
#[expect(dead_code, reason = "documents the route above")]
fn openapi() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// With the keys of every object in order, whatever other crates ask of the parser.
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let map: BTreeMap<_, _> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
                Value::Object(map.into_iter().collect())
            }
            Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
            other => other,
        }
    }

    /// `EVENTLY_BLESS=1 cargo test -p evently` writes what has changed.
    #[test]
    fn the_document_lies_in_schemas_as_this_code_says_it() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
        let value = sorted(document());
        let wanted = format!("{}\n", serde_json::to_string_pretty(&value).unwrap());
        if std::env::var_os("EVENTLY_BLESS").is_some() {
            fs::write(&path, &wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        let hint = "openapi.json is out of date; run EVENTLY_BLESS=1 cargo test -p evently";
        assert!(found == wanted, "{hint}");
    }

    #[test]
    fn parts_agree_on_what_they_both_describe() {
        let parts = [Document::openapi(), command_api::api(), query_api::api(), projections::api()];
        let mut schemas = BTreeMap::new();
        let mut operations = BTreeMap::new();
        for part in parts {
            let part = serde_json::to_value(part).unwrap();
            for (name, schema) in part["components"]["schemas"].as_object().unwrap() {
                let first = schemas.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(first, schema, "{name}");
            }
            for (path, item) in part["paths"].as_object().unwrap() {
                for method in item.as_object().unwrap().keys() {
                    let place = (path.clone(), method.clone());
                    assert_eq!(operations.insert(place, ()), None, "{method} {path} twice");
                }
            }
        }
    }

    #[test]
    fn a_code_has_one_status() {
        let all = [GENERIC_CODES, command_api::CODES, query_api::CODES, projections::CODES];
        for code in all.into_iter().flatten() {
            assert_eq!(codes()[code.code].status, code.status, "{}", code.code);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let names = text.split("\"#/components/schemas/").skip(1);
        for name in names.map(|rest| rest.split('"').next().unwrap()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        let names = text.split("\"#/components/headers/").skip(1);
        for name in names.map(|rest| rest.split('"').next().unwrap()) {
            assert!(document["components"]["headers"][name].is_object(), "{name}");
        }
        let names = text.split("\"#/components/examples/").skip(1);
        for name in names.map(|rest| rest.split('"').next().unwrap()) {
            assert!(document["components"]["examples"][name]["value"].is_object(), "{name}");
        }
        let (problem, components) =
            ("#/components/schemas/ProblemDocument", &document["components"]);
        let schema = json!({"$ref": problem, "components": components});
        let schema = jsonschema::validator_for(&schema).unwrap();
        for (code, example) in components["examples"].as_object().unwrap() {
            schema.validate(&example["value"]).unwrap_or_else(|wrong| panic!("{code}: {wrong}"));
        }
        let ids: Vec<_> = text.split("\"operationId\":\"").skip(1).collect();
        let mut unique: Vec<_> = ids.iter().map(|rest| rest.split('"').next()).collect();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len());
    }

    /// All operations with their names.
    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let mut all = vec![];
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                all.push((format!("{method} {path}"), operation));
            }
        }
        all
    }

    #[test]
    fn every_answer_is_described_and_every_problem_has_known_codes() {
        let document = document();
        for (operation, described) in operations(&document) {
            let responses = described["responses"].as_object().unwrap();
            for (status, response) in responses {
                let place = format!("{operation} {status}");
                let said = response["description"].as_str().unwrap_or_default();
                assert!(!said.is_empty(), "{place} has no description");
                let is_problem = response["content"]["application/problem+json"].is_object();
                assert_eq!(is_problem, status >= &"400".to_owned(), "{place}");
                if is_problem {
                    let content = &response["content"]["application/problem+json"];
                    let examples = content["examples"].as_object().unwrap();
                    assert_eq!(examples.len(), said.split(':').next().unwrap().split(", ").count());
                    for code in said.split(':').next().unwrap().split(", ") {
                        let listed = codes().get(code).map(|code| code.status.to_string());
                        assert_eq!(listed.as_ref(), Some(status), "{place}: {code}");
                        assert!(examples.contains_key(code), "{place}: {code}");
                    }
                }
            }
            // What may come of a request before anybody looks at what it asks for.
            for status in ["400", "413", "500", "503"] {
                assert!(responses.contains_key(status), "{operation} has no {status}");
            }
        }
    }

    #[test]
    fn every_body_has_an_example_that_is_one() {
        let document = document();
        let check = |place: &str, of: &Value| {
            for (kind, content) in of["content"].as_object().into_iter().flatten() {
                if kind.ends_with("json") {
                    let example = content.get("example");
                    let example = example.unwrap_or_else(|| panic!("{place} has no example"));
                    let components = &document["components"];
                    let schema = json!({"allOf": [content["schema"]], "components": components});
                    let schema = jsonschema::validator_for(&schema).unwrap();
                    let wrong = schema.iter_errors(example).next();
                    let wrong = wrong.map(|it| format!("{place}: {it} at {}", it.instance_path()));
                    assert_eq!(wrong, None);
                }
            }
        };
        for (operation, described) in operations(&document) {
            check(&operation, &described["requestBody"]);
            for (status, response) in described["responses"].as_object().unwrap() {
                if status.starts_with('2') {
                    check(&format!("{operation} {status}"), response);
                }
            }
        }
    }
}
