//! How busy a log server is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How busy a log server is, for metrics. Cloning shares the numbers.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    connections: AtomicU64,
    subscriptions: AtomicU64,
    reads: AtomicU64,
}

impl Load {
    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Subscriptions that are followed.
    pub fn subscriptions(&self) -> u64 {
        self.0.subscriptions.load(Ordering::Relaxed)
    }

    /// Reads that were asked for since the start, without subscriptions.
    pub fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// One more, as long as what is returned lives.
    pub(super) fn subscribed(&self) -> impl Send + use<> {
        Counted::new(self, |numbers| &numbers.subscriptions)
    }

    /// One more connection, as long as it lives.
    pub(super) fn connected(&self, socket: TcpStream) -> Connection {
        let _counted = Counted::new(self, |numbers| &numbers.connections);
        Connection { socket, _counted }
    }
}

/// Counted down when it is dropped.
struct Counted {
    load: Load,
    number: fn(&Numbers) -> &AtomicU64,
}

impl Counted {
    fn new(load: &Load, number: fn(&Numbers) -> &AtomicU64) -> Self {
        number(&load.0).fetch_add(1, Ordering::Relaxed);
        Self { load: load.clone(), number }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.number)(&self.load.0).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is counted.
pub(super) struct Connection {
    socket: TcpStream,
    _counted: Counted,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
