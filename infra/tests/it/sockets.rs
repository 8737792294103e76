//! The server over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::{StreamExt, stream};
use infra::http::{Connections, Json, REFUSED_AT_ONCE, ServiceLimits, serve_with};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::service::served;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port, stopped when dropped.
struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    _stop: DropGuard,
}

async fn start(router: Router, settings: Connections) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let router = served(router, ServiceLimits::default());
    let running = tokio::spawn(serve_with(listener, router, settings, shutdown.clone()));
    Server { address, running, _stop: shutdown.clone().drop_guard(), shutdown }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that the server says to `request` until it closes the connection.
    async fn say(&self, request: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(request).await.unwrap();
        rest(&mut socket).await
    }
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection stays open").unwrap();
    String::from_utf8(answer).unwrap()
}

async fn until(socket: &mut TcpStream, text: &str) -> String {
    let mut answer = String::new();
    let mut piece = [0; 4_096];
    while !answer.contains(text) {
        let read = tokio::time::timeout(PATIENCE, socket.read(&mut piece)).await.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {answer}");
        answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    answer
}

fn echo() -> Router {
    Router::new().route("/echo", post(async |Json(body): Json<Value>| Json(body)))
}

#[tokio::test]
async fn requests_are_answered_one_after_the_other_and_refusals_are_problems() {
    let server = start(echo(), Connections::default()).await;
    let mut socket = server.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: evently\r\ncontent-type: application/json\r\n";
    for (body, answer) in [("{\"a\":1}", "{\"a\":1}"), ("{", "\"code\":\"MALFORMED\"")] {
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        let said = until(&mut socket, answer).await;
        assert!(said.contains("x-request-id: "), "{said}");
    }
    let chunked =
        format!("{head}transfer-encoding: chunked\r\n\r\n4\r\n{{\"a\"\r\n3\r\n:1}}\r\n0\r\n\r\n");
    socket.write_all(chunked.as_bytes()).await.unwrap();
    until(&mut socket, "{\"a\":1}").await;
}

#[tokio::test]
async fn a_body_too_large_is_refused_in_words_though_the_client_goes_on_sending() {
    let server = start(echo(), Connections::default()).await;
    let head = "POST /echo HTTP/1.1\r\nhost: evently\r\nconnection: close\r\n\
                content-type: application/json\r\n";
    let length = 4 << 20;
    let mut known = format!("{head}content-length: {length}\r\n\r\n").into_bytes();
    known.resize(known.len() + length, b'x');
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n400000\r\n").into_bytes();
    chunked.resize(chunked.len() + length, b'{');
    chunked.extend(b"\r\n0\r\n\r\n");
    for request in [known, chunked] {
        let said = server.say(&request).await;
        assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
        assert!(said.contains("\"code\":\"PAYLOAD_TOO_LARGE\""), "{said}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let server = start(echo(), Connections::default()).await;
    let said = server.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
}

#[tokio::test]
async fn an_idle_or_dawdling_connection_is_closed_and_a_long_answer_is_not() {
    let (go, went) = tokio::sync::watch::channel(());
    let events = get(async move || {
        let mut went = went.clone();
        let late = async move { went.changed().await.map(|()| "still here") };
        Body::from_stream(stream::once(late))
    });
    let head_timeout = Duration::from_millis(50);
    let settings = Connections { head_timeout, ..Connections::default() };
    let server = start(Router::new().route("/events", events), settings).await;
    let mut listening = server.connect().await;
    listening.write_all(b"GET /events HTTP/1.1\r\nhost: evently\r\n\r\n").await.unwrap();
    until(&mut listening, "200 OK").await;

    // Three connections one after the other end by themselves; the long answer outlives them all.
    for head in ["", "GET", "GET /events HTTP/1.1\r\nhost: "] {
        let mut socket = server.connect().await;
        socket.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut socket).await, "");
    }
    go.send(()).unwrap();
    assert!(rest(&mut listening).await.ends_with("still here\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_does_not_keep_it() {
    let gone = CancellationToken::new();
    let answered = gone.clone();
    let endless = get(async move || {
        let kept = answered.clone().drop_guard();
        let pieces = stream::repeat(Bytes::from_static(&[b'x'; 4_096]));
        Body::from_stream(pieces.map(move |piece| {
            let _ = &kept;
            Ok::<_, std::io::Error>(piece)
        }))
    });
    let head_timeout = Duration::from_millis(50);
    let settings = Connections { head_timeout, ..Connections::default() };
    let server = start(Router::new().route("/endless", endless), settings).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /endless HTTP/1.1\r\nhost: evently\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, gone.cancelled()).await.expect("the answer is kept");
}

#[tokio::test]
async fn who_comes_when_all_connections_are_taken_is_told_and_served_when_one_is_free() {
    let settings = Connections { most: 2, ..Connections::default() };
    let server = start(echo(), settings).await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let request = b"GET /echo HTTP/1.1\r\nhost: evently\r\n\r\n";
    let said = server.say(request).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    for part in ["retry-after: 5", "connection: close", "x-request-id: ", "\"code\":\"OVERLOADED\""]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut silent = vec![];
    for _ in 0..REFUSED_AT_ONCE {
        silent.push(server.connect().await);
    }
    let mut closed = server.connect().await;
    let read = tokio::time::timeout(PATIENCE, closed.read(&mut [0])).await.expect("it is kept");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");

    drop((first, silent));
    let served = async {
        loop {
            let mut socket = server.connect().await;
            // It may be closed at once.
            let _ = socket.write_all(request).await;
            let mut start = [0; 12];
            if socket.read_exact(&mut start).await.is_ok() && &start == b"HTTP/1.1 405" {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("nobody is served any more");
}

#[tokio::test]
async fn stopping_lets_answers_finish_and_cuts_off_those_that_do_not() {
    let never = get(async || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
    let (enter, mut entered) = tokio::sync::mpsc::channel::<()>(1);
    let (leave, left) = tokio::sync::watch::channel(());
    let slow = get(async move || {
        let mut left = left.clone();
        enter.send(()).await.unwrap();
        left.changed().await.unwrap();
        "done"
    });
    let router = Router::new().route("/slow", slow).route("/never", never);
    let drain_timeout = Duration::from_millis(500);
    let settings = Connections { drain_timeout, ..Connections::default() };
    let server = start(router, settings).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: evently\r\n\r\n").await.unwrap();
    entered.recv().await.unwrap();
    let mut never = server.connect().await;
    never.write_all(b"GET /never HTTP/1.1\r\nhost: evently\r\n\r\n").await.unwrap();
    until(&mut never, "200 OK").await;
    let mut idle = server.connect().await;

    server.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "");
    leave.send(()).unwrap();
    let said = rest(&mut slow).await;
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("done"), "{said}");
    assert!(!rest(&mut never).await.ends_with("0\r\n\r\n"));
    tokio::time::timeout(PATIENCE, server.running).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
