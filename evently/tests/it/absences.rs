//! Each server of a fleet stands still for a while, and is then killed for as long, while a crowd buys:
//! what it is for is missing, the rest answers, nothing acknowledged is lost, nothing is oversold, and
//! everything catches up by itself (OP-5).
//!
//! Absences last three seconds each, or as many as `EVENTLY_TEST_ABSENCE_S` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use infra::auth::Role;
use infra::kafka::testing::Broker;
use infra::postgres::testing;
use infra::redis::testing::Redis;
use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::crowd::{Dice, Shopper};
use crate::feed::{figure, status};
use crate::fleet::Fleet;
use crate::house::House;
use crate::people::{Gate, Sale};
use crate::server::Server;
use crate::serving::{dependency_is, until};
use crate::story::Story;
use crate::view_rows::Views;

const CROWD: usize = 24;

/// How long each server is missing, each time.
fn absence() -> Duration {
    let given = std::env::var("EVENTLY_TEST_ABSENCE_S").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(given.unwrap_or(3))
}

/// A fleet on servers of its own, and a crowd that buys from it.
struct Scene {
    fleet: Fleet,
    postgres: testing::Server,
    redis: Redis,
    /// What it feeds, if anything.
    broker: Option<Broker>,
    gate: Arc<Gate>,
    sale: Sale,
    /// Where nobody buys but who looks whether one can.
    quiet: Sale,
    crowd: JoinSet<()>,
    over: Arc<AtomicBool>,
    http: Client,
}

impl Scene {
    async fn open() -> Option<Self> {
        Self::feeding(None).await
    }

    async fn feeding(broker: Option<Broker>) -> Option<Self> {
        let (postgres, redis) = (testing::own_server()?, Redis::start()?);
        let (cache, brokers) = (redis.url(), broker.as_ref().map(Broker::address));
        let mut args = vec!["--redis-url", &cache];
        args.extend(brokers.iter().flat_map(|brokers| ["--kafka-brokers", brokers]));
        let fleet = Fleet::start_on(&postgres, 2, &args).await;
        let gate = Gate::with(fleet.doors(), fleet.shared());
        let sale = Sale::open(&gate, 60, 20, 1).await;
        let quiet = Sale::open(&gate, 100_000, 20, 600).await;
        let (mut crowd, over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let mut dice = Dice(infra::ids::random_u64());
        for _ in 0..CROWD {
            let dice = Dice(dice.roll(u64::MAX));
            let (gate, sale, stop) = (gate.clone(), sale.clone(), over.clone());
            crowd.spawn(Shopper { dice, gate, sale, stop }.shop());
        }
        let http = Client::new();
        let scene = Self { fleet, postgres, redis, broker, gate, sale, quiet, crowd, over, http };
        scene.all_is_well("at first").await;
        Some(scene)
    }

    /// Somebody buys at this node.
    async fn buys(&self, node: &Server) -> (StatusCode, Value) {
        let body = json!({
            "event_id": self.quiet.event, "tier_id": self.quiet.floor, "quantity": 1,
        });
        let token =
            node.token(domain::UserId::from_u128(infra::ids::random_u128()), &[Role::Attendee]);
        let ask = self.http.post(node.url("/api/v1/bookings/reserve")).bearer_auth(token);
        let answer = ask.json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn sells(&self, node: usize) {
        let (status, body) = self.buys(&self.fleet.commands[node]).await;
        assert_eq!(status, 201, "{body}");
    }

    async fn reads(&self, path: &str) -> StatusCode {
        let url = self.fleet.queries.url(&format!("/api/v1{path}"));
        self.http.get(url).send().await.unwrap().status()
    }

    /// What is answered from memory.
    async fn shows_what_is_left(&self) {
        for sale in [&self.sale, &self.quiet] {
            for what in ["availability", "seats"] {
                assert_eq!(self.reads(&format!("/events/{}/{what}", sale.event)).await, 200);
            }
        }
    }

    /// What is answered from the views, or from what was read of them.
    async fn shows_events(&self) {
        assert_eq!(self.reads(&format!("/events/{}", self.quiet.event)).await, 200);
        assert_eq!(self.reads("/events").await, 200);
    }

    /// One can buy at every node, and see at once that one did.
    async fn all_is_well(&self, when: &str) {
        for node in &self.fleet.commands {
            let mut bought = Value::Null;
            until(&format!("one can buy {when}"), async || {
                let (status, body) = self.buys(node).await;
                bought = body;
                status == 201
            })
            .await;
            let (list, position) = (self.fleet.queries.url("/api/v1/events"), &bought["position"]);
            until(&format!("the views have it {when}"), async || {
                let ask = self.http.get(&list).header("evently-min-position", position.to_string());
                ask.send().await.unwrap().status() == 200
            })
            .await;
        }
        self.shows_what_is_left().await;
        self.shows_events().await;
    }

    fn kafka(&mut self) -> &mut Broker {
        self.broker.as_mut().unwrap()
    }

    /// All that there is, one can do and see.
    async fn nothing_is_missing(&self) {
        self.sells(0).await;
        self.sells(1).await;
        self.shows_what_is_left().await;
        self.shows_events().await;
    }

    /// Health and figures tell that the feed waits for its brokers, of both projectors.
    async fn the_feed_lags(&self) {
        for projector in &self.fleet.projectors {
            dependency_is(projector, "kafka", "down").await;
            until("the figures tell it", async || {
                figure(projector, "evently_kafka_up").await == 0.0
                    && figure(projector, "evently_feed_lag_records").await > 0.0
            })
            .await;
        }
    }

    /// What was in the log before is in Kafka, though nobody did anything about it.
    async fn the_feed_catches_up(&self) {
        let (data, shared) = (self.fleet.projectors[0].data(), self.fleet.shared());
        let head = status(&data, shared).await["head"].as_u64();
        until("the feed catches up", async || {
            status(&data, shared).await["position"].as_u64() >= head
        })
        .await;
        for projector in &self.fleet.projectors {
            dependency_is(projector, "kafka", "up").await;
        }
    }

    /// As long as an absence lasts, again and again.
    async fn meanwhile(&self, holds: impl AsyncFn()) {
        let end = Instant::now() + absence();
        let mut pulse = tokio::time::interval(Duration::from_millis(200));
        while pulse.tick().await < end {
            holds().await;
        }
    }

    /// The crowd goes home, and what it was promised is held against the log.
    async fn close(mut self) {
        let log = self.fleet.log_file();
        until("somebody has paid and somebody has waited", async || {
            let story = Story::read(&log).await;
            story.count("Confirmed") > 0 && story.count("WaitlistJoined") > 0
        })
        .await;
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.crowd.join_next().await {
            ended.unwrap();
        }
        until("holds of the crowd and payments have come to their end", async || {
            let story = Story::read(&log).await;
            // Those who only looked whether one can buy let their holds stand.
            story.is_at_rest_but(&self.quiet.event)
        })
        .await;
        let views = Views::At(self.fleet.database.clone());
        let mut house = House::from(self.fleet).feeding(self.broker);
        house.has_fed_everything().await;
        views.are_same_when_rebuilt(house.server(), &self.gate).await;
        house.stop().await;
        house.verify().await;
        house.is_well();
        let (story, told) = (Story::read(&log).await, self.gate.told_since(0));
        story.bears_out(&told);
        house.settled(&story).await;
        assert!(story.count("Confirmed") > 0 && told.len() > CROWD, "{story}");
        println!("{} promises kept; {story}", told.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgresql_it_sells_and_shows_what_is_left() {
    let Some(scene) = Scene::open().await else { return };
    scene.postgres.freeze();
    scene
        .meanwhile(async || {
            scene.sells(0).await;
            scene.sells(1).await;
            scene.shows_what_is_left().await;
        })
        .await;
    scene.postgres.thaw();
    scene.all_is_well("when PostgreSQL goes on").await;
    scene.postgres.kill();
    scene
        .meanwhile(async || {
            scene.sells(0).await;
            scene.shows_what_is_left().await;
            // From memory for a few seconds, and then not.
            let shown = scene.reads("/events").await;
            assert!([200, 503].contains(&shown.as_u16()), "{shown}");
        })
        .await;
    scene.postgres.restart();
    scene.all_is_well("when PostgreSQL is back").await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nothing_is_missing() {
    let Some(mut scene) = Scene::open().await else { return };
    scene.redis.process.freeze();
    scene.meanwhile(async || scene.nothing_is_missing().await).await;
    scene.redis.process.thaw();
    scene.all_is_well("when Redis goes on").await;
    scene.redis.process.kill();
    scene.meanwhile(async || scene.nothing_is_missing().await).await;
    scene.redis.restart();
    scene.all_is_well("when Redis is back").await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_the_feed_waits_and_nothing_else() {
    let Some(broker) = Broker::start().await else { return };
    let Some(mut scene) = Scene::feeding(Some(broker)).await else { return };
    scene.the_feed_catches_up().await;
    scene.kafka().process.freeze();
    scene.meanwhile(async || scene.nothing_is_missing().await).await;
    scene.the_feed_lags().await;
    scene.kafka().process.thaw();
    scene.all_is_well("when Kafka goes on").await;
    scene.the_feed_catches_up().await;
    scene.kafka().process.kill();
    scene.meanwhile(async || scene.nothing_is_missing().await).await;
    scene.the_feed_lags().await;
    scene.kafka().restart().await;
    scene.all_is_well("when Kafka is back").await;
    scene.the_feed_catches_up().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_log_nothing_is_sold_and_reads_go_on() {
    let Some(mut scene) = Scene::open().await else { return };
    scene.fleet.log.signal(Signal::STOP);
    let reads = async |scene: &Scene| {
        scene.shows_what_is_left().await;
        scene.shows_events().await;
    };
    scene.meanwhile(async || reads(&scene).await).await;
    scene.fleet.log.signal(Signal::CONT);
    scene.all_is_well("when the log goes on").await;
    scene.fleet.log.kill().await;
    let (status, problem) = scene.buys(&scene.fleet.commands[0]).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &"LOG_UNAVAILABLE".into()), "{problem}");
    scene.meanwhile(async || reads(&scene).await).await;
    scene.fleet.log.restart().await;
    scene.all_is_well("when the log is back").await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_node_others_decide_and_without_a_projector_others_project() {
    let Some(mut scene) = Scene::open().await else { return };
    let others = async |scene: &Scene| {
        scene.sells(1).await;
        scene.shows_what_is_left().await;
        scene.shows_events().await;
    };
    for part in [&scene.fleet.commands[0], &scene.fleet.projectors[0]] {
        part.signal(Signal::STOP);
    }
    scene.meanwhile(async || others(&scene).await).await;
    for part in [&scene.fleet.commands[0], &scene.fleet.projectors[0]] {
        part.signal(Signal::CONT);
    }
    scene.all_is_well("when both go on").await;
    scene.fleet.commands[0].kill().await;
    scene.fleet.projectors[0].kill().await;
    scene.meanwhile(async || others(&scene).await).await;
    scene.fleet.commands[0].restart().await;
    scene.fleet.projectors[0].restart().await;
    scene.gate.has(scene.fleet.doors());
    scene.all_is_well("when both are back").await;
    scene.close().await;
}
