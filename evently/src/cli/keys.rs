//! `evently keys`

mod anew;

use std::collections::HashSet;
use std::io::{self, Write};

use clap::Subcommand;
use domain::administration::{MasterKeyRotationOrdered, SigningKeyRotationOrdered};
use domain::{StoredFact as _, UserId, account};
use infra::auth::Keys;
use infra::data_folder::DataFolder;
use infra::identity::{MasterKeys, Vault};
use infra::log::{Log, Position};

use super::Failure;
use super::orders::{plain_word, write_down};
use crate::identity;
use crate::log::OpenLog;
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently keys rotate-signing
  evently keys rotate-signing --forget-old --reason leak
  evently keys rotate-master
  EVENTLY_MASTER_KEY=NEW,OLD evently keys rotate-master
  evently keys service create --name archive --scope audit:read
  evently keys begin-anew";

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Sign access tokens with another key
    ///
    /// Makes a new key in the data folder, which a server that runs takes within a second. Tokens that
    /// were signed before go on until they expire. The log says before that it was ordered. Prints how
    /// many keys verify from now on.
    #[command(after_help = EXAMPLES)]
    RotateSigning {
        /// Let nothing that was signed before count any more, as after a leak; who is logged in stays so
        /// with their refresh token
        #[arg(long)]
        forget_old: bool,
        /// Why: letters, digits and dashes. It stays readable in the log for ever
        #[arg(long, value_name = "WORD", value_parser = plain_word)]
        reason: Option<String>,
    },
    /// Wrap the keys of all persons with another master key
    ///
    /// Without EVENTLY_MASTER_KEY: makes a new key in the data folder, wraps everything with it and
    /// forgets the old one; no server may run meanwhile, and nothing may be shared with others. With
    /// EVENTLY_MASTER_KEY: wraps everything with the first of its keys; servers may run if they know it.
    /// Nothing is changed unless everybody in the log has a key. Prints how many keys were wrapped anew.
    #[command(after_help = EXAMPLES)]
    RotateMaster,
    /// Look after the keys of other programs, for the endpoints under /internal
    #[command(subcommand)]
    Service(super::service_keys::ServiceCommand),
    /// Go on with new keys where the keys of persons are lost for ever
    ///
    /// For a data folder whose server does not start because its master key, or the store of what it
    /// wraps, is lost and no backup has it. Makes new ones, so that tickets can be sold again. Nobody who
    /// has an account can log in with it any more, and what is personal in the log is noise; they may
    /// register again. What is left of the old keys is set aside, not deleted. Does nothing if nothing
    /// is lost.
    #[command(after_help = EXAMPLES)]
    BeginAnew,
}

/// Takes other keys.
pub(super) fn run(command: &KeysCommand, settings: &Checked) -> Result<(), Failure> {
    match command {
        KeysCommand::RotateSigning { forget_old, reason } => {
            let order =
                SigningKeyRotationOrdered { forgets_old: *forget_old, reason: reason.clone() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(write_down(settings, order))?;
            let count = Keys::rotate(settings.shared(), *forget_old)?;
            let says = if count == 1 { "key verifies" } else { "keys verify" };
            writeln!(io::stdout(), "{count} {says} tokens")?;
        }
        KeysCommand::RotateMaster => {
            let folder = DataFolder::open_existing(&settings.data)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let count = runtime.block_on(rotate_master(&folder, settings))?;
            writeln!(io::stdout(), "{count} keys are wrapped anew")?;
        }
        KeysCommand::Service(command) => super::service_keys::run(command, settings)?,
        KeysCommand::BeginAnew => {
            let folder = DataFolder::open_existing(&settings.data)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let old = runtime.block_on(anew::begin(&folder, settings))?;
            let old =
                old.map(|old| format!("; what is left of the old ones is in {}", old.display()));
            writeln!(io::stdout(), "there are new keys{}", old.unwrap_or_default())?;
        }
    }
    Ok(())
}

const SHARED: &str = "the master key in a shared folder, or of keys in a database, is known to every \
    process that runs, which would go on with it: set EVENTLY_MASTER_KEY=NEW,OLD for all of them, NEW \
    being 32 new bytes in base64 and OLD what they have now (in keys/master.key), run this with it, and \
    then set NEW alone";

pub(super) const NOWHERE: &str = "there are no keys of persons in the data folder: name the database that the server \
    has with DATABASE_URL, or the server's data folder with --data";

/// Wraps all keys anew; how many there were.
async fn rotate_master(folder: &DataFolder, settings: &Checked) -> Result<u64, Failure> {
    let is_shared = settings.shared.is_some() || settings.database_url.is_some();
    if is_shared && settings.master_key.is_none() {
        return Err(Failure::Wrong(vec![SHARED.to_owned()]));
    }
    if settings.database_url.is_none() && !folder.identity().exists() {
        return Err(Failure::Wrong(vec![NOWHERE.to_owned()]));
    }
    if let Some(keys) = &settings.master_key {
        let store = identity::store(settings, folder, folder.keys_known()?)?;
        let vault = identity::vault(settings, store, MasterKeys::parse(keys.reveal())?);
        prove_complete(&vault, settings).await?;
        write_down(settings, MasterKeyRotationOrdered {}).await?;
        return Ok(vault.rewrap().await?);
    }
    // A server would go on wrapping with the key it knows, and so would a command.
    let _serving = folder.serve()?;
    let _alone = folder.keys_alone()?;
    let (shared, store) =
        (settings.shared(), identity::store(settings, folder, folder.keys_known()?)?);
    let vault = identity::vault(settings, store.clone(), MasterKeys::load_or_create(shared)?);
    prove_complete(&vault, settings).await?;
    write_down(settings, MasterKeyRotationOrdered {}).await?;
    let vault = identity::vault(settings, store, MasterKeys::renew(shared)?);
    let count = vault.rewrap().await?;
    vault.into_masters().forget_old(shared)?;
    Ok(count)
}

/// Sees that these are the keys of everybody in the log, before any key is given up that others may
/// need.
async fn prove_complete(vault: &Vault, settings: &Checked) -> Result<(), Failure> {
    let log = OpenLog::look_at(settings)?;
    let missing = everybody(&*log.shared()).await?.difference(&vault.people().await?).count();
    log.close().await;
    if missing == 0 {
        return Ok(());
    }
    Err(Failure::Wrong(vec![format!(
        "{missing} of the accounts in the log have no key in this identity store: it is not the one that \
         the server has, and nothing was changed"
    )]))
}

/// Whoever has an account and is not erased.
async fn everybody(log: &dyn Log) -> Result<HashSet<UserId>, Failure> {
    const PAGE: usize = 8_192;
    let (mut people, mut after) = (HashSet::new(), Position(0));
    loop {
        let page = log.read_all(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(people) };
        after = last.position;
        for record in page.iter().filter(|it| it.stream.starts_with("account-")) {
            match account::Fact::decode(&record.kind, record.version, &record.data)? {
                account::Fact::AccountRegistered(fact) => people.insert(fact.user),
                account::Fact::AccountErased(fact) => people.remove(&fact.user),
                _ => false,
            };
        }
    }
}
