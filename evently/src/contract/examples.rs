//! What bodies look like, by the name of their schema, or of one answer where the schema has several
//! uses: `method path status`. All tell of the same event. What goes wrong has an example for each code.

use std::collections::BTreeMap;

use infra::http::Code;
use serde_json::{Map, Value, json};

use super::answers;

/// Puts an example beside each body in JSON that an operation takes or gives when it does what is asked.
pub(super) fn show(document: &mut Value, codes: &BTreeMap<&str, Code>) {
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
            for (status, response) in responses {
                if status.starts_with('2') {
                    put(&examples, &format!("{method} {path} {status}"), response);
                } else {
                    refer_to_problems(codes, response);
                }
            }
        }
    }
    let example = |code: &Code| json!({"summary": code.meaning, "value": code.example()});
    let all = codes.iter().map(|(name, code)| ((*name).to_owned(), example(code)));
    document["components"]["examples"] = Value::Object(all.collect());
}

/// Puts beside a problem an example of each code that its description names.
fn refer_to_problems(codes: &BTreeMap<&str, Code>, response: &mut Value) {
    let said = response["description"].as_str().unwrap_or_default();
    let (named, _) = answers::parts(said);
    let known = named.into_iter().filter(|name| codes.contains_key(name));
    let refer = |name: &str| json!({"$ref": format!("#/components/examples/{name}")});
    let examples: Map<_, _> = known.map(|name| (name.to_owned(), refer(name))).collect();
    let content = response.get_mut("content").and_then(|it| it.get_mut(answers::PROBLEM_JSON));
    if let Some(content) = content {
        content["examples"] = Value::Object(examples);
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
