//! Accepts connections and answers them until told to stop.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// How connections are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// The longest wait for the head of a request, from the first byte or since the last answer.
    pub head_timeout: Duration,
    /// After the order to stop: the longest wait for answers under way; then they are cut off.
    pub drain_timeout: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self { head_timeout: Duration::from_secs(30), drain_timeout: Duration::from_secs(10) }
    }
}

/// Answers connections to `listener` with `router` until `shutdown`; then takes no more, lets
/// answers under way finish, and returns.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    serve_with(listener, router, Connections::default(), shutdown).await;
}

/// [`serve`] with settings.
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    settings: Connections,
    shutdown: CancellationToken,
) {
    let open = TaskTracker::new();
    let cut = CancellationToken::new();
    while let Some(socket) = next(&listener, &shutdown).await {
        let answered = answer(socket, router.clone(), settings.head_timeout, shutdown.clone());
        let cut = cut.clone();
        open.spawn(async move { cut.run_until_cancelled(answered).await });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(settings.drain_timeout, open.wait()).await.is_err() {
        tracing::info!(connections = open.len(), "cut off answers that did not end");
        cut.cancel();
        open.wait().await;
    }
}

/// The next connection; `None` when it is time to stop.
async fn next(listener: &TcpListener, shutdown: &CancellationToken) -> Option<TcpStream> {
    loop {
        let accepted = shutdown.run_until_cancelled(listener.accept()).await?;
        match accepted {
            Ok((socket, _)) => return Some(socket),
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

async fn answer(
    socket: TcpStream,
    router: Router,
    head_timeout: Duration,
    shutdown: CancellationToken,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| router.clone().call(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
