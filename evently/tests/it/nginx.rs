//! `deploy/nginx` in a real nginx: which node gets which call, and what is said for nodes that give no answer.

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, TcpListener as Deaf};
use std::path::Path;
use std::process::Stdio;

use axum::Router;
use domain::{BookingId, EventId};
use infra::auth::RULES;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::AbortHandle;

use crate::serving::{free_port, until};

const CONF: &str = include_str!("../../../deploy/nginx/evently.conf");
const COMPOSE: &str = include_str!("../../../deploy/nginx/compose.conf");
const ONE_MACHINE: &str = include_str!("../../../deploy/nginx/one-machine.conf");
const NODES: [&str; 6] =
    ["command-1", "command-2", "query-1", "query-2", "projector-1", "projector-2"];

/// An nginx before nodes that answer with their names.
struct Front {
    folder: TempDir,
    _nginx: Child,
    _still: Vec<Deaf>,
    nodes: HashMap<&'static str, AbortHandle>,
    url: String,
    client: Client,
}

impl Front {
    async fn start(program: &Path) -> Self {
        Self::start_before(program, &[], CONF).await
    }

    /// The same, with nodes that stand still: their machine takes connections, and nobody answers.
    async fn start_before(program: &Path, deaf: &[&'static str], conf: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut conf = conf.replace("listen 8080", &format!("listen 127.0.0.1:{port}"));
        let log = folder.path().join("access.log");
        conf = conf.replace("/var/log/nginx/access.log", log.to_str().unwrap());
        // Addresses need no looking up, which Debian's nginx does not know yet.
        let mut upstreams = COMPOSE.replace(" resolve", "");
        let (mut nodes, mut still) = (HashMap::new(), vec![]);
        for name in NODES {
            let address = if deaf.contains(&name) {
                still.push(Deaf::bind("127.0.0.1:0").unwrap());
                still.last().unwrap().local_addr().unwrap()
            } else {
                let (address, node) = node(name).await;
                nodes.insert(name, node);
                address
            };
            upstreams = upstreams.replace(&format!("{name}:8080"), &address.to_string());
        }
        conf += &upstreams;
        let root = folder.path().display();
        let whole = format!(
            "daemon off; pid {root}/pid; error_log stderr;
             events {{}}
             http {{
                 access_log off;
                 client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
                 {conf}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, whole).unwrap();
        let mut nginx = Command::new(program);
        // One process: when it is killed, all of it is gone.
        nginx.args(["-g", "master_process off;", "-p"]).arg(folder.path()).arg("-c").arg(file);
        let nginx = nginx.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let (url, client) = (format!("http://127.0.0.1:{port}"), Client::new());
        let front = Self { folder, _nginx: nginx, _still: still, nodes, url, client };
        let answers = async || front.client.get(front.at("/health")).send().await.is_ok();
        until("nginx answers", answers).await;
        front
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Who answers.
    async fn ask(&self, method: Method, path: &str, body: Option<serde_json::Value>) -> String {
        let mut request = self.client.request(method, self.at(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap().text().await.unwrap()
    }
}

async fn node(name: &'static str) -> (SocketAddr, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async move || name);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    (address, serving.abort_handle())
}

fn program() -> Option<&'static Path> {
    let installed = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    let found = installed.into_iter().map(Path::new).find(|path| path.is_file());
    if found.is_none() {
        println!("left out: nginx is not installed");
        assert!(std::env::var_os("EVENTLY_TEST_NGINX").is_none(), "nginx is to be installed");
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_for_one_event_go_to_one_node_whatever_names_it() {
    let Some(program) = program() else { return };
    let front = Front::start(program).await;
    let mut seen = BTreeSet::new();
    let mut last = None;
    for number in 1..=20_u128 {
        let event = EventId::from_u128(number << 64);
        let booking = BookingId { event, number: number as u64 };
        let (post, delete) = (Method::POST, Method::DELETE);
        let reserve = json!({"quantity": 2, "event_id": event});
        let confirm = json!({"booking_id": booking, "payment_token": "tok_success"});
        let by_body = front.ask(post.clone(), "/api/v1/bookings/reserve", Some(reserve)).await;
        assert!(by_body.starts_with("command-"), "{by_body}");
        for (method, path, body) in [
            (post.clone(), "/api/v1/bookings/confirm".to_owned(), Some(confirm)),
            (post, format!("/api/v1/events/{event}/publish"), None),
            (delete.clone(), format!("/api/v1/bookings/{booking}"), None),
            (delete, format!("/api/v1/waitlist/leave?event_id={event}"), None),
        ] {
            assert_eq!(front.ask(method, &path, body).await, by_body, "{path}");
        }
        last = Some((event, by_body.clone()));
        seen.insert(by_body);
    }
    assert_eq!(seen.len(), 2, "events are spread over the nodes");

    // The other takes over.
    let (event, mine) = last.unwrap();
    let reserve = json!({"event_id": event, "quantity": 1});
    front.nodes[mine.as_str()].abort();
    let ask =
        async || front.ask(Method::POST, "/api/v1/bookings/reserve", Some(reserve.clone())).await;
    until("the other node takes over", async || {
        let answer = ask().await;
        answer.starts_with("command-") && answer != mine
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_queries_say_is_not_kept() {
    let Some(program) = program() else { return };
    let front = Front::start(program).await;
    front.ask(Method::DELETE, "/api/v1/events/evt_1?reason=Lovelace", None).await;
    let log = || std::fs::read_to_string(front.folder.path().join("access.log")).unwrap();
    until("it is logged", async || log().contains("DELETE /api/v1/events/evt_1\"")).await;
    assert!(!log().contains("Lovelace"), "{}", log());
}

/// What nodes that have the route are called; of several, any will do.
fn answered_by(method: &str, path: &str) -> Vec<&'static str> {
    if path.starts_with("/health") || path == "/metrics" || path.starts_with("/internal/") {
        // Of each node by itself, or for the operator: of none of them from outside.
        return vec!["{\"type\":\"https://evently.example/problems/NOT_FOUND\""];
    }
    let parts = [
        ("command-", command_api::api()),
        ("query-", query_api::api()),
        ("projector-1", projections::api()),
    ];
    let has = |api: &utoipa::openapi::OpenApi| {
        let api = serde_json::to_value(api).unwrap();
        api["paths"][path].get(method.to_lowercase()).is_some()
    };
    let having: Vec<_> = parts.iter().filter(|(_, api)| has(api)).map(|(name, _)| *name).collect();
    // What all have tells who they are and how to ask them.
    if having.is_empty() { vec!["command-", "query-", "projector-1"] } else { having }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_goes_to_the_role_that_answers_it() {
    let Some(program) = program() else { return };
    let front = Front::start(program).await;
    for rule in RULES {
        let path = rule.path.replace(['{', '}'], "");
        let method: Method = rule.method.parse().unwrap();
        let answer = front.ask(method, &path, None).await;
        let expected = answered_by(rule.method, rule.path);
        assert!(expected.iter().any(|role| answer.starts_with(role)), "{rule:?}: {answer}");
    }
}

/// Nodes are given up sooner, so that the test need not wait for those that stand still.
fn impatient() -> String {
    ["35s", "15s", "5s"].iter().fold(CONF.to_owned(), |conf, patience| {
        let line = format!("proxy_read_timeout {patience};");
        assert!(conf.contains(&line), "{line}");
        conf.replace(&line, "proxy_read_timeout 3s;")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_leaves_its_work_to_the_other() {
    let Some(program) = program() else { return };
    let front = Front::start_before(program, &["query-1", "command-1"], &impatient()).await;
    let event = EventId::from_u128(7 << 64);
    let (seats, list) = (format!("/api/v1/events/{event}/seats"), "/api/v1/events");
    for path in [&seats, list, &seats, list] {
        assert_eq!(front.ask(Method::GET, path, None).await, "query-2", "{path}");
    }
    let check = json!({"event_id": event, "quantity": 1});
    let check = front.ask(Method::POST, "/api/v1/bookings/check-availability", Some(check)).await;
    assert_eq!(check, "query-2");
    // With a key it is safe to ask again, which nginx does; without one only its sender knows.
    let (mut stood_still, mut number) = (0, 0_u128);
    until("one goes to the node that stands still", async || {
        number += 1;
        let event = EventId::from_u128(number << 64);
        let reserve = front.client.post(front.at("/api/v1/bookings/reserve"));
        let reserve = reserve.json(&json!({"event_id": event, "quantity": 1}));
        let keyed = reserve.try_clone().unwrap().header("idempotency-key", "a key");
        assert_eq!(keyed.send().await.unwrap().text().await.unwrap(), "command-2");
        let answer = reserve.send().await.unwrap();
        if answer.status() != 200 {
            assert_problem(answer, 503, "NO_NODE", true).await;
            stood_still += 1;
        }
        stood_still > 0
    })
    .await;
}

async fn assert_problem(answer: Response, status: u16, code: &str, later: bool) {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers().contains_key("retry-after"), later);
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["code"], code, "{told}");
    assert_eq!(told["status"], status);
    assert_eq!(told["type"], format!("{}{code}", infra::http::PROBLEM_BASE));
    assert_eq!(told["request_id"], request_id);
    told["timestamp"].as_str().unwrap().parse::<domain::Time>().unwrap();
    assert!(
        evently::document::document().to_string().contains(&format!("`{code}` | {status} |")),
        "{code}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nginx_refuses_is_a_problem_like_any_other() {
    let Some(program) = program() else { return };
    let front = Front::start(program).await;
    let id = "0190a5c8-7e1f-7cc0-9d2a-4b7f3c1e8a55";
    let hidden = front.client.get(front.at("/metrics")).header("x-request-id", id).send().await;
    let hidden = hidden.unwrap();
    assert_eq!(hidden.headers()["x-request-id"], id);
    assert_problem(hidden, 404, "NOT_FOUND", false).await;
    let large = front.client.post(front.at("/api/v1/venues")).body(vec![b' '; (1 << 20) + 1]);
    assert_problem(large.send().await.unwrap(), 413, "PAYLOAD_TOO_LARGE", false).await;
    front.nodes.values().for_each(AbortHandle::abort);
    let are_gone = async || front.nodes.values().all(AbortHandle::is_finished);
    until("the nodes are gone", are_gone).await;
    let answer = front.client.get(front.at("/api/v1/events")).send().await.unwrap();
    assert_problem(answer, 503, "NO_NODE", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_all_the_connections_of_an_address_is_told_so() {
    let Some(program) = program() else { return };
    let conf = CONF.replace("evently_addresses 512;", "evently_addresses 1;");
    let front = Front::start_before(program, &["query-1", "query-2"], &conf).await;
    let ask = async || front.client.get(front.at("/api/v1/events")).send().await.unwrap();
    // The other one waits.
    let (refused, ..) = futures::future::select_all([Box::pin(ask()), Box::pin(ask())]).await;
    assert_problem(refused, 503, "OVERLOADED", true).await;
}

/// What the README says to start, is one that starts.
#[tokio::test]
async fn the_configuration_for_one_machine_is_whole() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = CONF.replace("/var/log/nginx/access.log", "access.log");
    std::fs::write(folder.path().join("evently.conf"), elsewhere).unwrap();
    let conf = folder.path().join("one-machine.conf");
    std::fs::write(&conf, ONE_MACHINE).unwrap();
    let mut check = Command::new(program);
    check.args(["-t", "-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(conf);
    let checked = check.output().await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
