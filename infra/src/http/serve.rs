//! Accepts connections and answers them until told to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;
use axum::response::Response;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::crowd::{Crowd, Place};
use super::problem::{self, Problem};
use super::pulse::{Answer, Pulse};
use super::unread;
use crate::limits::{Peer, TrustedProxies};

const LINGER: Duration = Duration::from_secs(5);

/// How connections are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    /// A connection that waits for the head of a request this long, or up to twice as long, is
    /// closed: idle ones, and clients that send a byte now and then. So is one whose client takes
    /// nothing of an answer for so long; one that takes it slowly gets all of it.
    pub head_timeout: Duration,
    /// After the order to stop: the longest wait for answers under way; then they are cut off.
    pub drain_timeout: Duration,
    /// Connections open at once; beyond it each is answered 503 and closed. The process needs
    /// [`REFUSED_AT_ONCE`] files more than this.
    pub most: usize,
    /// The same of one address, or of one network of 64 bits of IPv6.
    pub most_of_one: usize,
    /// Whose connections are counted for nobody: they stand for many.
    pub proxies: TrustedProxies,
}

impl Connections {
    /// `most` at once, of which one address may have a quarter, but not fewer than 64.
    pub fn up_to(most: usize) -> Self {
        Self { most, most_of_one: (most / 4).max(64), ..Self::default() }
    }
}

/// Of connections of one address beyond its limit, so many are told.
const REFUSED_OF_ONE: usize = 8;

/// Connections beyond the limit that are told so at once; more are closed without a word.
pub const REFUSED_AT_ONCE: usize = 64;

impl Default for Connections {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(10),
            most: 1 << 20,
            most_of_one: 1 << 18,
            proxies: TrustedProxies::default(),
        }
    }
}

/// What answers: an [`Edge`](super::Edge), or a bare router.
pub trait Site: Clone + Send + Sync + 'static {
    /// The answer to a request on a connection.
    fn answer(
        &self,
        request: Request,
        visit: Visit,
    ) -> impl Future<Output = Response> + Send + 'static;
}

/// What is known of a request's connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visit {
    /// Who is at its other end.
    pub peer: Option<Peer>,
    /// It is refused, and then closed.
    pub is_one_too_many: bool,
    /// The request does not say rightly to which host it goes, so that others on the way may have
    /// understood it otherwise.
    pub is_astray: bool,
}

impl Visit {
    /// Why the request is refused before anybody looks at what it asks for.
    pub(super) fn refusal(&self) -> Option<Problem> {
        if self.is_one_too_many {
            return Some(problem::crowded());
        }
        self.is_astray.then(problem::astray)
    }
}

/// The largest head of a request, in bytes: line and headers. Larger ones are refused (431). A token
/// or the cookies of a browser are at most 8 KiB; hyper itself would keep 400 KiB of each connection.
pub const MAX_HEAD_BYTES: usize = 32 << 10;

/// Whether a request names its host as it must: HTTP/1.1 once, HTTP/1.0 at most once, and as a name
/// or address with or without a port (RFC 9112, 3.2).
fn is_astray<B>(request: &hyper::Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() == Version::HTTP_11,
        (Some(host), None) => !host.as_bytes().iter().all(is_of_a_host),
        _ => true,
    }
}

/// Whether a host and port may have this letter (RFC 3986, 3.2.2).
fn is_of_a_host(letter: &u8) -> bool {
    letter.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(letter)
}

impl Site for Router {
    fn answer(&self, request: Request, _: Visit) -> impl Future<Output = Response> + 'static {
        self.clone().call(request).map(|response| response.unwrap_or_else(|never| match never {}))
    }
}

/// Answers connections to `listener` with `site` until `shutdown`; then takes no more, lets
/// answers under way finish, and returns.
pub async fn serve(listener: TcpListener, site: impl Site, shutdown: CancellationToken) {
    serve_with(listener, site, Connections::default(), shutdown).await;
}

/// [`serve`] with settings.
pub async fn serve_with(
    listener: TcpListener,
    site: impl Site,
    settings: Connections,
    shutdown: CancellationToken,
) {
    let stop = Stop { taking: shutdown, ..Stop::default() };
    let (open, crowd) = (TaskTracker::new(), Crowd::new(&settings));
    let mut told = false;
    while let Some((socket, address)) = next(&listener, &stop.taking).await {
        let (over_of_one, place) = crowd.enter(address.ip());
        if over_of_one > REFUSED_OF_ONE {
            continue;
        }
        let (most, over) = (settings.most, (open.len() + 1).saturating_sub(settings.most));
        if over > 0 && !told {
            tracing::warn!(most, "connections are refused: too many are open");
        }
        // Told again only after it was over for good.
        told = over > 0 || told && open.len() > most - most / 4;
        if over <= REFUSED_AT_ONCE {
            let (site, stop) = (site.clone(), stop.clone());
            let is_one_too_many = over > 0 || over_of_one > 0;
            let answered = answer(socket, site, is_one_too_many, settings.head_timeout, stop);
            open.spawn(within(place, answered));
        }
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(settings.drain_timeout, open.wait()).await.is_err() {
        tracing::info!(connections = open.len(), "cut off answers that did not end");
        stop.answering.cancel();
        open.wait().await;
    }
}

/// The two steps of stopping: take no more requests, then cut off answers under way.
#[derive(Clone, Default)]
struct Stop {
    taking: CancellationToken,
    answering: CancellationToken,
}

/// The next connection; `None` when it is time to stop.
async fn next(
    listener: &TcpListener,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = shutdown.run_until_cancelled(listener.accept()).await?;
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: some connection has to end first.
                tracing::warn!(%error, "cannot accept connections");
                let pause = tokio::time::sleep(Duration::from_millis(100));
                shutdown.run_until_cancelled(pause).await?;
            }
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Does something while it has its place.
async fn within(place: Option<Place>, something: impl Future<Output = ()>) {
    something.await;
    drop(place);
}

async fn answer(
    socket: TcpStream,
    site: impl Site,
    is_one_too_many: bool,
    head_timeout: Duration,
    stop: Stop,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = socket.set_nodelay(true);
    let peer = socket.peer_addr().ok().map(|address| Peer(address.ip()));
    let visit = Visit { peer, is_one_too_many, is_astray: false };
    converse(socket, site, visit, head_timeout, stop).await;
}

async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    site: impl Site,
    visit: Visit,
    head_timeout: Duration,
    stop: Stop,
) {
    let pulse = Pulse::default();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let answering = pulse.answering();
        let visit = Visit { is_astray: is_astray(&request), ..visit };
        let (request, unread) = unread::watch(request);
        // Not an async block, which would have room for the answer's future twice.
        site.answer(request, visit)
            .then(|response| unread::settle(response, unread))
            .map(|response| Ok::<_, Infallible>(response.map(|body| Answer::new(body, answering))))
    });
    let ended = {
        let io = TokioIo::new(pulse.watch(&mut socket));
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD_BYTES);
        let connection = builder.serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = pulse.stopped(head_timeout) => return,
            () = stop.taking.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = stop.answering.run_until_cancelled(connection).await;
                return;
            }
        }
    };
    match ended {
        Ok(()) => {
            stop.taking.run_until_cancelled(linger(&mut socket)).await;
        }
        Err(error) => tracing::debug!(%error, "a connection ended badly"),
    }
}

/// Lets a client that is still sending, e.g. a body that was refused for its size, go on for a
/// while: closed at once, it would be told of a broken connection and lose the answer.
async fn linger(socket: &mut (impl AsyncRead + Unpin)) {
    let mut nowhere = tokio::io::sink();
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(socket, &mut nowhere)).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::get;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio::time::{sleep, timeout};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);
    /// What a connection of the tests holds that nobody has read yet.
    const PIECE: usize = 64 << 10;
    const LARGE: usize = 64 * PIECE;

    /// A client that has asked for a large answer, and the server's side of the connection.
    async fn ask() -> (DuplexStream, JoinHandle<()>) {
        let large = get(async || Bytes::from(vec![b'x'; LARGE]));
        let router = Router::new().route("/", large);
        let (mut client, server) = tokio::io::duplex(PIECE);
        let serving =
            tokio::spawn(converse(server, router, Visit::default(), PATIENCE, Stop::default()));
        let request = b"GET / HTTP/1.1\r\nhost: evently\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        (client, serving)
    }

    // The clock of these tests stands still, and leaps when all wait for it.

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_all_of_a_large_answer() {
        let (mut client, _serving) = ask().await;
        let (mut taken, mut piece) = (0, vec![0; PIECE]);
        loop {
            sleep(PATIENCE / 2).await;
            match client.read(&mut piece).await.unwrap() {
                0 => break,
                read => taken += read,
            }
        }
        assert!(taken > LARGE, "{taken} bytes of {LARGE} and a head");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_more_is_cut_off() {
        for pieces in [0, 1, 60] {
            let (mut client, serving) = ask().await;
            let mut some = vec![0; pieces * PIECE];
            client.read_exact(&mut some).await.unwrap();
            timeout(3 * PATIENCE, serving).await.expect("it waits for ever").unwrap();
            let mut rest = vec![];
            client.read_to_end(&mut rest).await.unwrap();
            assert!(some.len() + rest.len() < LARGE, "{pieces}: {} more", rest.len());
        }
    }
}
