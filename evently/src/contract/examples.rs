//! What bodies look like, by the name of their schema, or of one answer where the schema has several
//! uses: `method path status`. All tell of the same event.

use serde_json::{Map, Value, json};

/// Puts an example beside each body in JSON that an operation takes or gives when it does what is asked.
pub(super) fn show(document: &mut Value) {
    // It is part of the program, and read by its tests.
    let examples: Map<String, Value> =
        serde_json::from_str(include_str!("examples.json")).unwrap_or_default();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(body) = operation.get_mut("requestBody") {
                put(&examples, "", body);
            }
            let responses = operation["responses"].as_object_mut().into_iter().flatten();
            for (status, response) in responses.filter(|(status, _)| status.starts_with('2')) {
                put(&examples, &format!("{method} {path} {status}"), response);
            }
        }
    }
}

fn put(examples: &Map<String, Value>, place: &str, of: &mut Value) {
    for (kind, content) in
        of.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten()
    {
        let schema = content["schema"]["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let example = examples.get(place).cloned().or_else(|| named(examples, schema?));
        if let (true, Some(example)) = (kind.ends_with("json"), example) {
            content["example"] = example;
        }
    }
}

/// That of a schema. A page has one item, and no page after it.
fn named(examples: &Map<String, Value>, schema: &str) -> Option<Value> {
    match schema.strip_prefix("Page_") {
        Some(item) => Some(json!({"items": [examples.get(item)?]})),
        None => examples.get(schema).cloned(),
    }
}
