use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bench::baseline::http;
use bench::load::{Expected, Load, LoadError, Outcome, Pace, Requests};
use bench::server::Server;
use tokio::runtime::Runtime;

const BODY: &str = r#"{"event_id":"evt_01jd2yc5f9e7kbg4v1rm0n8wq3","tier_id":"tier_01jd2yc5f9e7kbg4v1rm0n8wq4","quantity":1}"#;

fn load(connections: usize, pace: Pace) -> Load {
    let duration = Duration::from_millis(300);
    Load { connections, threads: 2, warm_up: Duration::ZERO, duration, pace }
}

fn put(router: Router, load: Load, body: &str) -> Result<Outcome, LoadError> {
    let runtime = Runtime::new().expect("threads");
    let requests = requests(body);
    let server = Server::start(&runtime, router).expect("a free port");
    let outcome = load.run(&[server.address], &requests);
    server.stop(&runtime).expect("it was serving");
    outcome
}

fn requests(body: &str) -> Arc<Requests> {
    let expected = Expected { status: 200, begins: "{\"event_id\"" };
    Arc::new(Requests::post("/r", &["t".to_owned()], &[body.to_owned()], 0, expected))
}

#[test]
fn a_closed_loop_counts_every_answer() {
    let outcome = put(http::echo("/r"), load(3, Pace::Closed), BODY).unwrap();
    assert!(outcome.answers > 3);
    assert_eq!(outcome.answers, outcome.latency_us.len());
    assert!((outcome.rate * 0.3 - outcome.answers as f64).abs() < 1e-6);
}

#[test]
fn a_wrong_answer_ends_the_load_and_is_shown() {
    let error = put(http::echo("/r"), load(3, Pace::Closed), "{}").unwrap_err();
    let LoadError::Unexpected { expected: 200, status: 422, body } = error else {
        panic!("{error}")
    };
    assert!(body.contains("missing field"), "{body}");
    let error = put(Router::new(), load(1, Pace::Closed), BODY).unwrap_err();
    assert!(matches!(error, LoadError::Unexpected { status: 404, .. }), "{error}");
}

#[test]
fn connections_go_to_the_servers_in_turn() {
    let runtime = Runtime::new().expect("threads");
    let seen = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
    let servers = seen.clone().map(|seen| {
        let count = move |body: String| async move {
            seen.fetch_add(1, Ordering::SeqCst);
            body
        };
        Server::start(&runtime, Router::new().route("/r", post(count))).expect("a free port")
    });
    let addresses = servers.each_ref().map(|server| server.address);
    // One thread: with two, each would have a server for itself.
    let load = Load { threads: 1, ..load(4, Pace::Closed) };
    let outcome = load.run(&addresses, &requests(BODY)).unwrap();
    for server in servers {
        server.stop(&runtime).expect("it was serving");
    }
    let seen = seen.map(|seen| seen.load(Ordering::SeqCst));
    assert!(seen.iter().all(|seen| *seen > 0), "{seen:?}");
    assert_eq!(seen.iter().sum::<u64>(), outcome.total);
}

/// The first answer of each connection takes as long as the load, so that all that is due in that
/// time waits behind it. Counted from when they were sent, all but these would look fast.
#[test]
fn an_open_loop_counts_from_when_a_request_was_due() {
    let stalled = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let slow_twice = move |body: String| async move {
        if stalled.iter().any(|stalled| !stalled.swap(true, Ordering::SeqCst)) {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        body
    };
    let router = Router::new().route("/r", post(slow_twice));
    let outcome = put(router, load(2, Pace::Open { rate: 1000.0 }), BODY).unwrap();
    // Drawn from a fixed seed: about 300 moments in 300 ms.
    assert!((200..400).contains(&outcome.answers), "{}", outcome.answers);
    assert!(outcome.latency_ms(0.5) > 50.0, "{}", outcome.latency_ms(0.5));
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let requests = Requests::get("/", &["t".to_owned()], Expected { status: 200, begins: "" });
    let outcome = load(4, Pace::Closed).run(&[nowhere], &Arc::new(requests));
    assert!(matches!(outcome, Err(LoadError::Connect(_))));
}
