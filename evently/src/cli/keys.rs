//! `evently keys`

use std::io::{self, Write};

use clap::Subcommand;
use infra::auth::Keys;
use infra::data_folder::DataFolder;
use infra::identity::{MasterKeys, Vault};

use super::Failure;
use crate::identity;
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently keys rotate-signing
  evently keys rotate-signing --forget-old
  evently keys rotate-master
  EVENTLY_MASTER_KEY=NEW,OLD evently keys rotate-master";

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Sign access tokens with another key
    ///
    /// Makes a new key in the data folder, which a server that runs takes within a second. Tokens that
    /// were signed before go on until they expire. Prints how many keys verify from now on.
    #[command(after_help = EXAMPLES)]
    RotateSigning {
        /// Let nothing that was signed before count any more, as after a leak; who is logged in stays so
        /// with their refresh token
        #[arg(long)]
        forget_old: bool,
    },
    /// Wrap the keys of all persons with another master key
    ///
    /// Without EVENTLY_MASTER_KEY: makes a new key in the data folder, wraps everything with it and
    /// forgets the old one; no server may run meanwhile. With EVENTLY_MASTER_KEY: wraps everything with
    /// the first of its keys; servers may run if they know it. Prints how many keys were wrapped anew.
    #[command(after_help = EXAMPLES)]
    RotateMaster,
}

/// Takes other keys.
pub(super) fn run(command: &KeysCommand, settings: &Checked) -> Result<(), Failure> {
    let folder = DataFolder::open_existing(&settings.data)?;
    match command {
        KeysCommand::RotateSigning { forget_old } => {
            let count = Keys::rotate(settings.shared(), *forget_old)?;
            let says = if count == 1 { "key verifies" } else { "keys verify" };
            writeln!(io::stdout(), "{count} {says} tokens")?;
        }
        KeysCommand::RotateMaster => {
            let count = rotate_master(&folder, settings)?;
            writeln!(io::stdout(), "{count} keys are wrapped anew")?;
        }
    }
    Ok(())
}

/// Wraps all keys anew; how many there were.
fn rotate_master(folder: &DataFolder, settings: &Checked) -> Result<u64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = identity::store(settings, folder)?;
    runtime.block_on(async {
        match &settings.master_key {
            Some(keys) => {
                let vault = Vault::new(store, MasterKeys::parse(keys.reveal())?);
                Ok(vault.rewrap().await?)
            }
            None => {
                // A server would go on wrapping with the key it knows.
                let _lock = folder.serve()?;
                let vault = Vault::new(store, MasterKeys::renew(settings.shared())?);
                let count = vault.rewrap().await?;
                vault.into_masters().forget_old(settings.shared())?;
                Ok(count)
            }
        }
    })
}
