//! The feed described to those who read it: a JSON Schema of each message, and an AsyncAPI document of
//! all, both made from the types that are sent.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::messages::{self, Message, MessageKind, Topic};

/// Of the contract, not of the program: the first number changes when a topic goes, the second when a
/// type of message comes.
const VERSION: &str = "1.0.0";

const ABOUT: &str = "\
Public facts of ticket sales as CloudEvents 1.0, in the binary mode of their Kafka binding.

The key of every message is the id of the event it is about, so that what is told of one event in a \
topic stays in order. Each message arrives once or more: repetitions have the same `ce_id` (as the \
source never changes, the id alone tells), and after one what follows it may be repeated too, in order. \
`ce_eventlyposition` is the place in the log: it grows within a key, but is not a count, and compares \
messages of different topics. A type keeps its form, in which only optional fields are added; what has to \
change becomes another type with the next version. No message has anything of a person in it.";

/// Every type of message, in the order of topics.
pub fn kinds() -> Vec<MessageKind> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut generator =
        settings.with(|settings| settings.inline_subschemas = true).into_generator();
    let mut kinds = messages::kinds(&mut generator);
    for kind in &mut kinds {
        let mut schema = std::mem::take(&mut kind.schema).to_value();
        without_null(&mut schema);
        // What was an object is one still.
        kind.schema = schema.try_into().unwrap_or_default();
    }
    kinds
}

/// What is not there is left out, and never null.
fn without_null(schema: &mut Value) {
    let is_null = |value: &Value| value == "null" || *value == json!({"type": "null"});
    match schema {
        Value::Object(map) => {
            for several in ["type", "anyOf"] {
                let Some(Value::Array(options)) = map.get_mut(several) else { continue };
                options.retain(|option| !is_null(option));
                let [only] = options.as_mut_slice() else { continue };
                let only = only.take();
                match (several, only) {
                    ("anyOf", Value::Object(mut inner)) => {
                        map.remove("anyOf");
                        inner.append(map);
                        *map = inner;
                    }
                    (_, only) => drop(map.insert(several.to_owned(), only)),
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(values) => values.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The whole feed as an AsyncAPI 3.0 document.
pub fn asyncapi() -> Value {
    let kinds = kinds();
    let named = |kind: &MessageKind| kind.kind.trim_start_matches("evently.").to_owned();
    let mut channels = Map::new();
    let mut operations = Map::new();
    for topic in Topic::ALL {
        let noun = topic.noun();
        let mine = kinds.iter().filter(|kind| kind.topic == topic).map(named);
        let mine = mine.map(|name| {
            let path = format!("#/components/messages/{name}");
            (name, json!({"$ref": path}))
        });
        channels.insert(
            noun.to_owned(),
            json!({
                "address": topic.name(),
                "description": about(topic),
                "messages": Map::from_iter(mine),
            }),
        );
        operations.insert(
            format!("tell_{noun}"),
            json!({
                "action": "send",
                "channel": {"$ref": format!("#/channels/{noun}")},
                "summary": about(topic),
            }),
        );
    }
    let messages = kinds.iter().map(|kind| (named(kind), described(kind)));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Evently feed",
            "version": VERSION,
            "description": ABOUT,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": Message::CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": Map::from_iter(messages),
            "messageTraits": {"cloud_event": cloud_event()},
        },
    })
}

fn about(topic: Topic) -> &'static str {
    match topic {
        Topic::Booking => "What becomes of bookings.",
        Topic::Event => "What becomes of published events and of their stock.",
        Topic::Payment => "What becomes of money.",
        Topic::Waitlist => "What becomes of places in waitlists.",
    }
}

fn described(kind: &MessageKind) -> Value {
    let mut payload = kind.schema.clone().to_value();
    let of_payload = payload.as_object_mut();
    let summary = of_payload.map(|schema| {
        schema.remove("$schema");
        schema.remove("description").unwrap_or_default()
    });
    json!({
        "name": kind.kind,
        "summary": summary,
        "contentType": Message::CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/cloud_event"}],
        "payload": payload,
    })
}

/// What all messages have beside what they say.
fn cloud_event() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let exactly = |value: &str| json!({"type": "string", "const": value});
    json!({
        "headers": {
            "type": "object",
            "properties": {
                "ce_specversion": exactly(Message::SPEC_VERSION),
                "ce_id": text("Unique, and the same in every repetition of the message."),
                "ce_source": exactly(Message::SOURCE),
                "ce_type": text("The name of the message."),
                "ce_subject": text("What it is about: a booking, payment, place in a waitlist or event."),
                "ce_time": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When it was decided.",
                },
                "ce_eventlyposition": {
                    "type": "string",
                    "pattern": "^[0-9]+$",
                    "description": "The place in the log of what it tells: 64 bits that only grow.",
                },
                "ce_traceparent": text("The W3C trace context in which it was decided."),
                "content-type": exactly(Message::CONTENT_TYPE),
            },
            "required": [
                "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time",
                "ce_eventlyposition", "content-type",
            ],
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "The id of the event, `evt_...`."},
                "bindingVersion": "0.5.0",
            },
        },
    })
}
