//! A producer and topics in a real Kafka that comes and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use infra::kafka::testing::Broker;
use infra::kafka::{
    Deliveries, Failed, Kafka, Link, Outgoing, Producer, TopicSettings, TopicsError,
};
use parking_lot::Mutex;

use crate::wait::until;

const TOPIC: &str = "test.topic";
const KEYS: usize = 20;

/// What became of messages.
#[derive(Default)]
struct Fate {
    arrived: Mutex<BTreeSet<usize>>,
    failed: Mutex<Option<Failed>>,
}

impl Deliveries for Fate {
    fn acknowledged(&self, number: usize) {
        assert!(self.arrived.lock().insert(number), "{number} twice");
    }

    fn failed(&self, _: usize, why: Failed) {
        *self.failed.lock() = Some(why);
    }
}

impl Fate {
    async fn arrives(&self, count: usize) {
        until("messages arrive", async || {
            let failed = self.failed.lock().clone();
            assert!(failed.is_none(), "{failed:?}");
            self.arrived.lock().len() >= count
        })
        .await;
    }
}

/// Sends messages with these numbers, each key's in turn.
fn send(producer: &Producer, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let (key, payload) = (format!("key-{}", number % KEYS), number.to_string());
        let headers = [("name", format!("value {number}"))];
        let message = Outgoing {
            number,
            topic: TOPIC,
            key: &key,
            headers: &headers,
            payload: payload.as_bytes(),
        };
        producer.send(&message).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_whatever_becomes_of_the_broker() {
    let Some(mut broker) = Broker::start().await else { return };
    let settings = TopicSettings { partitions: 4, replication: None };
    let kafka = Kafka::open(&broker.address(), &Link::default(), settings).unwrap();
    assert!(kafka.is_up().await);
    kafka.ensure_topics(&[TOPIC]).await.unwrap();
    let fate = Arc::new(Fate::default());
    let producer = kafka.producer(fate.clone()).unwrap();
    send(&producer, 0..500);
    fate.arrives(100).await;
    // Brokers keep the numbers of idempotent producers alone: what is sent again is not written twice.
    let producers = ["describe-producers", "--topic", TOPIC, "--partition", "0"];
    let known = broker.tool("org.apache.kafka.tools.TransactionsCommand", &producers);
    let is_number =
        |line: &str| line.split('\t').next().is_some_and(|id| id.trim().parse::<u64>().is_ok());
    assert!(known.lines().any(is_number), "{known}");
    broker.process.kill();
    send(&producer, 500..1_000);
    until("Kafka is away", async || !kafka.is_up().await).await;
    broker.restart().await;
    fate.arrives(1_000).await;
    broker.process.freeze();
    send(&producer, 1_000..1_500);
    until("Kafka is away", async || !kafka.is_up().await).await;
    broker.process.thaw();
    until("Kafka is back", async || kafka.is_up().await).await;
    fate.arrives(1_500).await;
    producer.close().await;

    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for message in broker.read(TOPIC) {
        let number = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
        assert_eq!(message.headers["name"], format!("value {number}"));
        by_key.entry(message.key).or_default().push(number);
    }
    assert_eq!(by_key.len(), KEYS);
    for (key, numbers) in by_key {
        let first = key.strip_prefix("key-").unwrap().parse().unwrap();
        assert_eq!(numbers, (first..1_500).step_by(KEYS).collect::<Vec<_>>(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_as_told_or_it_is_said_what_is_missing() {
    let Some(broker) = Broker::start().await else { return };
    let too_many = TopicSettings { partitions: 1, replication: Some(3) };
    let kafka = Kafka::open(&broker.address(), &Link::default(), too_many).unwrap();
    let refused = kafka.ensure_topics(&[TOPIC]).await.unwrap_err();
    let TopicsError::Missing { topic, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(topic, TOPIC);
    assert!(refused.to_string().contains("test.topic is missing"), "{refused}");

    let one = TopicSettings { partitions: 3, replication: Some(1) };
    let kafka = Kafka::open(&broker.address(), &Link::default(), one).unwrap();
    for _ in 0..2 {
        kafka.ensure_topics(&[TOPIC]).await.unwrap();
    }
    let described = broker.tool("org.apache.kafka.tools.TopicCommand", &["--describe"]);
    assert!(described.contains("PartitionCount: 3"), "{described}");
    // Who wants it otherwise finds it there.
    let kafka = Kafka::open(&broker.address(), &Link::default(), too_many).unwrap();
    kafka.ensure_topics(&[TOPIC]).await.unwrap();

    let producer = kafka.producer(Arc::new(Fate::default())).unwrap();
    let payload = vec![b'x'; 2 << 20];
    let message = Outgoing { number: 0, topic: TOPIC, key: "key", headers: &[], payload: &payload };
    assert!(producer.send(&message).unwrap_err().is_too_large());
    producer.close().await;
}

#[tokio::test]
async fn nobody_waits_for_brokers_that_are_not_there() {
    let kafka = Kafka::open("127.0.0.1:1", &Link::default(), TopicSettings::default()).unwrap();
    assert!(!kafka.is_up().await);
    let away = kafka.ensure_topics(&[TOPIC]).await;
    assert!(matches!(away, Err(TopicsError::Away(_))), "{away:?}");
    let fate = Arc::new(Fate::default());
    let producer = kafka.producer(fate.clone()).unwrap();
    send(&producer, 0..10);
    producer.close().await;
    assert_eq!(fate.arrived.lock().len(), 0);
}

#[test]
fn brokers_are_named_with_their_ports() {
    for wrong in
        ["", "localhost", "localhost:", ":9092", "a:9092,", "a:port", "a b:1", "http://a:1"]
    {
        assert!(Kafka::check(wrong).is_err(), "{wrong}");
    }
    for right in ["localhost:9092", "one.example.org:9092, two-2:9093", "[::1]:9092"] {
        Kafka::check(right).unwrap();
    }
}
