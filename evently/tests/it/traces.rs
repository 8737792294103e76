//! Traces: what one booking led to, as a collector sees it (OP-2).

use std::path::Path;

use infra::auth::Role;
use infra::kafka::testing::{Broker, Received};
use reqwest::{Client, Method};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::cli::run_on;
use crate::collector::{Collector, Span};
use crate::fleet::Fleet;
use crate::server::Server;
use crate::serving::{free_port, get, until};
use crate::shop::{Shop, answer, user};

const RESERVING: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CONFIRMING: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "00f067aa0ba902b7";

/// Somebody holds two places and pays, each as part of a trace that they began; the booking's id.
async fn buy(shop: &Shop<'_>, flags: &str) -> String {
    let part_of = |trace: &str| format!("00-{trace}-{CLIENT}-{flags}");
    let body = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 2});
    let ask = shop.ask(Method::POST, "/bookings/reserve", 7, &[Role::Attendee]).json(&body);
    let booking = answer(ask.header("traceparent", part_of(RESERVING)), 201).await;
    let booking = booking["booking_id"].as_str().unwrap().to_owned();
    let body = json!({"booking_id": booking, "payment_token": "tok_success"});
    let ask = shop.ask(Method::POST, "/bookings/confirm", 7, &[Role::Attendee]).json(&body);
    answer(ask.header("traceparent", part_of(CONFIRMING)), 200).await;
    booking
}

/// The one span of a trace with this name.
fn one<'a>(spans: &'a [Span], trace: &str, name: &str) -> &'a Span {
    let found: Vec<_> =
        spans.iter().filter(|span| (&*span.trace, &*span.name) == (trace, name)).collect();
    let [span] = found[..] else { panic!("{} spans {name}: {spans:#?}", found.len()) };
    span
}

/// Metadata of the records of these kinds, with the ids of the records.
fn written(log: &Path, kind: &str) -> (String, Value) {
    let log = Connection::open(log.join("log.sqlite")).unwrap();
    let select = "SELECT lower(hex(r.id)), r.metadata FROM records r \
                  JOIN kinds k ON k.id = r.kind WHERE k.name = ?1";
    let row = log.query_row(select, [kind], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let (id, metadata) = row.unwrap();
    (id, serde_json::from_str(&metadata).unwrap())
}

/// Everything that a trace of a reservation has, from the client to the views.
fn check_reserving(spans: &[Span], log: &Path) {
    let request = one(spans, RESERVING, "POST /api/v1/bookings/reserve");
    assert_eq!((&*request.parent, request.kind, request.is_error), (CLIENT, 2, false));
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/bookings/reserve"),
        ("http.response.status_code", "201"),
    ] {
        assert_eq!(request.attributes[key], value, "{request:?}");
    }
    let command = one(spans, RESERVING, "inventory Reserve");
    assert_eq!(command.parent, request.id);
    assert_eq!(command.attributes["evently.outcome"], "done");
    assert_eq!(one(spans, RESERVING, "mailbox wait").parent, command.id);
    let append = one(spans, RESERVING, "append");
    assert_eq!(append.parent, command.id);
    assert_eq!(append.links, [(RESERVING.to_owned(), command.id.clone())]);
    assert_eq!(append.attributes["evently.outcome"], "written");
    // What the record says is all that the views know of it.
    let (_, metadata) = written(log, "Reserved");
    assert_eq!(metadata["trace"], format!("00-{RESERVING}-{}-01", command.id));
    for view in ["audit", "availability", "bookings"] {
        let applied = one(spans, RESERVING, &format!("apply {view}"));
        assert_eq!((&applied.parent, applied.kind), (&command.id, 5));
        assert_eq!(applied.attributes["evently.record.kind"], "Reserved");
    }
}

/// What a payment adds to that.
fn check_confirming(spans: &[Span], log: &Path) {
    let request = one(spans, CONFIRMING, "POST /api/v1/bookings/confirm");
    let provider = one(spans, CONFIRMING, "payment provider charge");
    assert_eq!((&provider.parent, provider.kind), (&request.id, 3));
    assert_eq!(provider.attributes["evently.outcome"], "succeeded");
    for command in ["inventory StartPayment", "inventory SettlePayment"] {
        assert_eq!(one(spans, CONFIRMING, command).parent, request.id);
    }
    let (started, _) = written(log, "PaymentStarted");
    let (_, confirmed) = written(log, "Confirmed");
    let because = confirmed["causation"].as_str().unwrap().replace('-', "");
    assert_eq!(because, started, "it was confirmed because of the payment");
    let settled = one(spans, CONFIRMING, "inventory SettlePayment");
    assert_eq!(confirmed["trace"], format!("00-{CONFIRMING}-{}-01", settled.id));
}

#[tokio::test]
async fn one_trace_leads_from_the_request_through_the_log_to_the_views() {
    let collector = Collector::start().await;
    // None but those that clients began and want to be kept.
    let args = ["--otel-exporter-otlp-endpoint", &collector.url, "--otel-traces-sampler-arg", "0"];
    let mut server = Server::start_with(&args).await;
    let shop = Shop::open(&server, 10).await;
    let booking = buy(&shop, "01").await;
    let mine = shop.ask(Method::GET, &format!("/bookings/{booking}"), 7, &[Role::Attendee]);
    until("it is shown as bought", async || {
        let shown = mine.try_clone().unwrap().send().await.unwrap();
        shown.json::<Value>().await.unwrap()["status"] == "confirmed"
    })
    .await;
    until("all views have it", async || {
        let figures = Client::new().get(server.url("/metrics")).send().await.unwrap();
        let figures = figures.text().await.unwrap();
        let mut lags = figures.lines().filter(|line| line.starts_with("evently_projection_lag_r"));
        lags.all(|line| line.ends_with(" 0"))
    })
    .await;
    let event = shop.event.clone();
    drop((shop, mine));
    // What was not sent before is sent at the end.
    assert!(server.stop().await.success());
    let (spans, data) = (collector.spans(), server.data());
    check_reserving(&spans, &data);
    check_confirming(&spans, &data);
    // The inventory was opened because of the event's publication.
    let (published, _) = written(&data, "EventPublished");
    let (_, opened) = written(&data, "InventoryOpened");
    assert_eq!(opened["causation"].as_str().unwrap().replace('-', ""), published);
    for span in &spans {
        assert!([RESERVING, CONFIRMING].contains(&&*span.trace), "nobody wants it: {span:?}");
        assert_eq!(span.service, "evently");
        let told = format!("{span:?}");
        for personal in [&user(7).to_string(), &booking, "tok_success", "127.0.0.1"] {
            assert!(!told.contains(personal), "{told}");
        }
    }
    let command = one(&spans, RESERVING, "inventory Reserve");
    assert_eq!(command.attributes["evently.event_id"], event);
    let (status, out, err) = run_on(&data, &["audit", "verify"]).await;
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
}

#[tokio::test]
async fn a_trace_goes_on_in_other_processes() {
    let collector = Collector::start().await;
    let args = ["--otel-exporter-otlp-endpoint", &collector.url, "--otel-traces-sampler-arg", "0"];
    let Some(mut fleet) = Fleet::start_with(1, &args).await else { return };
    let shop = Shop::open(&fleet.commands[0], 10).await;
    buy(&shop, "01").await;
    drop(shop);
    // Those that a busy machine keeps waiting send at intervals.
    until("the views have it", async || {
        let spans = collector.spans();
        ["audit", "availability", "bookings"].iter().all(|view| {
            spans.iter().any(|span| span.trace == RESERVING && span.name == format!("apply {view}"))
        })
    })
    .await;
    fleet.stop().await;
    let spans = collector.spans();
    check_reserving(&spans, &fleet.log.data());
    check_confirming(&spans, &fleet.log.data());
    let service = |name: &str| one(&spans, RESERVING, name).service.as_str();
    assert_eq!(service("append"), "evently-command-api");
    assert_eq!(service("apply bookings"), "evently-projector");
}

#[tokio::test]
async fn a_trace_leads_to_what_kafka_is_told_until_kafka_has_it() {
    let Some(broker) = Broker::start().await else { return };
    let (collector, brokers) = (Collector::start().await, broker.address());
    let args = ["--otel-exporter-otlp-endpoint", &collector.url, "--otel-traces-sampler-arg", "0"];
    let args = [&args[..], &["--kafka-brokers", &brokers]].concat();
    let mut server = Server::start_with(&args).await;
    let shop = Shop::open(&server, 10).await;
    until("the feed has begun", async || !broker.read("evently.event").is_empty()).await;
    broker.process.freeze();
    buy(&shop, "01").await;
    drop(shop);
    let is_applied = |view: &str| {
        let name = format!("apply {view}");
        collector.spans().iter().any(|span| span.trace == CONFIRMING && span.name == name)
    };
    until("the views have it", async || is_applied("bookings")).await;
    assert!(!is_applied("feed"), "nobody acknowledged it");
    broker.process.thaw();
    until("Kafka has it", async || is_applied("feed")).await;
    assert!(server.stop().await.success());
    let spans = collector.spans();
    let command = one(&spans, RESERVING, "inventory Reserve");
    let told = one(&spans, RESERVING, "apply feed");
    assert_eq!((&told.parent, told.kind, told.is_error), (&command.id, 5, false));
    assert_eq!(told.attributes["evently.projection"], "feed");
    assert_eq!(told.attributes["evently.record.kind"], "Reserved");
    // Readers can go on with it.
    let (id, metadata) = written(&server.data(), "Reserved");
    let messages = broker.read("evently.booking");
    let is_of_it = |message: &&Received| message.headers["ce_id"].replace('-', "").starts_with(&id);
    let message = messages.iter().find(is_of_it).unwrap();
    assert_eq!(message.headers["ce_traceparent"], metadata["trace"]);
}

#[tokio::test]
async fn a_trace_that_is_not_kept_is_passed_on_and_without_a_collector_there_is_none() {
    let collector = Collector::start().await;
    let args = ["--otel-exporter-otlp-endpoint", &collector.url, "--otel-traces-sampler-arg", "0"];
    let mut server = Server::start_with(&args).await;
    buy(&Shop::open(&server, 10).await, "00").await;
    assert!(server.stop().await.success());
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
    let (_, reserved) = written(&server.data(), "Reserved");
    assert_eq!(reserved["trace"], format!("00-{RESERVING}-{CLIENT}-00"));

    let mut server = Server::start().await;
    buy(&Shop::open(&server, 10).await, "01").await;
    assert!(server.stop().await.success());
    assert!(written(&server.data(), "Reserved").1.get("trace").is_none());
}

#[tokio::test]
async fn a_collector_that_is_gone_or_stands_still_costs_spans_and_nothing_else() {
    // Connections are taken by the operating system, and nobody reads what comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().map(|address| (address.port(), silent)).unwrap();
    for port in [free_port(), silent.0] {
        let url = format!("http://127.0.0.1:{port}");
        let args = ["--otel-exporter-otlp-endpoint", &url, "--otel-traces-sampler", "always_on"];
        let mut server = Server::start_with(&args).await;
        let shop = Shop::open(&server, 10).await;
        buy(&shop, "01").await;
        // More than what is kept for a collector that comes back.
        for _ in 0..300 {
            get(&server, &format!("/api/v1/events/{}/availability", shop.event)).await;
        }
        assert_eq!(get(&server, "/health/ready").await["status"], "ready");
        shop.reserve(8, 1).await;
        drop(shop);
        assert!(server.stop().await.success(), "{}", server.log());
        let lines = server.log();
        let told = |what: &str| lines.lines().filter(|line| line.contains(what)).count();
        assert_eq!(told(" ERROR "), 0, "{lines}");
        assert!(told("spans") <= 2, "{lines}");
    }
}
