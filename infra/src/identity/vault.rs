//! Makes keys, seals with them, and destroys them (AC-3).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use domain::account::Email;
use domain::{EmailHash, Request, RequestError, Sealed, UserId};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::master::MasterKeys;
use super::{IdentityStore, Kept, KeyId, StoreError};
use crate::ids::{self, NoRandomness};

/// The first byte of what is sealed: XChaCha20-Poly1305, a nonce of 24 bytes, then ciphertext and tag.
const FORM: u8 = 1;
const NONCE_LEN: usize = 24;

/// Keeps a person's requests apart from what is sealed with the same key.
const REQUESTS: &str = "evently 2026-11 idempotency keys of a person";

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
    /// No master key at hand unwraps the key, or it does not open what is sealed.
    #[error("what is personal cannot be read: is this the master key it was sealed under?")]
    Unreadable,
    /// No key could be made.
    #[error("cannot make a key")]
    Randomness(#[from] NoRandomness),
}

/// What is sealed: part of the seal, so that nothing sealed can stand in another's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// An address.
    Email,
    /// A profile as JSON.
    Profile,
    /// A password's hash.
    Password,
    /// An admin's reason.
    Reason,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Profile => "profile",
            Self::Password => "password",
            Self::Reason => "reason",
        }
    }
}

/// The key of one person.
pub struct PersonKey {
    user: UserId,
    key: Zeroizing<[u8; 32]>,
}

impl PersonKey {
    /// Seals what is personal.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn seal(&self, field: Field, plain: &[u8]) -> Result<Sealed, VaultError> {
        let sealed = cipher_seal(&self.key, self.about(field).as_bytes(), plain)?;
        Ok(Sealed::from_text(URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what was sealed with this key for this field.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`].
    pub fn open(&self, field: Field, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed.as_text()).ok();
        let plain = bytes.and_then(|it| cipher_open(&self.key, self.about(field).as_bytes(), &it));
        plain.map(Zeroizing::new).ok_or(VaultError::Unreadable)
    }

    /// Opens what is a text.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`].
    pub fn open_text(
        &self,
        field: Field,
        sealed: &Sealed,
    ) -> Result<Zeroizing<String>, VaultError> {
        let plain = self.open(field, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Unreadable)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The request under an idempotency key as this person's facts may keep it: neither the key nor
    /// what was asked can be guessed from it once the person's key is destroyed.
    ///
    /// # Errors
    /// None in fact: the key is made of hexadecimal digits.
    pub fn request(&self, key: &str, body: &[u8]) -> Result<Request, RequestError> {
        let secret = blake3::derive_key(REQUESTS, &*self.key);
        let key = blake3::keyed_hash(&secret, key.as_bytes());
        Request::new(&key.to_hex(), blake3::keyed_hash(&secret, body).as_bytes())
    }

    fn about(&self, field: Field) -> String {
        format!("{}/{}", self.user, field.name())
    }
}

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the key of {}", self.user)
    }
}

/// The keys, by way of the store and the master keys.
pub struct Vault {
    store: Arc<dyn IdentityStore>,
    masters: MasterKeys,
    index: OnceCell<Zeroizing<[u8; 32]>>,
}

impl Vault {
    /// The keys in `store`, as wrapped by `masters`.
    pub fn new(store: Arc<dyn IdentityStore>, masters: MasterKeys) -> Self {
        Self { store, masters, index: OnceCell::new() }
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
    /// [`VaultError::Erased`] if it was destroyed or never was; see [`VaultError`].
    pub async fn person(&self, user: UserId) -> Result<PersonKey, VaultError> {
        let key = self.find(KeyId::Person(user)).await?.ok_or(VaultError::Erased)?;
        Ok(PersonKey { user, key })
    }

    /// What names the stream of an address; `None` if nobody claimed it since it was forgotten.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn address(&self, email: &Email) -> Result<Option<EmailHash>, VaultError> {
        let id = self.address_id(email).await?;
        Ok(self.find(id).await?.map(|key| hash(&key, email)))
    }

    /// What names the stream of an address that is about to be claimed.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn make_address(&self, email: &Email) -> Result<EmailHash, VaultError> {
        let id = self.address_id(email).await?;
        Ok(hash(&*self.make(id).await?, email))
    }

    /// Forgets the address: nobody finds its stream again, not even by guessing.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn destroy_address(&self, email: &Email) -> Result<(), VaultError> {
        let id = self.address_id(email).await?;
        Ok(self.store.destroy_key(id).await?)
    }

    /// Forgets the person: what is sealed with their key is never read again.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn destroy_person(&self, user: UserId) -> Result<(), VaultError> {
        Ok(self.store.destroy_key(KeyId::Person(user)).await?)
    }

    /// Wraps every key with the first master key; how many were wrapped by another.
    ///
    /// # Errors
    /// See [`VaultError`]. What is done stays done.
    pub async fn rewrap(&self) -> Result<u64, VaultError> {
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

    async fn address_id(&self, email: &Email) -> Result<KeyId, VaultError> {
        let index = self.index.get_or_try_init(|| self.make(KeyId::Index)).await?;
        Ok(KeyId::Address(*blake3::keyed_hash(index, email.normal().as_bytes()).as_bytes()))
    }

    async fn find(&self, id: KeyId) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        match self.store.key(id).await? {
            None => Ok(None),
            Some(kept) => self.unwrap(id, &kept).map(Some),
        }
    }

    async fn make(&self, id: KeyId) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        if let Some(key) = self.find(id).await? {
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
fn about(id: KeyId) -> Vec<u8> {
    let (kind, id) = id.parts();
    [kind.as_bytes(), b"/", &id].concat()
}

fn hash(key: &[u8; 32], email: &Email) -> EmailHash {
    EmailHash(*blake3::keyed_hash(key, email.normal().as_bytes()).as_bytes())
}

/// Form, nonce, ciphertext and tag; `about` is covered by the tag.
pub(super) fn cipher_seal(
    key: &[u8; 32],
    about: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, NoRandomness> {
    let nonce: [u8; NONCE_LEN] = ids::secret_bytes()?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about })
        .expect("nothing that is sealed has gigabytes");
    let mut whole = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
    whole.push(FORM);
    whole.extend(nonce);
    whole.extend(sealed);
    Ok(whole)
}

/// What was sealed with this key about this; `None` if anything differs.
pub(super) fn cipher_open(key: &[u8; 32], about: &[u8], whole: &[u8]) -> Option<Vec<u8>> {
    let (form, rest) = whole.split_first()?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).filter(|_| *form == FORM)?;
    let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: about }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: u128, key: u8) -> PersonKey {
        PersonKey { user: UserId::from_u128(user), key: Zeroizing::new([key; 32]) }
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_for_its_field_and_person_only() {
        let ada = key(1, 7);
        let sealed = ada.seal(Field::Email, b"ada@example.org").unwrap();
        assert_eq!(ada.open(Field::Email, &sealed).unwrap().as_slice(), b"ada@example.org");
        assert_ne!(ada.seal(Field::Email, b"ada@example.org").unwrap(), sealed);
        for (other, field) in
            [(key(1, 7), Field::Profile), (key(2, 7), Field::Email), (key(1, 8), Field::Email)]
        {
            assert!(matches!(other.open(field, &sealed), Err(VaultError::Unreadable)));
        }
        let text = sealed.as_text();
        for changed in [&text[1..], &text[..text.len() - 2], "", "AQ", "not base64!"] {
            let changed = Sealed::from_text(changed.to_owned());
            assert!(matches!(ada.open(Field::Email, &changed), Err(VaultError::Unreadable)));
        }
    }

    #[test]
    fn a_sealed_text_of_an_old_log_is_still_opened() {
        let sealed = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGP";
        let nonce: Vec<u8> = (1..=24).collect();
        let cipher = XChaCha20Poly1305::new(&Key::from([7; 32]));
        let nonce: [u8; NONCE_LEN] = nonce.try_into().unwrap();
        let about = key(1, 7).about(Field::Email);
        assert_eq!(about, "usr_00000000000000000000000001/email");
        let payload = Payload { msg: b"ada@example.org", aad: about.as_bytes() };
        let body = cipher.encrypt(&XNonce::from(nonce), payload).unwrap();
        let whole = URL_SAFE_NO_PAD.encode([&[FORM][..], &nonce, &body].concat());
        assert!(whole.starts_with(&sealed[..32]), "{whole}");
        let opened = key(1, 7).open_text(Field::Email, &Sealed::from_text(whole)).unwrap();
        assert_eq!(opened.as_str(), "ada@example.org");
    }

    #[test]
    fn a_request_tells_nothing_of_what_was_asked_without_the_key() {
        let (ada, eve) = (key(1, 7), key(1, 8));
        let request = ada.request("key", b"body").unwrap();
        assert_eq!(ada.request("key", b"body").unwrap(), request);
        assert_eq!(ada.request("key", b"other").unwrap().key, request.key);
        assert_ne!(ada.request("key", b"other").unwrap().body, request.body);
        assert_ne!(eve.request("key", b"body").unwrap().key, request.key);
        assert_ne!(eve.request("key", b"body").unwrap().body, request.body);
    }
}
