//! `evently keys`

use std::io::{self, Write};

use clap::Subcommand;
use infra::data_folder::DataFolder;
use infra::identity::{MasterKeys, Vault};

use super::Failure;
use crate::identity;
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently keys rotate-master
  EVENTLY_MASTER_KEY=NEW,OLD evently keys rotate-master";

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Wrap the keys of all persons with another master key
    ///
    /// Without EVENTLY_MASTER_KEY: makes a new key in the data folder, wraps everything with it and
    /// forgets the old one; no server may run meanwhile. With EVENTLY_MASTER_KEY: wraps everything with
    /// the first of its keys; servers may run if they know it. Prints how many keys were wrapped anew.
    #[command(after_help = EXAMPLES)]
    RotateMaster,
}

/// Wraps all keys anew.
pub(super) fn run(command: &KeysCommand, settings: &Checked) -> Result<(), Failure> {
    let KeysCommand::RotateMaster = command;
    let folder = DataFolder::open_existing(&settings.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = identity::store(settings, &folder)?;
    let count = runtime.block_on(async {
        match &settings.master_key {
            Some(keys) => {
                let vault = Vault::new(store, MasterKeys::parse(keys.reveal())?);
                Ok::<_, Failure>(vault.rewrap().await?)
            }
            None => {
                // A server would go on wrapping with the key it knows.
                let _lock = folder.serve()?;
                let vault = Vault::new(store, MasterKeys::renew(folder.path())?);
                let count = vault.rewrap().await?;
                vault.into_masters().forget_old(folder.path())?;
                Ok(count)
            }
        }
    })?;
    writeln!(io::stdout(), "{count} keys are wrapped anew")?;
    Ok(())
}
