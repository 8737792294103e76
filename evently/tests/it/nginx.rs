//! `deploy/nginx/evently.conf` in a real nginx: which node gets which call.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use axum::Router;
use domain::{BookingId, EventId};
use infra::auth::RULES;
use reqwest::{Client, Method};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::AbortHandle;

use crate::serving::{free_port, until};

const CONF: &str = include_str!("../../../deploy/nginx/evently.conf");
const NODES: [&str; 6] =
    ["command-1", "command-2", "query-1", "query-2", "projector-1", "projector-2"];

/// An nginx before nodes that answer with their names.
struct Front {
    folder: TempDir,
    _nginx: Child,
    nodes: HashMap<&'static str, AbortHandle>,
    url: String,
    client: Client,
}

impl Front {
    async fn start(program: &Path) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut conf = CONF.replace("listen 8080", &format!("listen 127.0.0.1:{port}"));
        let log = folder.path().join("access.log");
        conf = conf.replace("/var/log/nginx/access.log", log.to_str().unwrap());
        let mut nodes = HashMap::new();
        for name in NODES {
            let (address, node) = node(name).await;
            conf = conf.replace(&format!("{name}:8080"), &address.to_string());
            nodes.insert(name, node);
        }
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
        let front = Self { folder, _nginx: nginx, nodes, url, client };
        until("nginx answers", async || front.client.get(&front.url).send().await.is_ok()).await;
        front
    }

    /// Who answers.
    async fn ask(&self, method: Method, path: &str, body: Option<serde_json::Value>) -> String {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
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
        return vec!["<html>"];
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
