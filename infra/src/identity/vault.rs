//! Makes keys, seals with them, and destroys them (AC-3).

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::account::Email;
use domain::{EmailHash, LoginHash, UserId};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::binding::{self, Binding};
use super::master::MasterKeys;
use super::person::PersonKey;
use super::{IdentityStore, Kept, KeyId, StoreError};
use crate::ids::{self, NoRandomness};

/// Keeps the secret of clients' keys apart from every other use of BLAKE3.
const REQUESTS: &str = "evently 2026-11 idempotency keys that clients sent";

/// Keys read at a time when all are wrapped anew.
const PAGE: usize = 500;

/// Why something is not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The keys cannot be had at the moment.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The person is forgotten: their key is destroyed.
    #[error("the person was erased")]
    Erased,
    /// The person has no key here and never had one.
    #[error(
        "the identity store has no key of the person: is it the one that the server uses \
         (DATABASE_URL, or the data folder)?"
    )]
    Unknown,
    /// The keys of this installation are in another store, or this one is empty.
    #[error(
        "the identity store is not the one that holds the keys of this installation: set DATABASE_URL \
         as it was, or not at all if it was not; or restore the keys folder from a backup"
    )]
    Foreign,
    /// It is not known which store belongs to the installation.
    #[error("the name of the identity store cannot be read or written")]
    Binding(#[source] io::Error),
    /// No master key at hand unwraps the key, or it does not open what is sealed.
    #[error("what is personal cannot be read: is this the master key it was sealed under?")]
    Unreadable,
    /// No key could be made.
    #[error("cannot make a key")]
    Randomness(#[from] NoRandomness),
}

/// The keys, by way of the store and the master keys.
pub struct Vault {
    store: Arc<dyn IdentityStore>,
    masters: MasterKeys,
    binding: Option<Binding>,
    index: OnceCell<Zeroizing<[u8; 32]>>,
    is_settled: OnceCell<()>,
}

impl Vault {
    /// The keys in `store`, as wrapped by `masters`.
    pub fn new(store: Arc<dyn IdentityStore>, masters: MasterKeys) -> Self {
        let (index, is_settled) = (OnceCell::new(), OnceCell::new());
        Self { store, masters, binding: None, index, is_settled }
    }

    /// The same for the installation whose master key lies in the folder `shared`: no other store
    /// than the one that was first used from there will do.
    #[must_use]
    pub fn bound_to(self, shared: &Path) -> Self {
        Self { binding: Some(Binding::in_folder(shared)), ..self }
    }

    /// Sees that the store is the one that belongs here and that the master key fits it; makes a
    /// new one ready, and notes that it is the one.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] or [`VaultError::Unreadable`]; see [`VaultError`].
    pub async fn settle(&self) -> Result<(), VaultError> {
        self.is_settled.get_or_try_init(|| self.settle_once()).await?;
        Ok(())
    }

    /// The same of a store that has to be in use already.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] if it is empty; see [`Self::settle`].
    pub async fn settle_used(&self) -> Result<(), VaultError> {
        self.known_index().await?.ok_or(VaultError::Foreign)?;
        self.settle().await
    }

    async fn settle_once(&self) -> Result<(), VaultError> {
        let index = match self.known_index().await? {
            Some(index) => index,
            None => self.index.get_or_try_init(|| self.make_unchecked(KeyId::Index)).await?,
        };
        let Some(binding) = &self.binding else { return Ok(()) };
        let name = binding::name(index);
        let noted = binding.write(&name).map_err(VaultError::Binding)?;
        if noted == name { Ok(()) } else { Err(VaultError::Foreign) }
    }

    /// What addresses are found by, if this is a store in use and the right one. `None` is a new
    /// store in a folder from which none was used yet.
    async fn known_index(&self) -> Result<Option<&Zeroizing<[u8; 32]>>, VaultError> {
        if let Some(index) = self.index.get() {
            return Ok(Some(index));
        }
        let noted = self.binding.as_ref().map_or(Ok(None), Binding::read);
        let noted = noted.map_err(VaultError::Binding)?;
        let Some(kept) = self.store.key(KeyId::Index).await? else {
            return if noted.is_none() { Ok(None) } else { Err(VaultError::Foreign) };
        };
        let index = self.unwrap(KeyId::Index, &kept)?;
        if noted.is_some_and(|noted| noted != binding::name(&index)) {
            return Err(VaultError::Foreign);
        }
        Ok(Some(self.index.get_or_init(|| async { index }).await))
    }

    /// What clients' idempotency keys are hashed with before they are stored: the same in all
    /// processes of an installation, as it is made of the name of its store. So it is known also
    /// while the store is away; absent as long as nobody used one from here.
    pub fn requests(&self) -> Option<Zeroizing<[u8; 32]>> {
        let noted = || self.binding.as_ref().and_then(|binding| binding.read().ok().flatten());
        let name = self.index.get().map(|index| binding::name(index)).or_else(noted)?;
        Some(Zeroizing::new(blake3::derive_key(REQUESTS, name.as_bytes())))
    }

    /// Where they are kept.
    pub fn store(&self) -> &dyn IdentityStore {
        &*self.store
    }

    /// The key of a person; made if there is none.
    ///
    /// # Errors
    /// [`VaultError::Erased`] if it was destroyed; see [`VaultError`].
    pub async fn make_person(&self, user: UserId) -> Result<PersonKey, VaultError> {
        let key = self.make(KeyId::Person(user)).await?;
        Ok(PersonKey { user, key })
    }

    /// The key of a person who has one.
    ///
    /// # Errors
    /// [`VaultError::Erased`] if it was destroyed, [`VaultError::Unknown`] if it never was; see
    /// [`VaultError`].
    pub async fn person(&self, user: UserId) -> Result<PersonKey, VaultError> {
        let key = self.find(KeyId::Person(user)).await?.ok_or(VaultError::Unknown)?;
        Ok(PersonKey { user, key })
    }

    /// What names the stream of an address; `None` if nobody claimed it since it was forgotten.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn address(&self, email: &Email) -> Result<Option<EmailHash>, VaultError> {
        Ok(self.name(&email.normal()).await?.map(EmailHash))
    }

    /// What names the stream of an address that is about to be claimed.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn make_address(&self, email: &Email) -> Result<EmailHash, VaultError> {
        self.make_name(&email.normal()).await.map(EmailHash)
    }

    /// Forgets the address, if its stream still is named `seen`: nobody finds that stream again, not
    /// even by guessing. Whoever claimed the address anew meanwhile keeps it.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn destroy_address(&self, email: &Email, seen: EmailHash) -> Result<(), VaultError> {
        self.destroy_name(&email.normal(), seen.0).await
    }

    /// As [`Self::address`], of a log-in at another provider.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn login(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<LoginHash>, VaultError> {
        Ok(self.name(&login_text(issuer, subject)).await?.map(LoginHash))
    }

    /// As [`Self::make_address`], of a log-in at another provider.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn make_login(&self, issuer: &str, subject: &str) -> Result<LoginHash, VaultError> {
        self.make_name(&login_text(issuer, subject)).await.map(LoginHash)
    }

    /// As [`Self::destroy_address`], of a log-in at another provider.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn destroy_login(
        &self,
        issuer: &str,
        subject: &str,
        seen: LoginHash,
    ) -> Result<(), VaultError> {
        self.destroy_name(&login_text(issuer, subject), seen.0).await
    }

    async fn name(&self, of: &str) -> Result<Option<[u8; 32]>, VaultError> {
        let Some(index) = self.known_index().await? else { return Ok(None) };
        Ok(self.find(name_id(index, of)).await?.map(|key| name(&key, of)))
    }

    async fn make_name(&self, of: &str) -> Result<[u8; 32], VaultError> {
        self.settle().await?;
        let index = self.known_index().await?.ok_or(VaultError::Foreign)?;
        Ok(name(&*self.make(name_id(index, of)).await?, of))
    }

    async fn destroy_name(&self, of: &str, seen: [u8; 32]) -> Result<(), VaultError> {
        let Some(index) = self.known_index().await? else { return Ok(()) };
        let id = name_id(index, of);
        loop {
            let Some(Kept::Wrapped(wrapped)) = self.store.key(id).await? else { return Ok(()) };
            let key = self.unwrap(id, &Kept::Wrapped(wrapped.clone()))?;
            // Wrapped anew meanwhile, it is looked at again.
            if name(&key, of) != seen || self.store.remove_key(id, wrapped).await? {
                return Ok(());
            }
        }
    }

    /// Forgets the person: what is sealed with their key is never read again.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn destroy_person(&self, user: UserId) -> Result<(), VaultError> {
        self.known_index().await?;
        Ok(self.store.destroy_person(user).await?)
    }

    /// Everybody who has a key, so that one can tell whether these are all keys that are needed.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] if the store is another one or empty; see [`VaultError`].
    pub async fn people(&self) -> Result<HashSet<UserId>, VaultError> {
        self.known_index().await?.ok_or(VaultError::Foreign)?;
        let (mut after, mut people) = (None, HashSet::new());
        loop {
            let page = self.store.keys(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(people) };
            after = Some(*last);
            people.extend(page.into_iter().filter_map(|(id, _)| id.person()));
        }
    }

    /// Wraps every key with the first master key; how many were wrapped by another.
    ///
    /// # Errors
    /// [`VaultError::Foreign`] if the store is another one or empty; see [`VaultError`]. What is done
    /// stays done.
    pub async fn rewrap(&self) -> Result<u64, VaultError> {
        self.known_index().await?.ok_or(VaultError::Foreign)?;
        let (mut after, mut count) = (None, 0);
        loop {
            let page = self.store.keys(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(*last);
            for (id, old) in page {
                if self.masters.is_current(&old) {
                    continue;
                }
                let about = about(id);
                let key = self.masters.unwrap(&old, &about).ok_or(VaultError::Unreadable)?;
                let new = self.masters.wrap(&key, &about)?;
                count += u64::from(self.store.rewrap_key(id, old, new).await?);
            }
        }
    }

    /// The master keys back, once nobody uses them any more.
    pub fn into_masters(self) -> MasterKeys {
        self.masters
    }

    async fn find(&self, id: KeyId) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        self.known_index().await?;
        self.find_unchecked(id).await
    }

    async fn make(&self, id: KeyId) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        self.settle().await?;
        self.make_unchecked(id).await
    }

    async fn find_unchecked(&self, id: KeyId) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        match self.store.key(id).await? {
            None => Ok(None),
            Some(kept) => self.unwrap(id, &kept).map(Some),
        }
    }

    async fn make_unchecked(&self, id: KeyId) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        if let Some(key) = self.find_unchecked(id).await? {
            return Ok(key);
        }
        let new = Zeroizing::new(ids::secret()?);
        let wrapped = self.masters.wrap(&new, &about(id))?;
        // Another may have been first: theirs counts.
        self.unwrap(id, &self.store.add_key(id, wrapped).await?)
    }

    fn unwrap(&self, id: KeyId, kept: &Kept) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        match kept {
            Kept::Destroyed => Err(VaultError::Erased),
            Kept::Wrapped(wrapped) => {
                self.masters.unwrap(wrapped, &about(id)).ok_or(VaultError::Unreadable)
            }
        }
    }
}

/// Binds a wrapped key to its place.
pub(super) fn about(id: KeyId) -> Vec<u8> {
    let (kind, id) = id.parts();
    [kind.as_bytes(), b"/", &id].concat()
}

/// Where the secret of an address, or of a log-in at another provider, is kept.
pub(super) fn name_id(index: &[u8; 32], of: &str) -> KeyId {
    KeyId::Address(*blake3::keyed_hash(index, of.as_bytes()).as_bytes())
}

/// What names the stream of one that has this secret.
pub(super) fn name(key: &[u8; 32], of: &str) -> [u8; 32] {
    *blake3::keyed_hash(key, of.as_bytes()).as_bytes()
}

/// Stands for a log-in where addresses do: no address has a line break.
fn login_text(issuer: &str, subject: &str) -> String {
    format!("oidc\n{issuer}\n{subject}")
}
