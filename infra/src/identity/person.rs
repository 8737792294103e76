//! What is sealed with the key of one person (AC-3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Request, RequestError, Sealed, UserId};
use zeroize::Zeroizing;

use super::cipher;
use super::vault::VaultError;

/// Keeps a person's requests apart from what is sealed with the same key.
const REQUESTS: &str = "evently 2026-11 idempotency keys of a person";

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
    /// A log-in at another provider.
    Login,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Profile => "profile",
            Self::Password => "password",
            Self::Reason => "reason",
            Self::Login => "login",
        }
    }
}

/// The key of one person.
pub struct PersonKey {
    pub(super) user: UserId,
    pub(super) key: Zeroizing<[u8; 32]>,
}

impl PersonKey {
    /// Seals what is personal.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn seal(&self, field: Field, plain: &[u8]) -> Result<Sealed, VaultError> {
        let sealed = cipher::seal(&self.key, self.about(field).as_bytes(), plain)?;
        Ok(Sealed::from_text(URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what was sealed with this key for this field.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`].
    pub fn open(&self, field: Field, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed.as_text()).ok();
        let plain = bytes.and_then(|it| cipher::open(&self.key, self.about(field).as_bytes(), &it));
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
