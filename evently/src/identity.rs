//! What accounts need beside the log: where keys of persons lie, who hashes, who writes mails.

use std::sync::Arc;

use infra::clock::Clock;
use infra::data_folder::DataFolder;
use infra::identity::{
    IdentityStore, MasterError, MasterKeys, PostgresIdentity, SqliteIdentity, StoreError, Vault,
};
use infra::mail::{self, FolderMailer, Mailer, SmtpMailer, Swept};
use infra::passwords::{Cost, PasswordError, Passwords};
use infra::postgres;

use crate::settings::Checked;

/// Connections to the database server: log-ins are few beside what is read.
const CONNECTIONS: u32 = 8;

/// Why there are no accounts.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The master key.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// The file with keys and sessions.
    #[error("the keys of persons cannot be opened")]
    Store(#[from] StoreError),
    /// The address of the database is none.
    #[error("DATABASE_URL cannot be used")]
    Database(#[from] postgres::AddressError),
    /// The address of the mail server is none.
    #[error("mails cannot be sent")]
    Mail(#[from] mail::AddressError),
    /// Nobody hashes.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
}

/// What accounts need beside the log.
pub(crate) struct Identity {
    pub(crate) vault: Arc<Vault>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) mailer: Arc<dyn Mailer>,
}

impl Identity {
    /// Opens all of it around the store.
    pub(crate) fn open(
        settings: &Checked,
        folder: &DataFolder,
        store: Arc<dyn IdentityStore>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        let mails = DataFolder::mail(settings.shared());
        let mailer: Arc<dyn Mailer> = match &settings.mail {
            Some((url, from)) => Arc::new(SmtpMailer::new(url.reveal(), from, clock.clone())?),
            None => Arc::new(FolderMailer::new(&mails, clock.clone())),
        };
        // Mails from before there was a mail server, or a folder that is shared.
        let earlier = vec![mails, DataFolder::mail(folder.path())];
        let mailer = Arc::new(Swept::new(mailer, earlier));
        let vault = vault(settings, store, masters(settings)?);
        let passwords = Passwords::start(Cost::OWASP)?;
        Ok(Self { vault: Arc::new(vault), passwords: Arc::new(passwords), mailer })
    }
}

/// The keys of the installation, as wrapped by `masters`.
pub(crate) fn vault(
    settings: &Checked,
    store: Arc<dyn IdentityStore>,
    masters: MasterKeys,
) -> Vault {
    Vault::new(store, masters).bound_to(settings.shared())
}

/// Where keys and sessions are kept. A database that is away is no error: it is connected to when
/// needed.
pub(crate) fn store(
    settings: &Checked,
    folder: &DataFolder,
) -> Result<Arc<dyn IdentityStore>, IdentityError> {
    Ok(match &settings.database_url {
        Some(url) => {
            let pool = postgres::connect(url.reveal(), CONNECTIONS)?;
            Arc::new(PostgresIdentity::new(pool))
        }
        None => Arc::new(SqliteIdentity::open(&folder.identity())?),
    })
}

/// What wraps them.
fn masters(settings: &Checked) -> Result<MasterKeys, IdentityError> {
    Ok(match &settings.master_key {
        Some(keys) => MasterKeys::parse(keys.reveal())?,
        None => MasterKeys::load_or_create(settings.shared())?,
    })
}
