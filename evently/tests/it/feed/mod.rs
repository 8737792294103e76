//! The feed into a real Kafka that comes and goes, from processes that are killed (OP-3).

mod told;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use infra::kafka::testing::Broker;
use infra::log::embedded::EmbeddedLog;
use infra::log::{Log, Position};
use infra::postgres::testing;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::run_on;
use crate::crowd::{Dice, Shopper};
use crate::fleet::Fleet;
use crate::people::{Gate, Sale};
use crate::server::Server;
use crate::serving::{dependency_is, get, until};
use crate::shop::Shop;
use crate::story::Story;
pub(crate) use told::everything_arrived;
use told::{TOPICS, found};

/// A crowd that buys until it is told to stop.
struct Crowd {
    people: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Crowd {
    async fn comes(gate: &Arc<Gate>, seed: u64) -> Self {
        let (mut people, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for event in 0..3 {
            let sale = Sale::open(gate, 30, 20, 2).await;
            for person in 0..6 {
                let dice = Dice(seed + event * 100 + person);
                let (gate, sale, stop) = (gate.clone(), sale.clone(), stop.clone());
                people.spawn(Shopper { dice, gate, sale, stop }.shop());
            }
        }
        Self { people, stop }
    }

    /// All go home.
    async fn goes_home(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.people.join_next().await {
            ended.unwrap();
        }
    }

    /// All go home, and what they left comes to its end.
    async fn goes(self, log: &Path) {
        self.goes_home().await;
        until("holds and payments have come to their end", async || {
            Story::read(log).await.is_at_rest()
        })
        .await;
    }
}

async fn head(log: &Path) -> Position {
    let log = EmbeddedLog::open_read_only(log).unwrap();
    let head = log.head().await.unwrap();
    log.close().await;
    head
}

/// Waits until so many records more are in the log.
async fn grows(log: &Path, records: u64) {
    let end = head(log).await.0 + records;
    until("people go on buying", async || head(log).await.0 >= end).await;
}

/// How the feed is, by a process with this data that has its keys there.
pub(crate) async fn status(data: &Path, shared: &Path) -> Value {
    status_with(data, &["--shared", shared.to_str().unwrap()]).await
}

async fn status_with(data: &Path, more: &[&str]) -> Value {
    let args = [&["feed", "status", "--json"], more].concat();
    let (status, out, err) = run_on(data, &args).await;
    assert_eq!(status, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

/// Waits until the brokers have everything.
pub(crate) async fn is_fed(data: &Path, shared: &Path) -> Value {
    until("the brokers have everything", async || {
        let status = status(data, shared).await;
        status["lag_records"] == 0 && status["position"] == status["head"]
    })
    .await;
    status(data, shared).await
}

pub(crate) async fn figure(server: &Server, name: &str) -> f64 {
    let figures = reqwest::get(server.url("/metrics")).await.unwrap().text().await.unwrap();
    let line = figures.lines().find(|line| line.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in:\n{figures}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// It is killed, and starts again.
async fn lose(server: &mut Server, gate: &Gate) {
    server.kill().await;
    gate.moved(None);
    server.restart().await;
    gate.moved(Some(server.address()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_arrives_in_order_whatever_is_killed() {
    let Some(postgres) = testing::server() else { return };
    let Some(mut broker) = Broker::start().await else { return };
    let (brokers, database) = (broker.address(), postgres.empty_database().await);
    let args = ["--kafka-brokers", &brokers, "--database-url", &database];
    let mut server = Server::start_with(&args).await;
    let (gate, log) = (Gate::new(&server), server.data().join("log.sqlite"));
    let crowd = Crowd::comes(&gate, 1).await;
    until("the feed has begun", async || !broker.read("evently.booking").is_empty()).await;
    for round in 0..2 {
        grows(&log, 50).await;
        broker.process.kill();
        grows(&log, 50).await;
        if round == 0 {
            // With messages under way that nobody has, for so long that others would be noted as sent.
            grows(&log, 100).await;
            lose(&mut server, &gate).await;
        }
        broker.restart().await;
        // In the midst of catching up.
        lose(&mut server, &gate).await;
        grows(&log, 50).await;
        broker.process.freeze();
        grows(&log, 50).await;
        if round == 1 {
            // With messages under way that the broker has and nobody will hear of.
            lose(&mut server, &gate).await;
        }
        broker.process.thaw();
    }
    crowd.goes_home().await;
    // Payments that were cut off are settled half a minute later, and nobody waits for them: what is in
    // the log when it stops has to be there.
    let data = server.data();
    until("all there is has arrived when it stops", async || {
        is_fed(&data, &data).await;
        assert!(server.stop().await.success());
        let stopped = status_with(&data, &["--database-url", &database]).await;
        let is_all = stopped["position"] == stopped["head"];
        if !is_all {
            server.restart().await;
        }
        is_all
    })
    .await;
    let found = everything_arrived(&broker, &log).await;
    assert!(found.messages > 400, "{}", found.messages);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_projector_goes_on_where_one_was_killed() {
    let Some(broker) = Broker::start().await else { return };
    let address = broker.address();
    let Some(mut fleet) = Fleet::start_with(2, &["--kafka-brokers", &address]).await else {
        return;
    };
    let (gate, log) = (Gate::with(fleet.doors(), fleet.shared()), fleet.log_file());
    let crowd = Crowd::comes(&gate, 2).await;
    for round in 0..4 {
        grows(&log, 100).await;
        // One of them feeds.
        let projector = &mut fleet.projectors[round % 2];
        projector.kill().await;
        grows(&log, 50).await;
        projector.restart().await;
    }
    crowd.goes(&log).await;
    is_fed(&fleet.projectors[0].data(), fleet.shared()).await;
    everything_arrived(&broker, &log).await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_broker_delays_the_feed_and_nothing_else() {
    let Some(mut broker) = Broker::start().await else { return };
    broker.process.kill();
    let mut server = Server::start_with(&["--kafka-brokers", &broker.address()]).await;
    let (data, log) = (server.data(), server.data().join("log.sqlite"));
    let shop = Shop::open(&server, 20).await;
    shop.sell(1).await;
    dependency_is(&server, "kafka", "down").await;
    let ready = get(&server, "/health/ready").await;
    assert_eq!(ready["status"], "degraded");
    let late = status(&data, &data).await;
    assert_eq!((&late["position"], &late["brokers_answer"]), (&json!(0), &json!(false)));
    assert!(late["lag_records"].as_u64() > Some(3), "{late}");
    assert_eq!(figure(&server, "evently_kafka_up").await, 0.0);
    assert!(figure(&server, "evently_feed_lag_records").await > 3.0);

    broker.restart().await;
    is_fed(&data, &data).await;
    dependency_is(&server, "kafka", "up").await;
    everything_arrived(&broker, &log).await;
    broker.process.freeze();
    shop.sell(2).await;
    dependency_is(&server, "kafka", "down").await;
    shop.sell(3).await;
    broker.process.thaw();
    is_fed(&data, &data).await;
    dependency_is(&server, "kafka", "up").await;
    broker.process.kill();
    shop.sell(4).await;
    dependency_is(&server, "kafka", "down").await;
    // Nobody waits for what does not come.
    drop(shop);
    assert!(server.stop().await.success());
    broker.restart().await;
    server.restart().await;
    is_fed(&data, &data).await;
    everything_arrived(&broker, &log).await;
    let log = server.log();
    assert!(log.contains("no Kafka broker answers"), "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_brokers_refuse_is_told_of_and_waited_for() {
    let Some(broker) = Broker::start().await else { return };
    let mut server = Server::start_with(&["--kafka-brokers", &broker.address()]).await;
    let (data, log) = (server.data(), server.data().join("log.sqlite"));
    let shop = Shop::open(&server, 20).await;
    shop.sell(1).await;
    let fed = is_fed(&data, &data).await;
    // No message is so small.
    broker.set("evently.payment", "max.message.bytes", "100").await;
    shop.sell(2).await;
    until("it is said what is wrong", async || {
        let status = status(&data, &data).await;
        status["problem"].as_str().is_some_and(|why| why.contains("Kafka does not take a message"))
    })
    .await;
    shop.sell(3).await;
    let told = broker.read("evently.payment").len();
    broker.set("evently.payment", "max.message.bytes", "1000000").await;
    let all = is_fed(&data, &data).await;
    assert_eq!(all["problem"], Value::Null);
    assert!(all["position"].as_u64() > fed["position"].as_u64());
    assert_eq!(told, 2, "of what was refused nothing was told");
    everything_arrived(&broker, &log).await;
    drop(shop);
    assert!(server.stop().await.success());
    let lines = server.log();
    for said in ["the feed falls behind", "the feed goes on"] {
        assert!(lines.contains(said), "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_sent_is_sent_again_when_somebody_asks_for_it() {
    let Some(broker) = Broker::start().await else { return };
    let args = ["--kafka-brokers", &broker.address(), "--kafka-partitions", "3"];
    let mut server = Server::start_with(&args).await;
    let (data, log) = (server.data(), server.data().join("log.sqlite"));
    let shop = Shop::open(&server, 20).await;
    for buyer in 1..=5 {
        let booking = shop.reserve(buyer, 1).await;
        shop.confirm(buyer, &booking).await;
    }
    drop(shop);
    let fed = is_fed(&data, &data).await;
    let first = everything_arrived(&broker, &log).await;
    assert_eq!(first.repeated, 0);
    // Published, opened; held, started, confirmed with its payment, for each of five.
    assert_eq!(first.messages, 2 + 5 * 4);
    assert_eq!(stock_client(&broker), first.messages);

    let last = fed["position"].as_u64().unwrap();
    let replay = async |from: u64| {
        run_on(&data, &["feed", "replay", "--json", "--from", &from.to_string()]).await
    };
    let (code, _, err) = replay(last + 1_000).await;
    assert_eq!(code, 1);
    assert!(err.contains("only what was sent can be sent again"), "{err}");
    // The last two records: a payment that started, and a confirmation of two messages.
    let (code, out, err) = replay(last - 2).await;
    assert_eq!(code, 0, "{err}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["from"], last - 2);
    // That it was ordered stands behind.
    assert!(out["position"].as_u64().unwrap() >= last, "{out}");
    until("they are there again", async || found(&broker).repeated == 3).await;
    is_fed(&data, &data).await;

    assert!(server.stop().await.success());
    let (code, _, err) = replay(0).await;
    assert_eq!(code, 0, "{err}");
    let offline = status(&data, &data).await;
    assert_eq!((&offline["position"], &offline["brokers_answer"]), (&json!(0), &Value::Null));
    server.restart().await;
    is_fed(&data, &data).await;
    let all = everything_arrived(&broker, &log).await;
    assert_eq!((all.messages, all.repeated), (2 * first.messages + 3, first.messages + 3));
}

/// How many messages the consumer has that comes with Kafka. All are what CloudEvents says of them.
fn stock_client(broker: &Broker) -> usize {
    let mut count = 0;
    for topic in TOPICS {
        let messages = broker.read(topic).len();
        let most = messages.to_string();
        let mut args = vec!["--topic", topic, "--from-beginning", "--max-messages", &most];
        args.extend(["--timeout-ms", "60000"]);
        args.extend(["--property", "print.headers=true", "--property", "print.key=true"]);
        if messages == 0 {
            continue;
        }
        let printed = broker.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &args);
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(lines.len(), messages, "{printed}");
        for line in lines {
            let [headers, key, value] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            for header in
                ["ce_specversion:1.0", "ce_source:/evently", "content-type:application/json"]
            {
                assert!(headers.split(',').any(|one| one == header), "{headers}");
            }
            assert!(headers.contains(&format!("ce_type:{topic}.")), "{headers}");
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(value["event_id"], key);
            count += 1;
        }
    }
    count
}
