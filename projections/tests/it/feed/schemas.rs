//! The schema of every message and the document of the feed lie in `schemas/`, as this code says them.
//!
//! `EVENTLY_BLESS=1 cargo test -p projections` writes what has changed.

use std::collections::BTreeMap;
use std::fs;

use projections::feed;
use serde_json::{Value, json};

use super::{at_root, told};

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

fn generated() -> BTreeMap<String, String> {
    let text =
        |value: Value| format!("{}\n", serde_json::to_string_pretty(&sorted(value)).unwrap());
    let kinds = feed::kinds().into_iter();
    let kinds =
        kinds.map(|kind| (format!("feed/{}.json", kind.kind), text(kind.schema.to_value())));
    let document = ("asyncapi.json".to_owned(), text(feed::asyncapi()));
    kinds.chain([document]).collect()
}

#[test]
fn schemas_and_document_are_what_the_code_says() {
    let folder = at_root("schemas");
    let bless = std::env::var_os("EVENTLY_BLESS").is_some();
    fs::create_dir_all(folder.join("feed")).unwrap();
    let generated = generated();
    for (file, wanted) in &generated {
        let path = folder.join(file);
        if bless {
            fs::write(&path, wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        let hint = "is out of date; run EVENTLY_BLESS=1 cargo test -p projections";
        assert!(found == *wanted, "{file} {hint}");
    }
    // A type that was sent once is described for ever.
    for file in fs::read_dir(folder.join("feed")).unwrap() {
        let name = format!("feed/{}", file.unwrap().file_name().to_str().unwrap());
        assert!(generated.contains_key(&name), "{name} describes nothing");
    }
}

/// The same schema, which allows nothing that it does not name: readers are to bear new fields, but what
/// is sent today is all written down.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(|inner| *inner = closed(inner.take()));
        }
        Value::Array(values) => values.iter_mut().for_each(|inner| *inner = closed(inner.take())),
        _ => {}
    }
    schema
}

#[test]
fn every_message_is_as_its_schema_says() {
    let kinds = feed::kinds().into_iter();
    let validators: BTreeMap<_, _> = kinds
        .map(|kind| {
            let schema = closed(kind.schema.to_value());
            (kind.kind, jsonschema::validator_for(&schema).unwrap())
        })
        .collect();
    let headers = &feed::asyncapi()["components"]["messageTraits"]["cloud_event"]["headers"];
    let headers = jsonschema::validator_for(&closed(headers.clone())).unwrap();
    for (name, messages) in told() {
        for message in messages {
            let data: Value = serde_json::from_slice(&message.data).unwrap();
            let wrong: Vec<_> =
                validators[message.kind].iter_errors(&data).map(|e| e.to_string()).collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}\n{data}");
            let map: serde_json::Map<_, _> =
                message.headers().into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            headers.validate(&Value::Object(map)).unwrap();
        }
    }
}

#[test]
fn schemas_say_what_must_be_there_and_never_null() {
    for kind in feed::kinds() {
        let schema = kind.schema.to_value();
        assert!(!schema.to_string().contains("null"), "{}: {schema}", kind.kind);
        assert!(!schema.to_string().contains("$ref"), "{}: {schema}", kind.kind);
        let required = schema["required"].as_array().unwrap();
        assert!(required.contains(&json!("event_id")), "{}", kind.kind);
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(!validator.is_valid(&json!({})), "{}", kind.kind);
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn refs(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(path)) = map.get("$ref") {
                    found.push(path.clone());
                }
                map.values().for_each(|value| refs(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| refs(value, found)),
            _ => {}
        }
    }
    let document = feed::asyncapi();
    let mut found = vec![];
    refs(&document, &mut found);
    assert!(found.len() > 40, "{found:?}");
    for path in found {
        assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
    }
}
