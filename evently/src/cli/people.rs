//! The accounts of a data folder, beside a server that may run on it or not: the expected revision
//! keeps both right.

use std::sync::Arc;
use std::time::Duration;

use command_api::{Accounts, AccountsParts};
use infra::auth::Auth;
use infra::clock::{Clock, SystemClock};
use infra::data_folder::DataFolder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Failure;
use crate::identity::{self, Identity};
use crate::keys;
use crate::log::OpenLog;
use crate::settings::Checked;

/// Does `work` with the accounts of the data folder.
pub(super) fn with<T>(
    settings: &Checked,
    work: impl AsyncFnOnce(&Accounts) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let folder = DataFolder::open(&settings.data)?;
    // The keys that are made here are to be found by the next server.
    let _keys = folder.keys_in_use()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = OpenLog::open(settings, &folder)?;
        let known = keys::known(settings, &folder, &log).await?;
        let keys = Arc::new(keys::signing(settings, known, clock.clone())?);
        let store = identity::store(settings, &folder, known)?;
        let Identity { vault, passwords, mailer, .. } =
            Identity::open(settings, &folder, store, known, &clock).await?;
        let (mails, stop) = (TaskTracker::new(), CancellationToken::new());
        let auth = Auth::new(&keys, clock.clone());
        let parts =
            AccountsParts { log: log.shared(), clock, keys, auth, vault, passwords, mailer };
        let accounts = Accounts::new(parts, Duration::ZERO, mails.clone(), stop.clone());
        let outcome = work(&accounts).await;
        // A command is over when it has done what it can do at once.
        stop.cancel();
        mails.close();
        mails.wait().await;
        log.close().await;
        outcome
    })
}
