//! What answers are there beside an endpoint's own: what goes wrong before and after its part, which
//! codes problems have, and what headers come with what.

use infra::auth::{Rule, Who};
use infra::limits::Budget;
use serde_json::{Map, Value, json};

pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// What an operation takes, as far as it decides what can be wrong with it.
pub(super) struct Takes {
    pub(super) body: bool,
    pub(super) key: bool,
    pub(super) position: bool,
}

/// Adds to an operation's answers those that it has as all others have them.
pub(super) fn complete(rule: &Rule, takes: &Takes, responses: &mut Map<String, Value>) {
    responses.remove("default");
    name_codes(rule, takes, responses);
    for (status, response) in responses {
        // Of several kinds of messages no schema is that of all.
        let content = response.get_mut("content").and_then(|it| it.get_mut("text/event-stream"));
        if let Some(stream) = content {
            *stream = json!({"x-messages": stream["schema"]});
        }
        if !response["headers"].is_object() {
            response["headers"] = Value::Object(Map::new());
        }
        for header in HEADERS.iter().filter(|header| (header.comes)(rule, status)) {
            let reference = format!("#/components/headers/{}", header.name);
            response["headers"][header.name] = json!({"$ref": reference});
        }
    }
}

/// Which problems come with which status, beside those that the endpoint names.
fn name_codes(rule: &Rule, takes: &Takes, responses: &mut Map<String, Value>) {
    let own: Vec<_> = responses.keys().filter(|status| status.as_str() >= "400").cloned().collect();
    for status in own {
        // What an endpoint says of itself without naming a code.
        let code: &[&str] = match status.as_str() {
            "400" => &["MALFORMED"],
            "401" => &["UNAUTHORIZED"],
            "403" => &["FORBIDDEN"],
            "422" => &["INVALID"],
            _ => &[],
        };
        name(responses, &status, code, "");
    }
    match rule.who {
        Who::Everybody => {}
        Who::Guests | Who::Known => name(responses, "401", &["UNAUTHORIZED"], ""),
        Who::These(_) => {
            name(responses, "401", &["UNAUTHORIZED"], "");
            name(responses, "403", &["FORBIDDEN"], "see `x-roles`");
        }
        Who::Services(_) => {
            name(responses, "401", &["UNAUTHORIZED"], "");
            name(responses, "403", &["FORBIDDEN"], "see `x-scope`");
            name(responses, "503", &["IDENTITY_UNAVAILABLE"], "");
        }
    }
    if takes.body {
        name(responses, "408", &["REQUEST_TIMEOUT"], "");
        name(responses, "415", &["UNSUPPORTED_MEDIA_TYPE"], "");
        name(responses, "422", &["INVALID"], "");
    }
    if takes.key {
        name(responses, "422", &["INVALID", "IDEMPOTENCY_KEY_REUSED"], "");
    }
    if takes.position {
        name(responses, "503", &["NOT_YET_VISIBLE"], "");
    }
    if rule.budget != Budget::Free {
        name(responses, "429", &["TOO_MANY_REQUESTS"], "");
    }
    // Of every request: it may not say where it goes, or bring too much, or come when too many do.
    name(responses, "400", &["MALFORMED"], "");
    name(responses, "413", &["PAYLOAD_TOO_LARGE"], "");
    name(responses, "500", &["INTERNAL"], "");
    name(responses, "503", &["OVERLOADED", "TIMED_OUT"], "");
}

/// Adds codes to what a problem says of itself, which is `CODE, CODE: words`, and the words if there
/// are none.
fn name(responses: &mut Map<String, Value>, status: &str, codes: &[&str], words: &str) {
    let response = responses.entry(status).or_insert_with(|| json!({}));
    let said = response["description"].as_str().unwrap_or_default().to_owned();
    let (mut named, own_words) = parts(&said);
    for code in codes {
        if !named.contains(code) {
            named.push(code);
        }
    }
    let words = if own_words.is_empty() { words } else { own_words };
    let separator = if words.is_empty() { "" } else { ": " };
    response["description"] = json!(format!("{}{separator}{words}", named.join(", ")));
    let problem = json!({"schema": {"$ref": "#/components/schemas/ProblemDocument"}});
    if !response["content"].is_object() {
        response["content"] = json!({});
    }
    response["content"][PROBLEM_JSON] = problem;
}

/// The codes and the words of a description.
pub(super) fn parts(said: &str) -> (Vec<&str>, &str) {
    let (codes, words) = said.split_once(':').unwrap_or((said, ""));
    let is_code = |code: &&str| {
        !code.is_empty() && code.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_')
    };
    let codes: Vec<_> = codes.split(',').map(str::trim).collect();
    if codes.iter().all(is_code) { (codes, words.trim()) } else { (vec![], said) }
}

/// A header that answers have.
struct Header {
    name: &'static str,
    about: &'static str,
    /// A text, or a whole number from 0.
    is_text: bool,
    comes: fn(&Rule, &str) -> bool,
}

const fn header(
    name: &'static str,
    about: &'static str,
    is_text: bool,
    comes: fn(&Rule, &str) -> bool,
) -> Header {
    Header { name, about, is_text, comes }
}

const HEADERS: &[Header] = &[
    header(
        "x-request-id",
        "Names the request, in logs and records too: the UUID it brought, or one made here",
        true,
        always,
    ),
    header("X-Content-Type-Options", "`nosniff`", true, always),
    header("Content-Security-Policy", "Nothing of it is to be shown or run", true, always),
    header("Referrer-Policy", "`no-referrer`", true, always),
    header("RateLimit-Policy", "What may be asked in a minute; absent if unlimited", true, counted),
    header("RateLimit", "What is left, and until when; absent if unlimited", true, counted),
    header("Retry-After", "Seconds after which to ask again", false, |_, status| {
        ["429", "503"].contains(&status)
    }),
    header("WWW-Authenticate", "`Bearer`, with the error if there is one", true, |rule, status| {
        status == "401" || status == "403" && matches!(rule.who, Who::Services(_))
    }),
    header("Cache-Control", "Who may keep the answer, and how long", true, is_kept_by_rule),
    header(
        "Evently-Position",
        "Everything up to here is included; of a command, where it is in the \
        log. Absent if not known",
        false,
        has_position,
    ),
];

fn always(_: &Rule, _: &str) -> bool {
    true
}

fn counted(rule: &Rule, _: &str) -> bool {
    rule.budget != Budget::Free
}

/// What is personal is not kept, what changes is asked for again, and keys and this document may be kept.
fn is_kept_by_rule(rule: &Rule, status: &str) -> bool {
    const PATHS: [&str; 12] = [
        "/.well-known/jwks.json",
        "/api/v1/auth/email/verify",
        "/api/v1/auth/login",
        "/api/v1/auth/oidc/callback",
        "/api/v1/auth/oidc/login",
        "/api/v1/auth/password/reset",
        "/api/v1/auth/refresh",
        "/api/v1/events/{event_id}/seats",
        "/api/v1/events/{event_id}/stream",
        "/api/v1/users/me/export",
        "/api/v1/users/me/password",
        "/openapi.json",
    ];
    let is_profile = rule.path == "/api/v1/users/me" && rule.method != "DELETE";
    status < "400" && (is_profile || PATHS.contains(&rule.path))
}

/// Whether the answer says where in the log it is.
fn has_position(rule: &Rule, status: &str) -> bool {
    const WITHOUT: [&str; 5] = [
        "/api/v1/audit/proof/{event_id}",
        "/api/v1/auth/logout",
        "/api/v1/auth/oidc/login",
        "/api/v1/events/{event_id}/stream",
        "/api/v1/users/me/export",
    ];
    const WITH: [&str; 2] = ["/api/v1/admin/users/{user_id}/roles", "/internal/audit/records"];
    let is_of_views = rule.path.starts_with("/api/v1/admin/") || !rule.path.starts_with("/api/");
    let is_without = is_of_views || WITHOUT.contains(&rule.path);
    let has_one = status.starts_with('2') || status == "304";
    has_one && (WITH.contains(&rule.path) || !is_without)
}

/// All of them, to be referred to.
pub(super) fn headers() -> Value {
    let components = HEADERS.iter().map(|Header { name, about, is_text, .. }| {
        let schema = match is_text {
            true => json!({"type": "string"}),
            false => json!({"type": "integer", "minimum": 0}),
        };
        ((*name).to_owned(), json!({"description": about, "schema": schema}))
    });
    components.collect()
}
