//! What accounts need beside the log: where keys of persons lie, who hashes, who writes mails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra::clock::Clock;
use infra::data_folder::{DataFolder, KeysKnown};
use infra::identity::{
    IdentityStore, KeyId, MasterError, MasterKeys, PostgresIdentity, PromptIdentity, Reasons,
    SqliteIdentity, StoreError, Vault, VaultError,
};
use infra::mail::{self, FolderMailer, Mailer, SmtpMailer, Swept};
use infra::passwords::{Cost, PasswordError, Passwords};
use infra::postgres;
use sqlx::PgPool;

use crate::settings::Checked;

/// Connections to the database server: log-ins are few beside what is read.
const CONNECTIONS: u32 = 8;

/// How long a database may take to say which keys are in it before the start goes on without.
const ANSWER: Duration = Duration::from_secs(3);

/// How long it may take for anything else before it counts as away. Less than a pool takes to give
/// up, so that whoever logs in is told by who knows why.
const LONGEST_ANSWER: Duration = Duration::from_secs(4);

/// Why there are no accounts.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The master key.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// The file with keys and sessions.
    #[error(
        "the keys of persons cannot be opened: if keys/identity.sqlite is damaged, restore it from a backup; \
         without it nothing personal can be read again (see evently keys begin-anew)"
    )]
    Store(#[from] StoreError),
    /// There was one.
    #[error(
        "{}, with the keys of persons, is missing, though people have accounts here: restore it from a \
         backup, or name the database that has them with DATABASE_URL; without them nothing personal can \
         be read again (see evently keys begin-anew)",
        .0.display()
    )]
    Lost(PathBuf),
    /// It is another one, or empty.
    #[error(transparent)]
    Vault(VaultError),
    /// The master key is not theirs.
    #[error(
        "the master key does not fit the keys of persons: name the folder that has it and that processes \
         share (--shared), restore keys/master.key from a backup, or set EVENTLY_MASTER_KEY to the key that \
         wrapped them; with another one nothing personal can be read"
    )]
    WrongMaster,
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
    /// Whether the store was there and the master key fits it.
    pub(crate) is_proven: bool,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) mailer: Arc<dyn Mailer>,
}

impl Identity {
    /// Opens all of it around the store, made if no keys of persons are known of. A database that is
    /// away is no error: it is connected to when needed, and proven then.
    pub(crate) async fn open(
        settings: &Checked,
        folder: &DataFolder,
        store: Arc<dyn IdentityStore>,
        known: KeysKnown,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        let mails = DataFolder::mail(settings.shared());
        let mailer: Arc<dyn Mailer> = match &settings.mail {
            Some((url, from)) => Arc::new(SmtpMailer::new(url.reveal(), from, clock.clone())?),
            None => Arc::new(FolderMailer::new(&mails, clock.clone())),
        };
        // Mails from before there was a mail server are in the same folder; others are from before
        // one was shared.
        let earlier = [DataFolder::mail(folder.path())];
        let mailer = Arc::new(Swept::new(mailer, &mails, &earlier, clock.clone()));
        let (vault, is_proven) = prove(settings, store, known).await?;
        let passwords = Passwords::start(Cost::OWASP)?;
        Ok(Self { vault: Arc::new(vault), is_proven, passwords: Arc::new(passwords), mailer })
    }
}

/// The keys of the installation, and whether it was seen that they belong together.
async fn prove(
    settings: &Checked,
    store: Arc<dyn IdentityStore>,
    known: KeysKnown,
) -> Result<(Vault, bool), IdentityError> {
    let index = tokio::time::timeout(ANSWER, store.key(KeyId::Index)).await;
    let is_used = known.persons || matches!(index, Ok(Ok(Some(_))));
    let vault = vault(settings, store, masters(settings, is_used)?);
    match index {
        Ok(Err(error)) if settings.database_url.is_none() => return Err(error.into()),
        Err(_) | Ok(Err(_)) => {
            tracing::warn!(
                "the database does not answer: whether the master key fits the keys of persons in it \
                 is seen when they are needed"
            );
            return Ok((vault, false));
        }
        Ok(Ok(_)) => {}
    }
    let settled = if is_used { vault.settle_used().await } else { vault.settle().await };
    match settled {
        Ok(()) => Ok((vault, true)),
        Err(VaultError::Unreadable) => Err(IdentityError::WrongMaster),
        Err(error) => Err(IdentityError::Vault(error)),
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

/// What opens the reasons of admins for auditors: the keys of the installation, once there is a master key.
pub(crate) fn reasons(settings: &Checked, store: Arc<dyn IdentityStore>) -> Reasons {
    let settings = settings.clone();
    Reasons::by(move || {
        let masters = match &settings.master_key {
            Some(keys) => MasterKeys::parse(keys.reveal())?,
            None => MasterKeys::load(settings.shared())?,
        };
        Ok(vault(&settings, store.clone(), masters))
    })
}

/// Where keys and sessions are kept; made if no keys of persons are known of. A database that is away is
/// no error: it is connected to when needed, and nobody waits for it while it is known to be away.
pub(crate) fn store(
    settings: &Checked,
    folder: &DataFolder,
    known: KeysKnown,
) -> Result<Arc<dyn IdentityStore>, IdentityError> {
    store_in(settings, folder, known).map(|(store, _)| store)
}

/// The same, and the database they are in, if that is a server.
pub(crate) fn store_in(
    settings: &Checked,
    folder: &DataFolder,
    known: KeysKnown,
) -> Result<(Arc<dyn IdentityStore>, Option<PgPool>), IdentityError> {
    let file = folder.identity();
    if known.persons && settings.database_url.is_none() && !file.exists() {
        return Err(IdentityError::Lost(file));
    }
    let Some(url) = &settings.database_url else {
        return Ok((Arc::new(SqliteIdentity::open(&file)?), None));
    };
    let pool = postgres::connect(url.reveal(), CONNECTIONS)?;
    let store = PromptIdentity::new(PostgresIdentity::new(pool.clone()), LONGEST_ANSWER);
    Ok((Arc::new(store), Some(pool)))
}

/// What wraps them; made if they wrap nothing yet.
fn masters(settings: &Checked, is_used: bool) -> Result<MasterKeys, IdentityError> {
    Ok(match &settings.master_key {
        Some(keys) => MasterKeys::parse(keys.reveal())?,
        None if is_used => MasterKeys::load(settings.shared())?,
        None => MasterKeys::load_or_create(settings.shared())?,
    })
}
