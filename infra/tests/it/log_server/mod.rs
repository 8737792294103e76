//! The log server, and the log at its other end.

mod access;
mod conformance;
mod faults;
mod killed;
mod official;
mod proxy;
mod python;
mod refused;
mod sockets;
mod subscriptions;

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra::clock::SystemClock;
use infra::log::Log;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::eventstore::{EventStoreLog, EventStoreOptions};
use infra::log::server::{self, ServerOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A log server in this process, on a free port.
pub(crate) struct Served {
    folder: TempDir,
    address: SocketAddr,
    running: Option<Running>,
    log: Arc<dyn Log>,
}

struct Running {
    log: Arc<EmbeddedLog>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Running {
    fn start(path: PathBuf, listener: TcpListener, options: ServerOptions) -> Self {
        let log = Arc::new(EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap());
        let stop = CancellationToken::new();
        let (served, ordered) = (Arc::clone(&log), stop.clone());
        let serving = server::serve(listener, served, Arc::new(SystemClock), options, ordered);
        let ended = tokio::spawn(async { serving.await.unwrap() });
        Self { log, stop, ended }
    }
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    pub(crate) async fn start_with(options: ServerOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = Running::start(folder.path().join("log.sqlite"), listener, options);
        let log = Arc::new(connect(address));
        Self { folder, address, running: Some(running), log }
    }

    /// The log without the server between.
    pub(crate) fn embedded(&self) -> &Arc<EmbeddedLog> {
        &self.running.as_ref().expect("it runs").log
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client as others use it.
    pub(crate) fn client(&self) -> eventstore::Client {
        client(&url(self.address))
    }

    /// Stops it in order.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.stop.cancel();
        running.ended.await.unwrap();
        running.log.close().await;
    }

    /// Starts it again, at the same address.
    pub(crate) async fn restart(&mut self) {
        self.restart_on("log.sqlite").await;
    }

    /// The same with another log.
    pub(crate) async fn restart_on(&mut self, name: &str) {
        let listener = listen_again(self.address).await;
        let path = self.folder.path().join(name);
        self.running = Some(Running::start(path, listener, ServerOptions::default()));
    }
}

impl Deref for Served {
    type Target = Arc<dyn Log>;

    fn deref(&self) -> &Arc<dyn Log> {
        &self.log
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("esdb://{address}?tls=false")
}

pub(crate) fn client(url: &str) -> eventstore::Client {
    eventstore::Client::new(url.parse().unwrap()).unwrap()
}

/// Waits for what has to happen, but not for ever.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it happens in time")
}

pub(crate) fn connect(address: SocketAddr) -> EventStoreLog {
    EventStoreLog::open(&url(address), EventStoreOptions::default()).unwrap()
}

/// Connections of the server before may still keep the port for a moment.
pub(crate) async fn listen_again(address: SocketAddr) -> TcpListener {
    soon(async {
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}
