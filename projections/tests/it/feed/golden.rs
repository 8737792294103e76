//! What is told of every fact, byte for byte: others have programs that read it.
//!
//! `EVENTLY_BLESS=1 cargo test -p projections` writes what is new or has changed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use projections::feed::{self, Message, Topic};

use super::{TRACE, at_root, event_fact, record, told};

const FOLDER: &str = "projections/tests/golden/feed";

/// As it is sent, for people to read.
fn shown(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        writeln!(text, "{} key {}", message.topic.name(), message.event).unwrap();
        for (name, value) in message.headers() {
            writeln!(text, "{name}: {value}").unwrap();
        }
        writeln!(text, "{}\n", std::str::from_utf8(&message.data).unwrap()).unwrap();
    }
    text
}

#[test]
fn every_fact_is_told_as_ever() {
    let folder = at_root(FOLDER);
    let bless = std::env::var_os("EVENTLY_BLESS").is_some();
    fs::create_dir_all(&folder).unwrap();
    let mut files = BTreeSet::new();
    for (name, messages) in told() {
        let path = folder.join(format!("{name}.txt"));
        let told = shown(&messages);
        if bless {
            fs::write(&path, &told).unwrap();
        }
        let known = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(told, known, "{name} is told in another way than before");
        files.insert(path.file_name().unwrap().to_owned());
    }
    let found = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(found.collect::<BTreeSet<_>>(), files);
}

#[test]
fn nothing_is_told_of_a_person() {
    let mut count = 0;
    for message in told().iter().flat_map(|(_, messages)| messages) {
        let text = shown(std::slice::from_ref(message));
        assert!(!text.contains("usr_"), "{text}");
        // Nor what a client made up.
        assert!(!text.contains("Key~1"), "{text}");
        count += 1;
    }
    assert!(count > 30, "{count}");
}

#[test]
fn one_record_tells_one_thing_to_a_topic_so_that_ids_are_unique() {
    for (name, messages) in told() {
        let ids: BTreeSet<_> = messages.iter().map(Message::id).collect();
        assert_eq!(ids.len(), messages.len(), "{name}");
        let topics: BTreeSet<_> = messages.iter().map(|message| message.topic).collect();
        assert_eq!(topics.len(), messages.len(), "{name}");
        for message in messages {
            assert_eq!(message.trace.as_deref(), Some(TRACE));
            assert!(message.kind.starts_with(&format!("{}.", message.topic.name())), "{name}");
        }
    }
}

#[test]
fn every_type_is_told_of_something() {
    let told: BTreeSet<_> =
        told().iter().flat_map(|(_, messages)| messages.iter().map(|it| it.kind)).collect();
    let kinds: BTreeSet<_> = feed::kinds().iter().map(|kind| kind.kind).collect();
    assert_eq!(told, kinds);
}

#[test]
fn what_was_never_published_is_not_told() {
    let facts = ["EventDrafted-1-most", "EventChanged-1-most", "EventCancelled-1-most"];
    let story = facts.map(event_fact);
    for upto in 0..=story.len() {
        let record = record("event-evt_01jd55pv3xft7r28t5cy4tqk80", "Any", vec![]);
        assert_eq!(feed::of_event(&record, story[..upto].to_vec()), []);
    }
}

#[test]
fn header_names_are_those_of_the_binding() {
    for message in told().iter().flat_map(|(_, messages)| messages) {
        for (name, value) in message.headers() {
            // CloudEvents 1.0, "Attribute Naming Convention".
            let attribute = name.strip_prefix("ce_").unwrap_or("");
            let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let is_attribute =
                (1..=20).contains(&attribute.len()) && attribute.chars().all(is_legal);
            assert!(is_attribute || name == "content-type", "{name}");
            assert!(!value.is_empty(), "{name}");
        }
    }
    assert_eq!(Topic::ALL.map(Topic::name).len(), 4);
}
