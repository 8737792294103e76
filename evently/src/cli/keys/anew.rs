//! New keys in place of those that are lost for ever.

use std::path::PathBuf;
use std::sync::Arc;

use domain::administration::KeysRenewalOrdered;
use infra::auth::Keys;
use infra::clock::{Clock, SystemClock};
use infra::data_folder::{DataFolder, KeysKnown};
use infra::identity::MasterKeys;

use crate::cli::Failure;
use crate::cli::orders::write_down;
use crate::identity::{self, Identity, IdentityError};
use crate::keys;
use crate::log::OpenLog;
use crate::settings::Checked;

const NOT_LOST: &str =
    "nothing is lost: the keys are there, and the master key fits those of persons";

const ELSEWHERE: &str = "only keys that lie in the data folder can be begun anew like this. Of those in a \
    database: drop its schema identity, and in the folder --shared set aside keys/master.key and \
    keys/identity.store; of a master key in EVENTLY_MASTER_KEY: set the right one";

/// Sets what is left of the keys aside and makes new ones; where the old ones are, if there were any.
pub(super) async fn begin(
    folder: &DataFolder,
    settings: &Checked,
) -> Result<Option<PathBuf>, Failure> {
    let elsewhere = [&settings.database_url, &settings.master_key].into_iter().any(Option::is_some);
    if elsewhere || settings.shared.is_some() {
        return Err(Failure::Wrong(vec![ELSEWHERE.to_owned()]));
    }
    // A server would go on with the keys it knows, and so would a command.
    let _serving = folder.serve()?;
    let _alone = folder.keys_alone()?;
    let (keys, signing) = (folder.path().join("keys"), "signing.pem");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut aside = None;
    if keys.exists() && is_whole(folder, settings, &clock).await? {
        return Err(Failure::Wrong(vec![NOT_LOST.to_owned()]));
    }
    write_down(settings, KeysRenewalOrdered {}).await?;
    if keys.exists() {
        let old = folder.path().join(format!("keys.lost-{}", clock.now().as_ms()));
        std::fs::rename(&keys, &old)?;
        aside = Some(old);
    }
    Keys::load_or_create(folder.path(), clock)?;
    if let Some(old) = aside.as_ref().filter(|old| old.join(signing).exists()) {
        // Tokens are none the worse.
        std::fs::copy(old.join(signing), keys.join(signing))?;
    }
    let store = identity::store(settings, folder, KeysKnown::NONE)?;
    let vault = identity::vault(settings, store, MasterKeys::load_or_create(folder.path())?);
    vault.settle().await?;
    folder.note_keys(KeysKnown { signing: true, persons: true })?;
    Ok(aside)
}

/// Whether a server would start with these keys.
async fn is_whole(
    folder: &DataFolder,
    settings: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<bool, Failure> {
    let log = OpenLog::look_at(settings)?;
    let known = keys::known(settings, folder, &log).await?;
    log.close().await;
    if !known.persons {
        return Ok(true);
    }
    let store = match identity::store(settings, folder, known) {
        Err(IdentityError::Lost(_)) => return Ok(false),
        store => store?,
    };
    match Identity::open(settings, folder, store, known, clock).await {
        Ok(identity) => Ok(identity.is_proven),
        Err(IdentityError::Master(_) | IdentityError::Vault(_) | IdentityError::WrongMaster) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
