//! The keys that sign access tokens.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use domain::{Role, Roles, Time, UserId};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use jsonwebtoken::jwk::JwkSet;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::ring::{self, Ring, RingError};
use crate::clock::Clock;
use crate::ids::{self, NoRandomness};
use crate::private_file;

/// Who issues tokens, and for whom: tokens of other products are refused.
pub(super) const ISSUER: &str = "evently";
pub(super) const AUDIENCE: &str = "evently";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: UserId,
    pub(super) roles: Roles,
    /// Seconds since 1970, like `nbf` and `exp`.
    pub(super) iat: i64,
    /// The same in milliseconds: tokens of one second are told apart by it. Older ones have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iat_ms: Option<i64>,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    /// Names this token; random.
    pub(super) jti: String,
}

impl Claims {
    /// When it was issued; at the beginning of its second, if it does not say it better.
    pub(super) fn issued(&self) -> Time {
        Time::from_ms(self.iat_ms.unwrap_or_else(|| self.iat.saturating_mul(1000)))
    }
}

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error(
        "cannot read or write the signing key {}: see that it is a file in a folder that may be read and \
         written to",
        path.display()
    )]
    File {
        /// The key's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There was one.
    #[error(
        "the signing key {} is missing, though tokens were signed with one: restore it from a backup, or \
         make a new one with evently keys rotate-signing, which makes all tokens issued so far invalid",
        .0.display()
    )]
    Lost(PathBuf),
    /// The file is there but is no key.
    #[error(
        "{} does not hold Ed25519 private keys (PKCS #8, PEM): restore it from a backup, or delete it \
         and make a new one with evently keys rotate-signing, which makes all tokens issued so far \
         invalid",
        path.display()
    )]
    Damaged {
        /// The key's file.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("cannot make a signing key")]
    Randomness(#[from] NoRandomness),
    /// The library refuses the key; a fault of ours.
    #[error("the signing key cannot be used")]
    Unusable(#[source] jsonwebtoken::errors::Error),
}

/// A token could not be signed; a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct IssueError(#[from] jsonwebtoken::errors::Error);

/// How often the file is looked at, in milliseconds.
const LOOK_EVERY_MS: u64 = 1_000;

/// How soon it is looked at again for a token whose key is not known, in milliseconds: of a new key
/// another process may have signed with already. Who makes names up costs no more than that.
const LOOK_AGAIN_MS: u64 = 20;

/// Keys that still verify beside the one that signs, at most.
const MOST_OLD: usize = 7;

/// The Ed25519 keys of this installation: one signs tokens, the others verify those that were signed
/// before it was there. Follows its file; cloning shares it.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    ring: RwLock<Arc<Ring>>,
    /// Counts the rings there were.
    generation: AtomicU64,
    look_at_ms: AtomicI64,
    seen: Mutex<Seen>,
}

/// Which files were looked at.
struct Seen {
    /// The one whose keys are in force.
    taken: Option<Stamp>,
    /// The one that could not be read, which was reported.
    reported: Option<Option<Stamp>>,
    look_again_at_ms: i64,
}

/// Tells a file from the one that took its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let modified = (file.mtime(), file.mtime_nsec());
        Some(Self { inode: file.ino(), length: file.len(), modified })
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("keys").join("signing.pem")
}

impl Keys {
    /// The keys in `data/keys/signing.pem`; one is made, readable by the owner alone, if there is
    /// none.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load_or_create(data: &Path, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        Self::from_file(data, clock, read_or_create)
    }

    /// The same of keys that have to be there.
    ///
    /// # Errors
    /// [`KeyError::Lost`] if they are not; see [`KeyError`].
    pub fn load(data: &Path, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        Self::from_file(data, clock, |path| {
            private_file::read(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => KeyError::Lost(path.to_owned()),
                _ => KeyError::unmade(error.into(), path),
            })
        })
    }

    fn from_file(
        data: &Path,
        clock: Arc<dyn Clock>,
        read: impl FnOnce(&Path) -> Result<String, KeyError>,
    ) -> Result<Self, KeyError> {
        let path = file(data);
        // Before it is read: whoever replaces it meanwhile is seen with the next look.
        let before = Stamp::of(&path);
        let ring = parse(&read(&path)?, &path)?;
        let taken = before.or_else(|| Stamp::of(&path));
        let seen = Seen { taken, reported: None, look_again_at_ms: i64::MIN };
        Ok(Self(Arc::new(Inner {
            look_at_ms: AtomicI64::new(clock.now().plus_ms(LOOK_EVERY_MS).as_ms()),
            clock,
            path,
            ring: RwLock::new(Arc::new(ring)),
            generation: AtomicU64::new(0),
            seen: Mutex::new(seen),
        })))
    }

    /// Puts a new key before those in `data/keys/signing.pem`, which still verify unless they are to
    /// be forgotten. Processes that run take it within a second; how many keys there are then.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn rotate(data: &Path, forget_old: bool) -> Result<usize, KeyError> {
        let path = file(data);
        let old = read_or_create(&path)?;
        parse(&old, &path)?;
        let kept = if forget_old { 0 } else { MOST_OLD };
        let old = ring::newest(&old, kept).map_err(|error| KeyError::of(error, &path))?;
        let new = make().map_err(|error| KeyError::unmade(error, &path))? + &old;
        let count = parse(&new, &path)?.jwks().keys.len();
        let replaced = private_file::replace(&path, &new);
        replaced.map_err(|source| KeyError::File { path, source })?;
        Ok(count)
    }

    /// A token that says that its bearer is `user` with `roles`, valid from now for `ttl`.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn issue(&self, user: UserId, roles: &[Role], ttl: Duration) -> Result<String, IssueError> {
        self.issue_as_of(user, roles, ttl, self.0.clock.now())
    }

    /// The same of what was read of `user` after `issued`: what is over since then is so for this
    /// token too, and it is valid for `ttl` from then.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn issue_as_of(
        &self,
        user: UserId,
        roles: &[Role],
        ttl: Duration,
        issued: Time,
    ) -> Result<String, IssueError> {
        let now = self.0.clock.now();
        self.look(now);
        // Another clock may have said when, and be ahead of this one.
        let issued_s = issued.min(now).as_ms().div_euclid(1000);
        self.sign(&Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            roles: Roles::of(roles),
            iat: issued_s,
            iat_ms: Some(issued.as_ms()),
            nbf: issued_s,
            exp: issued_s.saturating_add_unsigned(ttl.as_secs()),
            jti: format!("{:032x}", ids::random_u128()),
        })
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, IssueError> {
        let ring = self.ring();
        Ok(jsonwebtoken::encode(&ring.header, claims, &ring.signing)?)
    }

    /// The public keys as a JSON Web Key Set (RFC 7517), for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> JwkSet {
        self.look(self.0.clock.now());
        self.ring().jwks()
    }

    pub(super) fn ring(&self) -> Arc<Ring> {
        self.0.ring.read().clone()
    }

    /// Which ring it is: what an earlier one verified may be worth nothing by now.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Takes the keys of the file if they are others by now. Costs nothing but once a second.
    pub(super) fn look(&self, now: Time) {
        let due = self.0.look_at_ms.load(Ordering::Relaxed);
        if now.as_ms() < due {
            return;
        }
        let next = now.plus_ms(LOOK_EVERY_MS).as_ms();
        let mine =
            self.0.look_at_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            self.follow(&mut self.0.seen.lock());
        }
    }

    /// The same for a key that is not known, much sooner. Who comes while another looks waits for
    /// what is found.
    pub(super) fn look_again(&self, now: Time) {
        let mut seen = self.0.seen.lock();
        if now.as_ms() >= seen.look_again_at_ms {
            seen.look_again_at_ms = now.plus_ms(LOOK_AGAIN_MS).as_ms();
            self.follow(&mut seen);
        }
    }

    /// What could not be read is tried again with every look, and reported once.
    fn follow(&self, seen: &mut Seen) {
        let path = &self.0.path;
        let stamp = Stamp::of(path);
        if stamp == seen.taken {
            return;
        }
        let read = std::fs::read_to_string(path)
            .map_err(|source| KeyError::File { path: path.clone(), source });
        match read.and_then(|text| parse(&text, path)) {
            Ok(ring) => {
                (seen.taken, seen.reported) = (stamp, None);
                *self.0.ring.write() = Arc::new(ring);
                self.0.generation.fetch_add(1, Ordering::Release);
                tracing::info!("tokens are signed with another key");
            }
            Err(error) => {
                if seen.reported != Some(stamp) {
                    seen.reported = Some(stamp);
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "the signing keys are those from before");
                }
            }
        }
    }
}

fn read_or_create(path: &Path) -> Result<String, KeyError> {
    private_file::read_or_create(path, make).map_err(|error| KeyError::unmade(error, path))
}

fn parse(text: &str, path: &Path) -> Result<Ring, KeyError> {
    Ring::parse(text).map_err(|error| KeyError::of(error, path))
}

impl KeyError {
    fn of(error: RingError, path: &Path) -> Self {
        match error {
            RingError::Damaged => Self::Damaged { path: path.to_owned() },
            RingError::Unusable(error) => Self::Unusable(error),
        }
    }

    fn unmade(error: MakeError, path: &Path) -> Self {
        let path = path.to_owned();
        match error {
            MakeError::File(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Damaged { path }
            }
            MakeError::File(source) => Self::File { path, source },
            MakeError::Randomness(error) => error.into(),
        }
    }
}

/// Why no new key can be made.
enum MakeError {
    File(io::Error),
    Randomness(NoRandomness),
}

impl From<io::Error> for MakeError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// A new key in its text form.
fn make() -> Result<String, MakeError> {
    let key = SigningKey::from_bytes(&ids::secret().map_err(MakeError::Randomness)?);
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    Ok(pem.to_string())
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kid", &self.ring().header.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
