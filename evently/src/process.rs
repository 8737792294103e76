//! What every command has that serves: threads, signals, a port, and how it ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;

use infra::telemetry::{self, TelemetryError};
use infra::trace::Export;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::crash;
use crate::open_files;
use crate::settings::Checked;
use crate::signals::Signals;

/// Why it did not serve, or not until it was told to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("cannot listen at {address}: name another address with --listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the operating system gives no threads or signals")]
    System(#[source] io::Error),
    #[error("standard output cannot be written")]
    Announce(#[source] io::Error),
    #[error("a part of the program crashed, which the log above tells of; start it again")]
    Crashed,
    #[error("stopped at once, as a second signal ordered")]
    Interrupted,
}

/// What ends a process that serves.
pub(crate) struct Ends {
    /// A signal, and what the process does about another end.
    pub(crate) stop: CancellationToken,
    /// A panic that was no request's.
    pub(crate) crashed: CancellationToken,
}

/// Runs `serve` until it ends, which some are told of in traces. A first signal tells it to stop, a second ends it at once.
pub(crate) fn run<E: From<ProcessError>>(
    settings: &Checked,
    export: Option<&Export>,
    serve: impl AsyncFnOnce(&Ends) -> Result<(), E>,
) -> Result<(), E> {
    let telemetry = telemetry::init_with_traces(&settings.log, settings.log_format, export);
    let telemetry = telemetry.map_err(ProcessError::Telemetry)?;
    for unknown in &settings.unknown {
        tracing::warn!("{unknown}");
    }
    let ends = Ends { crashed: crash::watch(), stop: CancellationToken::new() };
    let runtime = tokio::runtime::Runtime::new().map_err(ProcessError::System)?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(ProcessError::System)?;
        open_files::take_all();
        let served = signals.guard(&ends.stop, serve(&ends)).await;
        served.unwrap_or(Err(ProcessError::Interrupted.into()))
    });
    // What is left after an orderly end waits for nobody; after a hasty one nobody waits for it.
    runtime.shutdown_background();
    telemetry.end();
    outcome?;
    if ends.crashed.is_cancelled() { Err(ProcessError::Crashed.into()) } else { Ok(()) }
}

/// Takes the port that the settings name, and says which one it is.
pub(crate) async fn listen(settings: &Checked) -> Result<(TcpListener, SocketAddr), ProcessError> {
    listen_at(settings.listen).await
}

/// The same, of any port.
pub(crate) async fn listen_at(
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ProcessError> {
    let refused = |source| ProcessError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Prints the one line that says where to look.
pub(crate) fn announce(line: impl Display) -> Result<(), ProcessError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(ProcessError::Announce)
}
