//! `evently serve`, or one of the roles: the product or a part of it in this process, from the lock on
//! its data to the last answer.

use infra::data_folder::{DataFolder, DataFolderError};
use infra::http::Connections;
use infra::trace::Export;

use crate::app::{App, Role, StartError};
use crate::open_files;
use crate::process::{self, Ends, ProcessError};
use crate::reach;
use crate::settings::{Checked, Traces};

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Serves until a signal says to stop.
pub(crate) fn run(
    role: Role,
    settings: &Checked,
    traces: Option<Traces>,
) -> Result<(), ServeError> {
    let (service, version) = (role.service(), env!("CARGO_PKG_VERSION"));
    let export =
        traces.map(|Traces { endpoint, sampling }| Export { endpoint, sampling, service, version });
    process::run(settings, export.as_ref(), async |ends| serve(role, settings, ends).await)
}

async fn serve(role: Role, settings: &Checked, ends: &Ends) -> Result<(), ServeError> {
    let folder = DataFolder::open(&settings.data)?;
    let mut lock = folder.serve()?;
    let (listener, address) = process::listen(settings).await?;
    let app = App::start_as(role, settings, &folder).await?;
    lock.at(address)?;
    let what = match role {
        Role::Serve => "Evently sells".to_owned(),
        part => format!("Evently's {} answers", part.name()),
    };
    let (url, data) = (reach::url(address), settings.data.display());
    let described = format!("at {url}/api/v1 (described at {url}/openapi.json, data in {data})");
    process::announce(format_args!("{what} {described}"))?;

    let taking = ends.stop.child_token();
    let ending = async {
        tokio::select! {
            () = taking.cancelled() => {}
            () = ends.crashed.cancelled() => taking.cancel(),
        }
        app.end_streams();
    };
    let mut connections = Connections::up_to(open_files::connections());
    connections.proxies = settings.trusted_proxies.clone();
    connections.most_of_one = settings.connections_per_address.unwrap_or(connections.most_of_one);
    let serving = infra::http::serve_with(listener, app.edge(), connections, taking.clone());
    tokio::join!(serving, ending);
    app.stop().await;
    Ok(())
}
