//! `evently log-server`: the data folder's log for several processes, over the protocol of
//! EventStoreDB.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use infra::clock::SystemClock;
use infra::data_folder::{DataFolder, DataFolderError, LogError};
use infra::http::Connections;
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
use infra::log::server::{self, Credentials, Load, ServerOptions, TlsIdentity};
use tokio_util::sync::CancellationToken;

use crate::health::{self, Health};
use crate::metrics;
use crate::process::{self, Ends, ProcessError};
use crate::reach;
use crate::settings::Checked;

/// Whoever asks how it is asks seldom, and takes nothing from those who use the log.
fn connections() -> Connections {
    let drain_timeout = Duration::from_secs(2);
    Connections { drain_timeout, ..Connections::up_to(64) }
}

/// As its figures and its health name it.
pub(crate) const ROLE: &str = "log-server";

/// Who may use the log server, what it shows them, and where it tells how it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    /// For health and figures over HTTP.
    pub(crate) http: Option<SocketAddr>,
    pub(crate) credentials: Option<Credentials>,
    /// Files with the certificate and its key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogServerError {
    #[error(transparent)]
    Process(#[from] ProcessError),
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
    #[error(transparent)]
    Serve(#[from] server::ServeError),
}

/// Serves until a signal says to stop.
pub(crate) fn run(settings: &Checked, conditions: &Conditions) -> Result<(), LogServerError> {
    process::run(settings, None, async |ends| serve(settings, conditions, ends).await)
}

async fn serve(
    settings: &Checked,
    conditions: &Conditions,
    ends: &Ends,
) -> Result<(), LogServerError> {
    let options = options(conditions)?;
    let folder = DataFolder::open(&settings.data)?;
    // Where it listens is not told to other commands: they would ask it for the API.
    let _lock = folder.serve()?;
    let (listener, address) = process::listen(settings).await?;
    let figures = match conditions.http {
        Some(address) => Some(process::listen_at(address).await?),
        None => None,
    };
    let log = Arc::new(folder.open_log(EmbeddedOptions::default())?);
    let user = if conditions.credentials.is_some() { "USER:PASSWORD@" } else { "" };
    let tls = if conditions.tls.is_some() { "" } else { "?tls=false" };
    let (host, data) = (reach::host(address), settings.data.display());
    let more =
        figures.as_ref().map(|(_, address)| format!(", figures at {}", reach::url(*address)));
    let (url, more) = (format!("esdb://{user}{host}{tls}"), more.unwrap_or_default());
    process::announce(format_args!("Evently's log is served at {url} (data in {data}){more}"))?;

    // As long as the log is served, also while it stops.
    let done = CancellationToken::new();
    let telling = async {
        if let Some((listener, _)) = figures {
            let site = tells(log.clone(), options.load.clone());
            infra::http::serve_with(listener, site, connections(), done.clone()).await;
        }
    };
    let (served, clock) = (Arc::clone(&log), Arc::new(SystemClock));
    let serving = server::serve(listener, served, clock, options.clone(), ends.stop.clone());
    let serving = async {
        let mut serving = pin!(serving);
        let outcome = tokio::select! {
            outcome = &mut serving => outcome,
            () = ends.crashed.cancelled() => {
                ends.stop.cancel();
                serving.await
            }
        };
        done.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(serving, telling);
    log.close().await;
    Ok(outcome?)
}

/// Health and figures. Nothing of the log's contents is told, and nobody has to say who they are.
fn tells(log: Arc<EmbeddedLog>, load: Load) -> Router {
    health::router(Health::of_log_server(log.clone())).merge(metrics::log_server::router(log, load))
}

fn options(conditions: &Conditions) -> Result<ServerOptions, LogServerError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| LogServerError::Pem { path: path.clone(), source })
    };
    let tls = match &conditions.tls {
        Some((certificate, key)) => {
            Some(TlsIdentity { certificate: read(certificate)?, key: read(key)? })
        }
        None => None,
    };
    let credentials = conditions.credentials.clone();
    Ok(ServerOptions { credentials, tls, ..ServerOptions::default() })
}
