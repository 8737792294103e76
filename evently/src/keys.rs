//! Which keys the installation has. They are made with its first start, and never in place of those
//! that were lost: nothing personal could be read again, and all tokens would be worth nothing.

use std::path::PathBuf;
use std::sync::Arc;

use domain::Aggregate;
use domain::account::Account;
use infra::auth::{KeyError, Keys};
use infra::clock::{Clock, SystemClock};
use infra::data_folder::{DataFolder, DataFolderError, KeysKnown};
use infra::log::{Log as _, Position, ReadError};

use crate::log::OpenLog;
use crate::settings::Checked;

/// It is not known which keys there have to be.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// The folder says so.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// So does the log.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// There were some.
    #[error(
        "the folder {} is missing, which had the keys of this installation: restore it from a backup; \
         without it nothing personal in the log can be read again, and all tokens are worth nothing (see \
         evently keys begin-anew)",
        .0.display()
    )]
    Lost(PathBuf),
}

/// The keys that have to be there: the folder says so, or, as it did not always, the log in it.
pub(crate) async fn known(
    settings: &Checked,
    folder: &DataFolder,
    log: &OpenLog,
) -> Result<KeysKnown, KnownError> {
    let noted = folder.keys_known()?;
    let known = match log {
        OpenLog::File(log) => noted.or(KeysKnown {
            signing: log.head().await? > Position(0),
            persons: log.has_stream(&format!("{}-", Account::CATEGORY)).await?,
        }),
        // A server keeps others' records too.
        OpenLog::Server(_) => noted,
    };
    let keys = settings.shared().join("keys");
    if known.persons && !keys.exists() { Err(KnownError::Lost(keys)) } else { Ok(known) }
}

/// Notes which keys there are. A disk that is full is no reason not to start: the log says as much.
pub(crate) fn note(folder: &DataFolder, keys: KeysKnown) {
    if let Err(error) = folder.note_keys(keys) {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "it is not noted in the data folder which keys there are");
    }
}

/// What signs tokens; made if none is known of.
pub(crate) fn signing(
    settings: &Checked,
    known: KeysKnown,
    clock: Arc<dyn Clock>,
) -> Result<Keys, KeyError> {
    let data = settings.shared();
    if known.signing { Keys::load(data, clock) } else { Keys::load_or_create(data, clock) }
}

/// The same for a command beside a server, or before one.
pub(crate) fn of_commands(settings: &Checked) -> Result<Keys, CommandError> {
    let known = match DataFolder::open_existing(&settings.data) {
        Ok(folder) => folder.keys_known()?,
        // It may have keys in a folder that is shared.
        Err(DataFolderError::Missing(_)) if settings.shared.is_some() => KeysKnown::NONE,
        Err(error) => return Err(error.into()),
    };
    Ok(signing(settings, known, Arc::new(SystemClock))?)
}

/// Why a command has no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// There is no data folder.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
}
