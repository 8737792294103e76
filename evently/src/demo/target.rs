//! The server the demo runs against: one that runs, or its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use infra::auth::Keys;
use infra::data_folder::{DataFolder, DataFolderError, Serving};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::DemoError;
use crate::app::App;
use crate::keys;
use crate::reach;
use crate::settings::Checked;

/// Where to sell.
pub(crate) struct Target {
    url: String,
    settings: Checked,
    keys: Arc<Keys>,
    own: Option<OwnServer>,
}

/// A server in this process, on a folder made for it.
struct OwnServer {
    app: App,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    lock: Serving,
    folder: TempDir,
}

impl Target {
    /// The server at `url`, or else the one on the data folder, or else one of its own.
    pub(crate) async fn find(settings: &Checked, url: Option<&str>) -> Result<Self, DemoError> {
        let running = match DataFolder::open_existing(&settings.data) {
            Ok(folder) => folder.running()?.and_then(|running| running.address),
            Err(DataFolderError::Missing(_)) if url.is_none() => None,
            Err(error) => return Err(error.into()),
        };
        match (url, running) {
            (Some(url), _) => Self::running(url.trim_end_matches('/').to_owned(), settings),
            (None, Some(address)) => Self::running(reach::url(address), settings),
            (None, None) => Self::own(settings).await,
        }
    }

    fn running(url: String, settings: &Checked) -> Result<Self, DemoError> {
        let keys = Arc::new(keys::of_commands(settings)?);
        Ok(Self { url, settings: settings.clone(), keys, own: None })
    }

    async fn own(settings: &Checked) -> Result<Self, DemoError> {
        let temporary = tempfile::Builder::new().prefix("evently-demo-").tempdir();
        let temporary = temporary.map_err(DemoError::Own)?;
        let (data, base) = (temporary.path().to_owned(), settings.clone());
        // The whole crowd comes from this machine.
        let (database_url, log_url, redis_url, rates) = (None, None, None, None);
        // Nor does anybody hear of it.
        let (shared, kafka) = (None, None);
        let base = Checked { database_url, log_url, redis_url, shared, kafka, ..base };
        let settings = Checked { data, rates, ..base };
        let folder = DataFolder::open(&settings.data)?;
        let mut lock = folder.serve()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(DemoError::Own)?;
        let address = listener.local_addr().map_err(DemoError::Own)?;
        let app = App::start(&settings, &folder).await?;
        lock.at(address)?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(infra::http::serve(listener, app.edge(), stop.clone()));
        let keys = Arc::new(keys::of_commands(&settings)?);
        let own = OwnServer { app, stop, serving, lock, folder: temporary };
        Ok(Self { url: reach::url(address), settings, keys, own: Some(own) })
    }

    /// The address without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.settings.data
    }

    /// How its log is found.
    pub(super) fn settings(&self) -> &Checked {
        &self.settings
    }

    /// What signs its tokens.
    pub(super) fn keys(&self) -> Arc<Keys> {
        self.keys.clone()
    }

    /// Whether it was started for the demo.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Stops the server if it is the demo's own. Its data is gone then, unless it is to be kept:
    /// the log, and all that cannot be had from it again. Says where that is.
    pub(crate) async fn release(self, keep: bool) -> Option<PathBuf> {
        let own = self.own?;
        own.stop.cancel();
        own.app.end_streams();
        // It ends when all connections are closed.
        let _ = own.serving.await;
        own.app.stop().await;
        let kept = keep.then(|| {
            let views = DataFolder::open_existing(own.folder.path()).map(|folder| folder.views());
            // They are only larger than the rest; nothing is wrong with leaving them.
            let _ = views.map(std::fs::remove_dir_all);
            own.folder.keep()
        });
        drop(own.lock);
        kept
    }
}
