//! What readers of the feed have to find, by the log as an outsider reads it, and what they find.
//!
//! What is expected is told from the stored JSON by a table of its own: nothing of what feeds is asked.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use infra::kafka::testing::{Broker, Received};
use infra::log::embedded::EmbeddedLog;
use infra::log::{Log, Position, Record};
use serde_json::Value;

pub(super) const TOPICS: [&str; 4] =
    ["evently.booking", "evently.event", "evently.payment", "evently.waitlist"];

/// Of each topic and event the ids of messages with their types, in order.
pub(super) type Told = BTreeMap<(String, String), Vec<(String, String)>>;

/// What is to be told of everything in the log.
pub(super) async fn expected(log: &Path) -> Told {
    let log = EmbeddedLog::open_read_only(log).unwrap();
    let records = log.read_all(Position(0), usize::MAX).await.unwrap();
    log.close().await;
    let mut told = Told::new();
    for record in &records {
        let Some((category, event)) = record.stream.split_once('-') else { continue };
        for kind in kinds(category, record) {
            let noun = kind.split('.').next().unwrap();
            let place = (format!("evently.{noun}"), event.to_owned());
            let message = (format!("{}/{noun}", record.id), format!("evently.{kind}.v1"));
            told.entry(place).or_default().push(message);
        }
    }
    told
}

fn kinds(category: &str, record: &Record) -> Vec<&'static str> {
    let data: Value = serde_json::from_slice(&record.data).unwrap();
    let has = |member: &str| !data[member].is_null();
    let mut kinds = match (category, &*record.kind) {
        ("event", "EventPublished") => vec!["event.published"],
        ("inventory", "InventoryOpened") => vec!["event.stock_opened"],
        ("inventory", "Reserved") => vec!["booking.reserved"],
        ("inventory", "Offered") => vec!["booking.offered", "waitlist.offered"],
        ("inventory", "PaymentStarted") => vec!["payment.started"],
        ("inventory", "PaymentFailed") => vec!["payment.failed"],
        ("inventory", "Confirmed") => vec!["booking.confirmed"],
        ("inventory", "Reinstated") => vec!["booking.reinstated"],
        ("inventory", "Expired") => vec!["booking.expired"],
        ("inventory", "Cancelled") => vec!["booking.cancelled"],
        ("inventory", "RefundDue") => vec!["payment.refund_due"],
        ("inventory", "Refunded") => vec!["payment.refunded"],
        ("inventory", "WaitlistJoined") => vec!["waitlist.joined"],
        ("inventory", "WaitlistLeft") => vec!["waitlist.left"],
        ("inventory", other) => panic!("nobody here does what leads to {other}"),
        _ => vec![],
    };
    match &*record.kind {
        "Confirmed" if has("payment") => kinds.push("payment.succeeded"),
        "Cancelled" if has("payment") && data["refund_minor"] != 0 => {
            kinds.push("payment.refund_due")
        }
        _ => {}
    }
    match &*record.kind {
        "Confirmed" if has("waitlist") => kinds.push("waitlist.served"),
        "Expired" | "Cancelled" if has("waitlist") => kinds.push("waitlist.lapsed"),
        _ => {}
    }
    kinds
}

/// What readers found.
pub(crate) struct Found {
    /// The first of each id.
    pub(super) told: Told,
    /// All of them.
    pub(super) messages: usize,
    /// Those that came before.
    pub(super) repeated: usize,
}

/// Everything in the topics. A message that comes again is the same again, and an event's messages are
/// all in one part of a topic.
pub(super) fn found(broker: &Broker) -> Found {
    let mut found = Found { told: Told::new(), messages: 0, repeated: 0 };
    for topic in TOPICS {
        let mut first: HashMap<String, Received> = HashMap::new();
        let mut parts: HashMap<String, i32> = HashMap::new();
        for message in broker.read(topic) {
            found.messages += 1;
            let part = *parts.entry(message.key.clone()).or_insert(message.partition);
            assert_eq!(part, message.partition, "{message:?}");
            let id = message.headers["ce_id"].clone();
            if let Some(first) = first.get(&id) {
                found.repeated += 1;
                let offset = first.offset;
                assert_eq!(*first, Received { offset, ..message });
                continue;
            }
            let place = (topic.to_owned(), message.key.clone());
            let kind = message.headers["ce_type"].clone();
            found.told.entry(place).or_default().push((id.clone(), kind));
            first.insert(id, message);
        }
    }
    found
}

/// Everything arrived, in order for each event; what was found.
pub(crate) async fn everything_arrived(broker: &Broker, log: &Path) -> Found {
    let (expected, found) = (expected(log).await, found(broker));
    for (place, expected) in &expected {
        let found = found.told.get(place).map_or(&[][..], Vec::as_slice);
        let same = expected.iter().zip(found).take_while(|(one, other)| one == other).count();
        assert!(
            expected == found,
            "{place:?}: {} expected, {} found, the first {same} are the same, then {:?} and {:?}",
            expected.len(),
            found.len(),
            expected.get(same),
            found.get(same),
        );
    }
    assert_eq!(found.told.len(), expected.len());
    println!("{} messages, {} of them repeated", found.messages, found.repeated);
    found
}
