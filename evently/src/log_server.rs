//! `evently log-server`: the data folder's log for several processes, over the protocol of
//! EventStoreDB.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use infra::clock::SystemClock;
use infra::data_folder::{DataFolder, DataFolderError, LogError};
use infra::log::embedded::EmbeddedOptions;
use infra::log::server::{self, Credentials, ServerOptions, TlsIdentity};

use crate::process::{self, Ends, ProcessError};
use crate::reach;
use crate::settings::Checked;

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
pub(crate) fn run(settings: &Checked, protection: &Protection) -> Result<(), LogServerError> {
    process::run(settings, None, async |ends| serve(settings, protection, ends).await)
}

async fn serve(
    settings: &Checked,
    protection: &Protection,
    ends: &Ends,
) -> Result<(), LogServerError> {
    let options = options(protection)?;
    let folder = DataFolder::open(&settings.data)?;
    // Where it listens is not told to other commands: they would ask it for the API.
    let _lock = folder.serve()?;
    let (listener, address) = process::listen(settings).await?;
    let log = Arc::new(folder.open_log(EmbeddedOptions::default())?);
    let user = if protection.credentials.is_some() { "USER:PASSWORD@" } else { "" };
    let tls = if protection.tls.is_some() { "" } else { "?tls=false" };
    let (host, data) = (reach::host(address), settings.data.display());
    let url = format!("esdb://{user}{host}{tls}");
    process::announce(format_args!("Evently's log is served at {url} (data in {data})"))?;

    let (served, clock) = (Arc::clone(&log), Arc::new(SystemClock));
    let mut serving = pin!(server::serve(listener, served, clock, options, ends.stop.clone()));
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = ends.crashed.cancelled() => {
            ends.stop.cancel();
            serving.await
        }
    };
    log.close().await;
    Ok(outcome?)
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
