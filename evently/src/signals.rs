//! Orders from the operating system.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a signal may be an echo of the first: a terminal sends one to every process of a group, and
/// whoever is told by it may pass it on.
const ECHO: Duration = Duration::from_millis(500);

/// SIGTERM and SIGINT, from the moment this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals' usual effect away: from now on they are only noticed.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Lets `work` come to its end. The first signal tells it so by `stop`; with a second one, that is
    /// no echo of the first, it is given up: `None`.
    pub(crate) async fn guard<T>(
        &mut self,
        stop: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        tokio::select! {
            done = &mut work => return Some(done),
            () = self.next() => stop.cancel(),
        }
        let first = Instant::now();
        tokio::select! {
            done = &mut work => Some(done),
            () = self.another(first) => None,
        }
    }

    /// Waits for one that comes later than an echo.
    async fn another(&mut self, first: Instant) {
        loop {
            self.next().await;
            if first.elapsed() >= ECHO {
                return;
            }
        }
    }
}
