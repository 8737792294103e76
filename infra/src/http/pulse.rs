//! Tells an idle or dawdling connection from one that is being answered, at a price of two
//! counts a request and one a write. (A timer set and cleared for each head costs 250 ns of the
//! 9,600 that a request costs in all.)

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Tells of the answers on one connection.
#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<Beats>);

#[derive(Default)]
struct Beats {
    /// One for each beginning and end of an answer, so that it is odd while there is one, and two
    /// for each write.
    count: AtomicU64,
    /// The reader has to take something before more can be written. What is left to write may be
    /// of an answer that has ended: a large one is handed over whole.
    full: AtomicBool,
}

impl Pulse {
    /// Begins an answer; it ends when this is dropped.
    pub(super) fn answering(&self) -> Answering {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// The connection's `socket`, whose writes are counted.
    pub(super) fn watch<S>(&self, socket: S) -> Watched<S> {
        Watched { socket, pulse: self.clone() }
    }

    /// Returns when for `time`, or up to twice as long, no answer began, ended or was under way, or
    /// the reader of one took nothing. One who takes something now and then is given all.
    pub(super) async fn stopped(&self, time: Duration) {
        let mut seen = None;
        loop {
            tokio::time::sleep(time).await;
            let now = self.0.count.load(Ordering::Relaxed);
            let waits = now.is_multiple_of(2) || self.0.full.load(Ordering::Relaxed);
            if waits && seen == Some(now) {
                return;
            }
            seen = Some(now);
        }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        self.0.full.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.0.count.fetch_add(2, Ordering::Relaxed);
        }
    }
}

/// An answer under way.
pub(super) struct Answering(Pulse);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A socket whose writes are counted.
pub(super) struct Watched<S> {
    socket: S,
    pulse: Pulse,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.pulse.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.pulse.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The body of an answer, which is under way until the body is sent.
pub(super) struct Answer {
    body: Body,
    _answering: Answering,
}

impl Answer {
    pub(super) fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
