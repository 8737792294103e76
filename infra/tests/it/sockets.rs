//! The server over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::{StreamExt, stream};
use infra::http::{
    Connections, Json, MAX_HEAD_BYTES, REFUSED_AT_ONCE, RequestId, ServiceLimits, serve_with,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
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

/// What the answers that close their connection, and only they, say.
fn says_that_it_closes(said: &str) -> bool {
    said.contains("\r\nconnection: close\r\n")
}

#[tokio::test]
async fn whoever_loses_the_connection_with_an_answer_is_told() {
    let refuse = post(async |_: RequestId| StatusCode::UNAUTHORIZED);
    let server = start(echo().route("/refuse", refuse), Connections::default()).await;
    let head = |path, rest| format!("POST {path} HTTP/1.1\r\nhost: evently\r\n{rest}\r\n\r\n");
    let json = "content-type: application/json\r\n";
    let large = MAX_HEAD_BYTES * 8;
    for (path, rest, status) in [
        ("/echo", format!("{json}content-length: {}", 4 << 20), 413),
        ("/refuse", format!("content-length: {large}"), 401),
        ("/refuse", "transfer-encoding: chunked".to_owned(), 401),
        ("/refuse", "expect: 100-continue\r\ncontent-length: 2".to_owned(), 401),
        ("/refuse", "content-length: 2".to_owned(), 401),
    ] {
        // Nothing of the body ever comes.
        let mut socket = server.connect().await;
        socket.write_all(head(path, rest.clone()).as_bytes()).await.unwrap();
        let said = until(&mut socket, "\r\n\r\n").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{rest}: {said}");
        assert!(says_that_it_closes(&said), "{rest}: {said}");
    }

    // A small one that comes is read, by whomever, and the connection stays.
    let mut socket = server.connect().await;
    for (path, status) in [("/refuse", 401), ("/echo", 200), ("/refuse", 401), ("/nowhere", 404)] {
        let request = head(path, format!("{json}content-length: 7"));
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.write_all(b"{\"a\":1}").await.unwrap();
        let said = until(&mut socket, "\r\n\r\n").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {said}");
        assert!(!says_that_it_closes(&said), "{path}: {said}");
        if status == 404 {
            assert!(said.contains("\"code\":\"NOT_FOUND\""), "{said}");
        }
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = start(echo(), Connections::default()).await;
    for (version, hosts, status) in [
        ("1.1", vec!["evently"], 405),
        ("1.1", vec!["[::1]:8080"], 405),
        ("1.0", vec![], 405),
        ("1.1", vec![""], 405),
        ("1.1", vec![], 400),
        ("1.1", vec!["evently", "evently"], 400),
        ("1.0", vec!["evently", "evently"], 400),
        ("1.1", vec!["evently/path"], 400),
        ("1.1", vec!["me@evently"], 400),
        ("1.1", vec!["one, two"], 400),
    ] {
        let lines: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let request = format!("GET /echo HTTP/{version}\r\n{lines}\r\n");
        let mut socket = server.connect().await;
        socket.write_all(request.as_bytes()).await.unwrap();
        let said = until(&mut socket, "}").await;
        assert!(said.starts_with(&format!("HTTP/{version} {status} ")), "{hosts:?}: {said}");
        assert!(said.contains("x-request-id: "), "{said}");
        if status == 400 {
            assert!(said.contains("\"code\":\"MALFORMED\""), "{said}");
            assert!(says_that_it_closes(&said), "{said}");
        }
    }
}

/// Another on the way may have taken the other of both for the body's end (RFC 9112, 6.1).
#[tokio::test]
async fn nothing_is_read_after_a_body_with_two_lengths() {
    let server = start(echo(), Connections::default()).await;
    let smuggled = "GET /echo HTTP/1.1\r\nhost: evently\r\n\r\n";
    for lengths in [
        "content-length: 11\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 11",
    ] {
        let head = "POST /echo HTTP/1.1\r\nhost: evently\r\ncontent-type: application/json\r\n";
        let request = format!("{head}{lengths}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{smuggled}");
        let said = server.say(request.as_bytes()).await;
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
        assert!(says_that_it_closes(&said), "{said}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_before_it_ends() {
    let server = start(echo(), Connections::default()).await;
    let head = "GET /echo HTTP/1.1\r\nhost: evently\r\n";
    let long = |length: usize| format!("{head}authorization: Bearer {}", "x".repeat(length));
    let said = server.say(long(2 * MAX_HEAD_BYTES).as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let said = server.say(format!("{head}{many}\r\n").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");

    // As large as the tokens and cookies of anybody.
    let mut socket = server.connect().await;
    let fits = long(MAX_HEAD_BYTES - 1_024) + "\r\n\r\n";
    socket.write_all(fits.as_bytes()).await.unwrap();
    until(&mut socket, "METHOD_NOT_ALLOWED").await;
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
async fn one_address_leaves_connections_to_others() {
    let settings = Connections { most: 100, most_of_one: 2, ..Connections::default() };
    let server = start(echo(), settings.clone()).await;
    let _two = [server.connect().await, server.connect().await];
    let request = b"GET /echo HTTP/1.1\r\nhost: evently\r\n\r\n";
    let said = server.say(request).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("OVERLOADED"), "{said}");
    assert!(says_that_it_closes(&said), "{said}");
    let from = |server: &Server, address: &str| {
        let (socket, server) = (TcpSocket::new_v4().unwrap(), server.address);
        socket.bind(address.parse().unwrap()).unwrap();
        socket.connect(server)
    };
    let mut other = from(&server, "127.0.0.2:0").await.unwrap();
    other.write_all(request).await.unwrap();
    until(&mut other, "METHOD_NOT_ALLOWED").await;

    // Who stands for many has as many as there are.
    let settings = Connections { proxies: "127.0.0.1".parse().unwrap(), ..settings };
    let server = start(echo(), settings).await;
    let mut all = vec![];
    for _ in 0..9 {
        let mut socket = server.connect().await;
        socket.write_all(request).await.unwrap();
        until(&mut socket, "METHOD_NOT_ALLOWED").await;
        all.push(socket);
    }
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
