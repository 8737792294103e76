//! `evently log-server`: the data folder's log for several processes, over the protocol of
//! EventStoreDB.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use infra::clock::SystemClock;
use infra::data_folder::{DataFolder, DataFolderError, LogError};
use infra::log::embedded::EmbeddedOptions;
use infra::log::server::{self, Credentials, ServerOptions, TlsIdentity};
use infra::telemetry::{self, TelemetryError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::crash;
use crate::open_files;
use crate::settings::Checked;
use crate::signals::Signals;

/// Who may use the log server, and what it shows them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protection {
    pub(crate) credentials: Option<Credentials>,
    /// Files with the certificate and its key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogServerError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{} cannot be read", path.display())]
    Pem {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen at {address}: name another address with --listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Serve(#[from] server::ServeError),
    #[error("the operating system gives no threads or signals")]
    System(#[source] io::Error),
    #[error("standard output cannot be written")]
    Announce(#[source] io::Error),
    #[error("a part of the program crashed, which the log above tells of; start it again")]
    Crashed,
    #[error("stopped at once, as a second signal ordered")]
    Interrupted,
}

/// Serves until a signal says to stop.
pub(crate) fn run(settings: &Checked, protection: &Protection) -> Result<(), LogServerError> {
    telemetry::init(&settings.log, settings.log_format)?;
    let crashed = crash::watch();
    let runtime = tokio::runtime::Runtime::new().map_err(LogServerError::System)?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(LogServerError::System)?;
        let stop = CancellationToken::new();
        let serving = serve(settings, protection, stop.clone(), &crashed);
        signals.guard(&stop, serving).await.unwrap_or(Err(LogServerError::Interrupted))
    });
    runtime.shutdown_background();
    outcome
}

async fn serve(
    settings: &Checked,
    protection: &Protection,
    stop: CancellationToken,
    crashed: &CancellationToken,
) -> Result<(), LogServerError> {
    open_files::take_all();
    let options = options(protection)?;
    let folder = DataFolder::open(&settings.data)?;
    // Where it listens is not told to other commands: they would ask it for the API.
    let _lock = folder.serve()?;
    let address = settings.listen;
    let listen = |source| LogServerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let log = Arc::new(folder.open_log(EmbeddedOptions::default())?);
    announce(address, protection, settings).map_err(LogServerError::Announce)?;

    let (served, clock) = (Arc::clone(&log), Arc::new(SystemClock));
    let mut serving = pin!(server::serve(listener, served, clock, options, stop.clone()));
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = crashed.cancelled() => {
            stop.cancel();
            serving.await
        }
    };
    log.close().await;
    outcome?;
    if crashed.is_cancelled() { Err(LogServerError::Crashed) } else { Ok(()) }
}

fn options(protection: &Protection) -> Result<ServerOptions, LogServerError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| LogServerError::Pem { path: path.clone(), source })
    };
    let tls = match &protection.tls {
        Some((certificate, key)) => {
            Some(TlsIdentity { certificate: read(certificate)?, key: read(key)? })
        }
        None => None,
    };
    Ok(ServerOptions { credentials: protection.credentials.clone(), tls })
}

/// The one line that says where to look.
fn announce(address: SocketAddr, protection: &Protection, settings: &Checked) -> io::Result<()> {
    let host = match (address.ip().is_unspecified(), address.is_ipv4()) {
        (true, true) => format!("127.0.0.1:{}", address.port()),
        (true, false) => format!("[::1]:{}", address.port()),
        (false, _) => address.to_string(),
    };
    let user = if protection.credentials.is_some() { "USER:PASSWORD@" } else { "" };
    let tls = if protection.tls.is_some() { "" } else { "?tls=false" };
    let data = settings.data.display();
    let mut out = io::stdout().lock();
    writeln!(out, "Evently's log is served at esdb://{user}{host}{tls} (data in {data})")?;
    out.flush()
}
