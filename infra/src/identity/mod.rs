//! What is kept beside the log because it has to be able to be destroyed: keys of persons, sessions
//! and one-time codes (AC-1, AC-3). State, not a view: it cannot be built again.
//!
//! The [`IdentityStore`] keeps rows and understands none of them; the [`Vault`] makes keys and seals.

mod binding;
mod cipher;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(test)]
mod fixtures;
mod master;
mod person;
mod postgres;
mod prompt;
mod reasons;
mod service;
mod sqlite;
mod vault;

use async_trait::async_trait;
use domain::{ServiceKeyId, Time, UserId};

pub use master::{MasterError, MasterKeys};
pub use person::{Field, PersonKey};
pub use postgres::PostgresIdentity;
pub use prompt::PromptIdentity;
pub use reasons::Reasons;
pub use service::ServiceKey;
pub use sqlite::SqliteIdentity;
pub use vault::{Vault, VaultError};

/// The store cannot be read or written at the moment, or is not the one that is meant.
#[derive(Debug, thiserror::Error)]
#[error("the identity store cannot be used")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyId {
    /// The installation's: what addresses are found by.
    Index,
    /// A person's: what is sealed in facts.
    Person(UserId),
    /// An address's: what its stream is named by. Found by a hash keyed with [`KeyId::Index`].
    Address([u8; 32]),
}

impl KeyId {
    /// The form in which stores keep it: a kind, and what tells keys of the kind apart.
    pub(crate) fn parts(self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Index => ("index", vec![]),
            Self::Person(user) => ("person", user.as_u128().to_be_bytes().to_vec()),
            Self::Address(hash) => ("address", hash.to_vec()),
        }
    }

    /// Whose key it is, if it is a person's.
    pub(crate) fn person(self) -> Option<UserId> {
        if let Self::Person(user) = self { Some(user) } else { None }
    }

    /// The id with these parts, if they are of one.
    pub(crate) fn of(kind: &str, id: &[u8]) -> Option<Self> {
        match kind {
            "index" if id.is_empty() => Some(Self::Index),
            "person" => {
                let bits = u128::from_be_bytes(id.try_into().ok()?);
                Some(Self::Person(UserId::from_u128(bits)))
            }
            "address" => Some(Self::Address(id.try_into().ok()?)),
            _ => None,
        }
    }
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Wrapped by a master key.
    Wrapped(Vec<u8>),
    /// It was destroyed, for ever.
    Destroyed,
}

/// What stands for a refresh token or a one-time code: nobody can log in with what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token of 256 random bits, which need no salt.
    pub fn of(token: &str) -> Self {
        Self(*blake3::hash(token.as_bytes()).as_bytes())
    }
}

/// One device that is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Random.
    pub id: u128,
    /// Whose.
    pub user: UserId,
    /// Since when.
    pub opened_at: Time,
    /// When its token was last used.
    pub used_at: Time,
    /// When it ends if nobody uses it.
    pub expires_at: Time,
}

/// Has access tokens of a person refused although they are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Whose.
    pub user: UserId,
    /// Those are refused that were made of what was known before this moment.
    pub before: Time,
    /// When none of them is valid any more.
    pub until: Time,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It was spent; the new one counts.
    Rotated(UserId),
    /// It had been spent before: somebody has a copy. The session is closed.
    Reused(UserId),
    /// Never issued, expired, or its session was closed.
    Unknown,
}

/// What a one-time code is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To show that an address is one's own.
    VerifyEmail,
    /// To take another password.
    ResetPassword,
}

impl Purpose {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

/// A one-time code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Of the code itself.
    pub hash: TokenHash,
    /// Whose.
    pub user: UserId,
    /// What for.
    pub purpose: Purpose,
    /// What comes back to whoever has it; what is personal in it is sealed.
    pub payload: String,
    /// Until when.
    pub expires_at: Time,
}

/// Keeps keys, sessions and codes. Every implementation passes the same conformance suite; what it
/// answered is durable.
#[async_trait]
pub trait IdentityStore: Send + Sync + 'static {
    /// The key, if there is one or was.
    async fn key(&self, id: KeyId) -> Result<Option<Kept>, StoreError>;

    /// Keeps `wrapped` unless there is a key or was one; answers with the one that counts.
    async fn add_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<Kept, StoreError>;

    /// Destroys the key if it still is `wrapped`; whether it was. Another can be made. Not for a
    /// person's.
    async fn remove_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<bool, StoreError>;

    /// Destroys the key of a person, if there is one, so that none can ever be made again. When this
    /// is answered nothing of it is left in what the store keeps; if it fails, something may be.
    async fn destroy_person(&self, user: UserId) -> Result<(), StoreError>;

    /// Up to `limit` keys after `after`, in an order that stays.
    async fn keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<(KeyId, Vec<u8>)>, StoreError>;

    /// Keeps `new` in place of `old`; `false` if the key is not `old` any more.
    async fn rewrap_key(&self, id: KeyId, old: Vec<u8>, new: Vec<u8>) -> Result<bool, StoreError>;

    /// Notes that this person is being forgotten, until [`Self::end_erasing`].
    async fn begin_erasing(&self, user: UserId) -> Result<(), StoreError>;

    /// Whose erasure was begun and is not finished.
    async fn erasing(&self) -> Result<Vec<UserId>, StoreError>;

    /// Nothing of this person is left.
    async fn end_erasing(&self, user: UserId) -> Result<(), StoreError>;

    /// Has access tokens of a person refused. What was said of them before counts too: of both
    /// moments the later.
    async fn bar(&self, bar: Bar) -> Result<(), StoreError>;

    /// Whose access tokens are refused at `now`, and which: up to `limit`, those first that are
    /// refused longest.
    async fn barred(&self, now: Time, limit: usize) -> Result<Vec<Bar>, StoreError>;

    /// Begins a session whose first token has this hash.
    async fn open_session(&self, session: Session, token: TokenHash) -> Result<(), StoreError>;

    /// The session of this token, if it can be spent at `now`.
    async fn session(&self, token: TokenHash, now: Time) -> Result<Option<Session>, StoreError>;

    /// Spends `old` and lets `new` follow it until `expires_at`.
    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Time,
        expires_at: Time,
    ) -> Result<Rotation, StoreError>;

    /// Ends the session of this token, spent or not; whose it was.
    async fn close_session(&self, token: TokenHash) -> Result<Option<UserId>, StoreError>;

    /// Ends all sessions of a person.
    async fn close_sessions(&self, user: UserId) -> Result<(), StoreError>;

    /// The sessions of a person, oldest first.
    async fn sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError>;

    /// Keeps a code. A person has at most a few of each purpose: older ones go.
    async fn put_code(&self, code: Code) -> Result<(), StoreError>;

    /// Whose code it is, and what was kept with it. It stays until it is taken, so that what fails
    /// can be asked again.
    async fn code(
        &self,
        hash: TokenHash,
        purpose: Purpose,
        now: Time,
    ) -> Result<Option<(UserId, String)>, StoreError>;

    /// Forgets a code; `false` if somebody has taken it before.
    async fn take_code(&self, hash: TokenHash) -> Result<bool, StoreError>;

    /// Forgets the codes of a person.
    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError>;

    /// Keeps the key of a service.
    async fn add_service_key(&self, key: ServiceKey) -> Result<(), StoreError>;

    /// Every key of a service there was, oldest first.
    async fn service_keys(&self) -> Result<Vec<ServiceKey>, StoreError>;

    /// Has the key of a service count no more, from the first time this is asked; `false` if there is
    /// none.
    async fn revoke_service_key(&self, key: ServiceKeyId, at: Time) -> Result<bool, StoreError>;

    /// Forgets what has expired.
    async fn sweep(&self, now: Time) -> Result<(), StoreError>;
}

/// Codes of one purpose that a person can have at once: as many mails may be under way.
pub(crate) const MOST_CODES: i64 = 5;
