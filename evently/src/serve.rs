//! `evently serve`, or one of the roles: the product or a part of it in this process, from the lock on
//! its data to the last answer.

use std::io::{self, Write};
use std::net::SocketAddr;

use infra::data_folder::{DataFolder, DataFolderError};
use infra::http::Connections;
use infra::telemetry::{self, TelemetryError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Role, StartError};
use crate::crash;
use crate::open_files;
use crate::reach;
use crate::settings::Checked;
use crate::signals::Signals;

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    #[error("cannot listen at {address}: name another address with --listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
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
pub(crate) fn run(role: Role, settings: &Checked) -> Result<(), ServeError> {
    telemetry::init(&settings.log, settings.log_format)?;
    let crashed = crash::watch();
    let runtime = tokio::runtime::Runtime::new().map_err(ServeError::System)?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(ServeError::System)?;
        let stop = CancellationToken::new();
        let serving = serve(role, settings, stop.clone(), &crashed);
        signals.guard(&stop, serving).await.unwrap_or(Err(ServeError::Interrupted))
    });
    // What is left after an orderly end waits for nobody; after a hasty one nobody waits for it.
    runtime.shutdown_background();
    outcome
}

async fn serve(
    role: Role,
    settings: &Checked,
    stop: CancellationToken,
    crashed: &CancellationToken,
) -> Result<(), ServeError> {
    open_files::take_all();
    let folder = DataFolder::open(&settings.data)?;
    let mut lock = folder.serve()?;
    let address = settings.listen;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let app = App::start_as(role, settings, &folder).await?;
    lock.at(address)?;
    announce(role, address, settings).map_err(ServeError::Announce)?;

    let taking = stop.child_token();
    let ending = async {
        tokio::select! {
            () = taking.cancelled() => {}
            () = crashed.cancelled() => taking.cancel(),
        }
        app.end_streams();
    };
    let connections = Connections { most: open_files::connections(), ..Connections::default() };
    let serving = infra::http::serve_with(listener, app.edge(), connections, taking.clone());
    tokio::join!(serving, ending);
    app.stop().await;
    if crashed.is_cancelled() { Err(ServeError::Crashed) } else { Ok(()) }
}

/// The one line that says where to look.
fn announce(role: Role, address: SocketAddr, settings: &Checked) -> io::Result<()> {
    let data = settings.data.display();
    let mut out = io::stdout().lock();
    let url = reach::url(address);
    let what = match role {
        Role::Serve => "Evently sells".to_owned(),
        part => format!("Evently's {} answers", part.name()),
    };
    writeln!(out, "{what} at {url}/api/v1 (described at {url}/openapi.json, data in {data})")?;
    out.flush()
}
