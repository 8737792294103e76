//! The embedded log, served over the EventStoreDB gRPC protocol: several processes share it, and any
//! EventStoreDB client in any language can read and append to it.
//!
//! What the log takes is what it can keep: records whose content type is `application/json`, with
//! data and custom metadata that are JSON texts in UTF-8, or empty. Anything else is refused with
//! `INVALID_ARGUMENT` and a sentence. Records of the product are known by their custom metadata (see
//! `infra::log::envelope`) and lie in the file exactly as if the product had written them there; the
//! log computes their chain hash itself. Records of others have version 0 in the file, the time at
//! which they came, and their custom metadata as it was given; they get it back to the byte.
//!
//! Nothing is ever deleted: `Delete`, `Tombstone` and metadata of streams are refused.

mod access;
mod append;
mod batch;
mod cursor;
mod filter;
mod load;
mod node;
mod outgoing;
mod proposal;
mod read;
mod refusal;
mod routes;
mod subscribe;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Identity, Server, ServerTlsConfig};

pub use access::Credentials;
pub use load::Load;

use super::embedded::EmbeddedLog;
use crate::clock::Clock;
use access::Access;
use load::Connection;
use routes::Routes;

/// Calls of one client at the same time; subscriptions are calls too.
const CALLS_PER_CONNECTION: u32 = 1_000;

/// A client that does not answer for so long is taken for dead; it is asked as often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// After the order to stop: the longest wait for calls under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// After a connection that could not be accepted, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server shows to prove who it is: PEM texts.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The server's certificate, and those that vouch for it.
    pub certificate: Vec<u8>,
    /// The certificate's private key.
    pub key: Vec<u8>,
}

/// Who may ask, and how.
#[derive(Clone, Default)]
pub struct ServerOptions {
    /// Without, everybody may do everything.
    pub credentials: Option<Credentials>,
    /// Without, nothing is encrypted.
    pub tls: Option<TlsIdentity>,
    /// Where it is told how busy the server is.
    pub load: Load,
}

/// The log cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate and the key do not fit.
    #[error("the certificate or its key cannot be used: both have to be PEM and belong together")]
    Tls(#[source] tonic::transport::Error),
    /// The transport failed.
    #[error("the log server failed")]
    Transport(#[source] tonic::transport::Error),
}

/// What every call needs.
struct Node {
    log: Arc<EmbeddedLog>,
    clock: Arc<dyn Clock>,
    access: Access,
    load: Load,
    /// Where it listens.
    address: SocketAddr,
    stop: CancellationToken,
    /// What sends answers that take long.
    answers: TaskTracker,
}

/// Serves `log` at `listener` until `stop`. Appends that were begun come to their end; subscriptions
/// end with `UNAVAILABLE`. The log stays open.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    log: Arc<EmbeddedLog>,
    clock: Arc<dyn Clock>,
    options: ServerOptions,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    super::use_one_tls_provider();
    let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut server = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE));
    if let Some(TlsIdentity { certificate, key }) = options.tls {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        server = server.tls_config(tls).map_err(ServeError::Tls)?;
    }
    let answers = TaskTracker::new();
    let access = Access::new(options.credentials);
    let (ordered, tracked) = (stop.clone(), answers.clone());
    let load = options.load;
    let connections = connections(listener, load.clone());
    let node = Arc::new(Node { log, clock, access, load, address, stop, answers });
    let serving =
        server.serve_with_incoming_shutdown(Routes::new(node), connections, ordered.cancelled());
    let outcome = tokio::select! {
        outcome = serving => outcome.map_err(ServeError::Transport),
        () = drained(&ordered) => Ok(()),
    };
    tracked.close();
    tracked.wait().await;
    outcome
}

/// Ends when what was under way at the order to stop had time enough.
async fn drained(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN_TIMEOUT).await;
    tracing::info!("cut off calls that did not end");
}

/// Connections as they come. Trouble with one does not keep others from coming.
fn connections(listener: TcpListener, load: Load) -> impl Stream<Item = io::Result<Connection>> {
    futures::stream::unfold((listener, load), |(listener, load)| async {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    // Slower, if it is refused.
                    let _ = socket.set_nodelay(true);
                    return Some((Ok(load.connected(socket)), (listener, load)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}
