//! The server as a process: starting, answering, degrading, stopping.

use std::time::Duration;

use infra::auth::Role;
use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::cli::run_on;
use crate::server::Server;
use crate::shop::{Shop, answer, user};

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), holds).await;
    waited.unwrap_or_else(|_| panic!("it never came true that {what}"));
}

pub(crate) async fn get(server: &Server, path: &str) -> Value {
    Client::new().get(server.url(path)).send().await.unwrap().json().await.unwrap()
}

/// Waits until the server says this of something that it can do without.
pub(crate) async fn dependency_is(server: &Server, name: &str, state: &str) {
    until(&format!("{name} is {state}"), async || {
        let ready = get(server, "/health/ready").await;
        let all = ready["dependencies"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == name).unwrap();
        found["state"] == state && found["needed"] == false
    })
    .await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_stop_and_after_a_kill() {
    let mut server = Server::start().await;
    let shop = Shop::open(&server, 10).await;
    let event = shop.event.clone();
    let booking = shop.reserve(1, 2).await;
    shop.confirm(1, &booking).await;
    drop(shop);
    for how in ["stop", "kill"] {
        match how {
            "stop" => assert!(server.stop().await.success()),
            _ => server.kill().await,
        }
        server.restart().await;
        let left = get(&server, &format!("/api/v1/events/{event}/availability")).await;
        assert_eq!((&left["sold"], &left["available"]), (&json!(2), &json!(8)), "after {how}");
    }
    server.signal(Signal::INT);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_folder_has_one_server_and_an_address_too() {
    let server = Server::start().await;
    let (status, out, err) = run_on(&server.data(), &["serve"]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.contains(&format!("process {}", server.pid())), "{err}");

    let other = tempfile::tempdir().unwrap();
    let address = server.address().to_string();
    let (status, out, err) = run_on(other.path(), &["serve", "--listen", &address]).await;
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.contains(&format!("cannot listen at {address}")), "{err}");
}

#[tokio::test]
async fn it_says_how_it_is_and_what_it_can() {
    let server = Server::start().await;
    assert_eq!(get(&server, "/health/live").await, json!({"status": "live"}));
    let ready = get(&server, "/health/ready").await;
    assert_eq!(ready, get(&server, "/health").await);
    assert_eq!(ready["status"], "ready", "{ready}");
    assert_eq!(ready["dependencies"][0]["name"], "log");
    assert_eq!(ready["dependencies"][0]["state"], "up");
    let document = get(&server, "/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/bookings/reserve"]["post"].is_object());
    let keys = get(&server, "/.well-known/jwks.json").await;
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");
    assert!(keys["keys"][0].get("d").is_none(), "the private key is public");
}

/// A request that is under way for two seconds: the provider does not answer it.
async fn slow_payment(shop: &Shop<'_>, server: &Server) -> tokio::task::JoinHandle<(u16, Value)> {
    let booking = shop.reserve(1, 1).await;
    let body = json!({"booking_id": booking, "payment_token": "tok_timeout"});
    let confirm = shop.ask(Method::POST, "/bookings/confirm", 1, &[Role::Attendee]).json(&body);
    let answer = tokio::spawn(async move {
        let response = confirm.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    });
    until("the payment has begun", async || {
        let (_, out, _) = run_on(&server.data(), &["audit", "export"]).await;
        out.contains("\"PaymentStarted\"")
    })
    .await;
    answer
}

#[tokio::test]
async fn an_order_to_stop_lets_answers_finish() {
    let mut server = Server::start().await;
    let shop = Shop::open(&server, 10).await;
    let payment = slow_payment(&shop, &server).await;
    drop(shop);
    assert!(server.stop().await.success(), "{}", server.log());
    let (status, problem) = payment.await.unwrap();
    assert_eq!((status, &problem["code"]), (503, &json!("PAYMENT_PENDING")), "{problem}");
}

/// A request whose body is waited for.
async fn unfinished_request(server: &Server) -> TcpStream {
    let token = server.token(user(1), &[Role::Organizer]);
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/venues HTTP/1.1\r\nHost: it\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 12];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100");
    connection
}

#[tokio::test]
async fn a_second_order_to_stop_is_followed_at_once() {
    let mut server = Server::start().await;
    let address = server.address();
    let unfinished = unfinished_request(&server).await;
    server.signal(Signal::TERM);
    until("nobody is let in any more", async || TcpStream::connect(address).await.is_err()).await;
    until("a later order is followed", async || {
        server.signal(Signal::TERM);
        server.log().contains("second signal")
    })
    .await;
    assert_eq!(server.ended().await.code(), Some(1));
    drop(unfinished);
}

/// As when a terminal tells the program and the script that started it, which passes it on.
#[tokio::test]
async fn an_order_that_comes_twice_at_once_is_one_order() {
    let mut server = Server::start().await;
    let shop = Shop::open(&server, 10).await;
    let payment = slow_payment(&shop, &server).await;
    drop(shop);
    server.signal(Signal::INT);
    server.signal(Signal::TERM);
    assert!(server.ended().await.success(), "{}", server.log());
    assert_eq!(payment.await.unwrap().0, 503);
}

#[tokio::test]
async fn without_its_database_it_sells_and_shows_what_is_left() {
    let port = free_port();
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let socket = postgres.empty_database().await;
    let url = format!("postgres://postgres@127.0.0.1:{port}/{}", name_of(&socket));
    let mut server = Server::start_with(&["--database-url", &url]).await;
    let shop = Shop::open(&server, 10).await;
    let booking = shop.reserve(1, 3).await;
    shop.confirm(1, &booking).await;
    let left = get(&server, &format!("/api/v1/events/{}/availability", shop.event)).await;
    assert_eq!(left["sold"], 3);
    let ready = get(&server, "/health/ready").await;
    assert_eq!(
        (&ready["status"], &ready["dependencies"][1]["state"]),
        (&json!("degraded"), &json!("down"))
    );
    let mine = shop.ask(Method::GET, &format!("/bookings/{booking}"), 1, &[Role::Attendee]);
    let problem = answer(mine.try_clone().unwrap(), 503).await;
    assert!(!problem.to_string().to_lowercase().contains("select"), "{problem}");

    let _forwarding = forward(port, socket_of(&socket), Freeze::default()).await;
    until("the views have caught up", async || {
        let answer = mine.try_clone().unwrap().send().await.unwrap();
        answer.status() == 200
    })
    .await;
    let ready = get(&server, "/health/ready").await;
    assert_eq!(ready["status"], "ready", "{ready}");
    drop(shop);
    assert!(server.stop().await.success());
}

/// A port that nobody listens at for now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The database's name in an address with a socket.
pub(crate) fn name_of(url: &str) -> &str {
    url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap()
}

/// The socket in an address.
pub(crate) fn socket_of(url: &str) -> String {
    format!("{}/.s.PGSQL.5432", url.split("host=").nth(1).unwrap())
}

/// An order to let nothing through any more.
#[derive(Clone, Default)]
pub(crate) struct Freeze {
    pub(crate) ordered: CancellationToken,
    /// That somebody has asked since, and waits for what does not come.
    pub(crate) somebody_waits: CancellationToken,
}

/// Lets a port lead to a socket, until dropped. After the order to freeze nothing gets through in
/// either direction, but connections stay.
pub(crate) async fn forward(port: u16, socket: String, freeze: Freeze) -> tokio::task::JoinSet<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::UnixStream::connect(&socket).await.unwrap();
            let freeze = freeze.clone();
            connections.spawn(async move {
                let copy = tokio::io::copy_bidirectional(&mut client, &mut server);
                if freeze.ordered.run_until_cancelled(copy).await.is_none() {
                    client.readable().await.unwrap();
                    freeze.somebody_waits.cancel();
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    tasks
}
