//! What the feed tells, as a contract: messages, their schemas, and the document of all.

mod golden;
mod parked;
mod schemas;

use std::fs;
use std::path::{Path, PathBuf};

use domain::StoredFact;
use domain::Time;
use infra::log::{ChainHash, Position, Record};
use projections::feed::{self, Message};
use uuid::Uuid;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn at_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A record with the data of a fact as some version of the program wrote it.
fn record(stream: &str, kind: &str, data: Vec<u8>) -> Record {
    Record {
        position: Position(4711),
        stream: stream.into(),
        revision: 3,
        id: Uuid::from_u128(0x0190_a1b2_c3d4_7e5f_8a9b_0c1d_2e3f_4a5b),
        kind: kind.into(),
        version: 1,
        at: Time::from_ms(1_811_878_200_001),
        metadata: format!(
            r#"{{"command":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","trace":"{TRACE}"}}"#
        )
        .into(),
        data: data.into(),
        hash: ChainHash::default(),
    }
}

/// The stored facts that the domain never forgets how to read, by their file names without the
/// suffix: `inventory-Confirmed-1-most`.
fn stored(category: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(at_root("domain/tests/golden")).unwrap();
    let mut all: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap().trim_end().as_bytes().to_vec())
        })
        .filter(|(name, _)| name.split('-').next() == Some(category))
        .collect();
    all.sort();
    all
}

fn event_fact(name: &str) -> domain::event::Fact {
    let file = at_root("domain/tests/golden").join(format!("event-{name}.json"));
    let kind = name.split('-').next().unwrap();
    StoredFact::decode(kind, 1, fs::read_to_string(file).unwrap().trim_end().as_bytes()).unwrap()
}

/// What is told of every stored fact, by a name for the case.
fn told() -> Vec<(String, Vec<Message>)> {
    let mut told = vec![];
    for (name, data) in stored("inventory") {
        let kind = name.split('-').nth(1).unwrap();
        let fact = StoredFact::decode(kind, 1, &data).unwrap();
        let stream = "inventory-evt_01jd55pv3xft7r28t5cy4tqk80";
        told.push((name.clone(), feed::of_inventory(&record(stream, kind, data), fact)));
    }
    for how in ["least", "most"] {
        let story: Vec<_> = ["EventDrafted", "EventPublished", "EventChanged", "EventCancelled"]
            .map(|kind| event_fact(&format!("{kind}-1-{how}")))
            .into();
        for upto in 1..=story.len() {
            let kind = story[upto - 1].kind();
            let record = record("event-evt_01jd55pv3xft7r28t5cy4tqk80", kind, vec![]);
            let messages = feed::of_event(&record, story[..upto].to_vec());
            told.push((format!("event-{kind}-1-{how}"), messages));
        }
    }
    told
}
