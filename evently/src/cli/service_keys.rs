//! `evently keys service`

use std::io::{self, Write};

use clap::Subcommand;
use command_api::Accounts;
use domain::administration::{ServiceKeyOrdered, ServiceKeyRevocationOrdered};
use domain::{Scope, ServiceKeyId};
use infra::clock::{Clock, SystemClock};
use infra::identity::{IdentityStore, ServiceKey};

use super::orders::plain_word;
use super::{Failure, people};
use crate::settings::Checked;

const EXAMPLES: &str = "\
Examples:
  evently keys service create --name archive --scope audit:read
  evently keys service create --name deploy --scope projections:read --scope projections:run
  evently keys service list
  evently keys service revoke svc_01jd2yc5f9e7kbg4v1rm0n8wq3";

#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Make a key for another program, and print it: it is not kept and cannot be shown again
    ///
    /// It is sent as `Authorization: Bearer KEY`, to the endpoints under /internal alone, and servers that
    /// run take it within a second.
    #[command(after_help = EXAMPLES)]
    Create {
        /// What it is for: letters, digits and dashes. It stays readable in the log for ever
        #[arg(long, value_name = "NAME", value_parser = plain_word)]
        name: String,
        /// What it may do: audit:read, projections:read or projections:run; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
    },
    /// Print every key there was: id, name, scopes, since when, and until when if it was revoked
    List,
    /// Let a key count no more; servers that run refuse it within a second
    Revoke {
        /// Which one, as listed
        #[arg(value_name = "KEY")]
        key: ServiceKeyId,
    },
}

/// Looks after the keys of services.
pub(super) fn run(command: &ServiceCommand, settings: &Checked) -> Result<(), Failure> {
    people::with(settings, async |accounts| match command {
        ServiceCommand::Create { name, scopes } => create(accounts, name, scopes).await,
        ServiceCommand::List => list(accounts.store().await?).await,
        ServiceCommand::Revoke { key } => revoke(accounts, *key).await,
    })
}

async fn create(accounts: &Accounts, name: &str, scopes: &[Scope]) -> Result<(), Failure> {
    let store = accounts.store().await?;
    let (key, token) = ServiceKey::make(name, scopes, SystemClock.now())?;
    let (id, name, scopes) = (key.id, key.name.clone(), key.scopes.clone());
    accounts.write_down(ServiceKeyOrdered { key: id, name, scopes }.into()).await?;
    store.add_service_key(key).await?;
    // The key is what matters.
    let _ = writeln!(io::stderr(), "{id}");
    writeln!(io::stdout(), "{}", *token)?;
    Ok(())
}

async fn list(store: &dyn IdentityStore) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for key in store.service_keys().await? {
        let ServiceKey { id, name, created_at, revoked_at, .. } = &key;
        write!(out, "{id}  {name}  {}  since {created_at}", key.scope_names())?;
        match revoked_at {
            Some(at) => writeln!(out, "  revoked {at}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

async fn revoke(accounts: &Accounts, key: ServiceKeyId) -> Result<(), Failure> {
    let store = accounts.store().await?;
    if store.service_keys().await?.iter().all(|known| known.id != key) {
        return Err(Failure::Wrong(vec![format!("there is no service key {key}")]));
    }
    accounts.write_down(ServiceKeyRevocationOrdered { key }.into()).await?;
    store.revoke_service_key(key, SystemClock.now()).await?;
    writeln!(io::stdout(), "{key} is revoked")?;
    Ok(())
}
