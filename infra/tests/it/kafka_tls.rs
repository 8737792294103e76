//! Brokers that are spoken to over TLS, by name and password.

use std::sync::Arc;

use infra::kafka::testing::{Broker, Secured};
use infra::kafka::{Deliveries, Failed, Kafka, Link, Login, Outgoing, Tls, TopicSettings};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::wait::until;

const TOPIC: &str = "test.topic";

struct Fate(UnboundedSender<Result<usize, Failed>>);

impl Deliveries for Fate {
    fn acknowledged(&self, number: usize) {
        let _ = self.0.send(Ok(number));
    }

    fn failed(&self, _: usize, why: Failed) {
        let _ = self.0.send(Err(why));
    }
}

/// Certificate, and key with certificate, of a machine called `localhost`.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let both = made.signing_key.serialize_pem() + &certificate;
    (certificate, both)
}

fn link(authorities: &str, user: &str, password: &str) -> Link {
    let login = Login { user: user.to_owned(), password: password.to_owned() };
    let tls = Tls { authorities: Some(authorities.to_owned()), login: Some(login) };
    Link { tls: Some(tls) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_over_tls_and_nobody_is_taken_for_another() {
    let (certificate, identity) = identity();
    let secured = Secured { identity: &identity, user: "feed", password: "s3cret" };
    let Some(broker) = Broker::start_secured(secured).await else { return };
    let settings = TopicSettings { partitions: 1, replication: Some(1) };
    let right = link(&certificate, "feed", "s3cret");
    let at = broker.secured_address();
    let kafka = Kafka::open(&at, &right, settings).unwrap();
    until("the broker lets it in", async || kafka.is_up().await).await;
    kafka.ensure_topics(&[TOPIC]).await.unwrap();
    let (told, mut fates) = unbounded_channel();
    let producer = kafka.producer(Arc::new(Fate(told))).unwrap();
    let message = Outgoing { number: 7, topic: TOPIC, key: "key", headers: &[], payload: b"said" };
    producer.send(&message).unwrap();
    assert_eq!(fates.recv().await.unwrap().unwrap(), 7);
    producer.close().await;
    assert_eq!(broker.read(TOPIC)[0].payload, b"said");

    let nobody = Tls { authorities: Some(certificate.clone()), login: None };
    let by_address = at.replace("localhost", "127.0.0.1");
    let strangers = [
        ("another password", &at, link(&certificate, "feed", "guess")),
        ("nobody it knows", &at, link(&certificate, "other", "s3cret")),
        ("no name", &at, Link { tls: Some(nobody) }),
        ("in plain text", &at, Link::default()),
        ("whom nobody here vouches for", &at, link(&self::identity().0, "feed", "s3cret")),
        ("of another name", &by_address, right.clone()),
    ];
    // At once: each tries for ten seconds.
    let turned_away = strangers.into_iter().map(async |(what, at, wrong)| {
        let kafka = Kafka::open(at, &wrong, settings).unwrap();
        assert!(!kafka.is_up().await, "{what}");
        assert!(kafka.ensure_topics(&[TOPIC]).await.is_err(), "{what}");
    });
    futures::future::join_all(turned_away).await;
    until("it still lets in whom it knows", async || kafka.is_up().await).await;
}

#[test]
fn authorities_that_are_none_are_refused() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", broken] {
        let refused = Kafka::open("localhost:1", &link(pem, "a", "b"), TopicSettings::default());
        assert!(refused.is_err(), "{pem}");
    }
}
