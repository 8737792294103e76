//! What the API document says of every endpoint, so that no endpoint has to: who may use it, what is
//! counted, what may go wrong before and after its own part, what all answers carry, what ids look like.

use std::collections::BTreeMap;

use domain::Currency;
use infra::auth::{RULES, Role, Rule, Who};
use infra::http::Code;
use serde_json::{Value, json};

use answers::Takes;

mod answers;
mod examples;

/// Ids and other texts with a form: by the name of whatever carries one.
const FORMS: &[(&str, &str, &str)] = &[
    ("event_id", r"^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$", "evt_01jd2yc5f9e7kbg4v1rm0n8wq3"),
    ("venue_id", r"^ven_[0-7][0-9a-hjkmnp-tv-z]{25}$", "ven_01jd2yc5f9e7kbg4v1rm0n8wq3"),
    ("user_id", r"^usr_[0-7][0-9a-hjkmnp-tv-z]{25}$", "usr_01jd2yc5f9e7kbg4v1rm0n8wq3"),
    ("tier_id", r"^tier_[0-7][0-9a-hjkmnp-tv-z]{25}$", "tier_01jd2yc5f9e7kbg4v1rm0n8wq3"),
    ("waitlist_id", r"^wl_[0-7][0-9a-hjkmnp-tv-z]{25}$", "wl_01jd2yc5f9e7kbg4v1rm0n8wq3"),
    (
        "booking_id",
        r"^bkg_[0-7][0-9a-hjkmnp-tv-z]{25}[0-9a-f][0-9a-hjkmnp-tv-z]{12}$",
        "bkg_01jd2yc5f9e7kbg4v1rm0n8wq30c7m2p9wz4h1k",
    ),
    ("Idempotency-Key", r"^[!-~]{1,255}$", "5f0c6a52-7d6e-4b0e-9d70-1c1f0e6f6d35"),
];

/// Says of every endpoint in `document` what is true of all of them.
pub(crate) fn complete(document: &mut Value, codes: &BTreeMap<&str, Code>) {
    refine(document);
    open_parts(document);
    document["components"]["headers"] = answers::headers();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let is_it =
                |rule: &&Rule| rule.path == path && rule.method.eq_ignore_ascii_case(method);
            if let Some(rule) = RULES.iter().find(is_it) {
                speak_of(rule, operation);
            }
        }
    }
    examples::show(document, codes);
}

fn speak_of(rule: &Rule, operation: &mut Value) {
    let known = json!([{"bearer": []}]);
    operation["security"] = match rule.who {
        Who::Everybody => json!([]),
        Who::Guests => json!([{}, {"bearer": []}]),
        Who::Known | Who::These(_) => known,
        Who::Services(_) => json!([{"service": []}]),
    };
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let takes = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
    let takes = Takes {
        body: operation.get("requestBody").is_some(),
        key: takes("Idempotency-Key"),
        position: takes("Evently-Min-Position"),
    };
    if operation["parameters"].is_null() {
        operation.as_object_mut().map(|operation| operation.remove("parameters"));
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    answers::complete(rule, &takes, responses);
    if let Who::These(roles) = rule.who {
        operation["x-roles"] = roles.iter().map(|role| role.name()).collect();
    }
    if let Who::Services(scope) = rule.who {
        operation["x-scope"] = json!(scope.name());
    }
}

/// An answer that says more than the body it repeats is made of that body and the rest: as a part, the
/// body may not forbid the rest.
fn open_parts(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    let bodies = schemas.clone();
    for schema in schemas.values_mut() {
        for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = part["$ref"].as_str().and_then(|path| path.rsplit('/').next());
            let body = name.and_then(|name| bodies.get(name));
            if let Some(body) = body.filter(|body| body["additionalProperties"] == json!(false)) {
                *part = body.clone();
                part.as_object_mut().map(|part| part.remove("additionalProperties"));
            }
        }
    }
}

/// Says what texts with a form look like, wherever they are, and that a header is there or not but
/// never `null`.
fn refine(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(refine),
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                properties.iter_mut().for_each(|(name, schema)| form(name, schema));
                for name in ["grant", "revoke", "roles"] {
                    if let Some(items) = properties.get_mut(name).and_then(|it| it.get_mut("items"))
                    {
                        items["enum"] = Role::ALL.iter().map(|role| role.name()).collect();
                    }
                }
            }
            if map.get("in").is_some_and(Value::is_string)
                && let Some(name) = map.get("name").and_then(Value::as_str).map(str::to_owned)
                && let Some(schema) = map.get_mut("schema")
            {
                if let Some(kinds) = schema["type"].as_array() {
                    let kind = kinds.iter().find(|kind| **kind != "null").cloned();
                    schema["type"] = kind.unwrap_or_default();
                }
                form(&name, schema);
            }
            map.values_mut().for_each(refine);
        }
        _ => {}
    }
}

fn form(name: &str, schema: &mut Value) {
    let is_text = schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
    let Some(schema) = schema.as_object_mut() else { return };
    let form = FORMS.iter().find(|(named, ..)| *named == name && is_text);
    if let Some((_, pattern, example)) = form {
        schema.entry("pattern").or_insert_with(|| json!(pattern));
        schema.entry("example").or_insert_with(|| json!(example));
    }
    match name {
        "currency" if is_text => {
            schema.insert("enum".to_owned(), Currency::codes().collect());
            schema.insert("example".to_owned(), json!("EUR"));
        }
        "as_of" => {
            schema.remove("type");
            let position = json!({"type": "integer", "minimum": 0});
            let time = json!({"type": "string", "format": "date-time"});
            schema.insert("oneOf".to_owned(), json!([position, time]));
        }
        "date_from" | "date_to" => {
            let forms = json!([{"format": "date"}, {"format": "date-time"}]);
            schema.insert("anyOf".to_owned(), forms);
        }
        // Positions use all 64 bits.
        "after" | "Evently-Min-Position" => {
            schema.insert("format".to_owned(), json!("uint64"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(name: &str) -> (&'static str, &'static str) {
        let form = FORMS.iter().find(|(named, ..)| *named == name).unwrap();
        (form.1, form.2)
    }

    /// Of each alphabet the first and last letters, and what stands beside them.
    #[test]
    fn ids_are_of_the_form_they_are_said_to_have() {
        use domain::{BookingId, EventId, TierId, UserId, VenueId, WaitlistId};
        fn reads<T: std::str::FromStr>(text: &str) -> bool {
            text.parse::<T>().is_ok()
        }
        for (name, is_read) in [
            ("event_id", reads::<EventId> as fn(&str) -> bool),
            ("venue_id", reads::<VenueId>),
            ("user_id", reads::<UserId>),
            ("tier_id", reads::<TierId>),
            ("waitlist_id", reads::<WaitlistId>),
            ("booking_id", reads::<BookingId>),
        ] {
            let (pattern, example) = pattern(name);
            let prefix = example.split_once('_').unwrap().0;
            let length = example.len() - prefix.len() - 1;
            assert!(is_read(example), "{example}");
            assert!(pattern.starts_with(&format!("^{prefix}_[0-7]")), "{pattern}");
            for letter in "0189abhijklmnopqrstuvxyzAZ".chars() {
                let rest: String = std::iter::repeat_n(letter, length - 2).collect();
                let text = match name {
                    // The second number has 64 bits in 13 letters.
                    "booking_id" => format!("{prefix}_0{}0{}", &rest[..25], &rest[..12]),
                    _ => format!("{prefix}_0{rest}0"),
                };
                let fits = letter.is_ascii_digit()
                    || letter.is_ascii_lowercase() && !"ilou".contains(letter);
                assert_eq!(is_read(&text), fits, "{text}");
            }
            assert!(!is_read(&example.replacen("_0", "_8", 1)));
        }
    }
}
