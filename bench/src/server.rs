//! Serves a router on a free port of the loopback, on the runtime shared by all that is compared.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A router that is being served.
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts serving, the way the product is served.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(runtime: &Runtime, router: Router) -> io::Result<Self> {
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            let stop = CancellationToken::new();
            let task = tokio::spawn(infra::http::serve(listener, router, stop.clone()));
            Ok(Self { address, stop, task })
        })
    }

    /// Stops, after all connections are closed.
    ///
    /// # Errors
    /// Serving had failed.
    pub fn stop(self, runtime: &Runtime) -> io::Result<()> {
        self.stop.cancel();
        runtime.block_on(self.task).map_err(io::Error::other)
    }
}
