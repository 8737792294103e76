//! The master key, which wraps all others.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::binding::Binding;
use super::cipher;
use crate::ids::{self, NoRandomness};
use crate::private_file;

/// Keeps names of keys apart from every other use of BLAKE3.
const NAME: &str = "evently 2026-11 name of a master key";

/// Before a wrapped key: which master key wrapped it.
const NAME_LEN: usize = 8;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// The file cannot be read or written.
    #[error("cannot read or write the master key {}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There was one, and nothing was said to give it up.
    #[error(
        "the master key {} is missing, though keys of persons were wrapped with one: restore it from a \
         backup, or set EVENTLY_MASTER_KEY to it, for without it nothing personal can be read again",
        .0.display()
    )]
    Lost(PathBuf),
    /// It is there, but is none.
    #[error(
        "the master key is not one or more keys of 32 bytes in base64, separated by commas or \
         lines: restore it, for without it nothing personal can be read again"
    )]
    Damaged,
    /// None can be made.
    #[error("cannot make a master key")]
    Randomness(#[from] NoRandomness),
}

struct MasterKey {
    name: [u8; NAME_LEN],
    key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    fn new(key: [u8; 32]) -> Self {
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&blake3::derive_key(NAME, &key)[..NAME_LEN]);
        Self { name, key: Zeroizing::new(key) }
    }
}

/// The master keys: the first wraps, all unwrap.
pub struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// Keys of 32 bytes in base64, separated by commas, spaces or lines.
    ///
    /// # Errors
    /// [`MasterError::Damaged`].
    pub fn parse(text: &str) -> Result<Self, MasterError> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        let keys: Option<Vec<_>> = words.filter(|word| !word.is_empty()).map(decode).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(MasterError::Damaged),
        }
    }

    /// The keys in `data/keys/master.key`; made, readable by the owner alone, if there are none and
    /// never were any.
    ///
    /// # Errors
    /// See [`MasterError`].
    pub fn load_or_create(data: &Path) -> Result<Self, MasterError> {
        let path = file(data);
        if Binding::in_folder(data).is_there() {
            return Self::load(data);
        }
        let made = private_file::read_or_create(&path, || Ok::<_, FileError>(new_text()?));
        let text = match made {
            Ok(text) => Zeroizing::new(text),
            Err(FileError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(MasterError::Damaged);
            }
            Err(FileError::Io(source)) => return Err(MasterError::File { path, source }),
            Err(FileError::Randomness(error)) => return Err(error.into()),
        };
        Self::parse(&text)
    }

    /// The same of keys that have to be there.
    ///
    /// # Errors
    /// [`MasterError::Lost`] if they are not; see [`MasterError`].
    pub fn load(data: &Path) -> Result<Self, MasterError> {
        let path = file(data);
        match private_file::read(&path) {
            Ok(text) => Self::parse(&Zeroizing::new(text)),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound => MasterError::Lost(path),
                io::ErrorKind::InvalidData => MasterError::Damaged,
                _ => MasterError::File { path, source: error },
            }),
        }
    }

    /// Puts a new key before those in `data/keys/master.key`.
    ///
    /// # Errors
    /// See [`MasterError`].
    pub fn renew(data: &Path) -> Result<Self, MasterError> {
        let path = file(data);
        let old = Self::load_or_create(data)?;
        let text = Zeroizing::new(new_text()? + &old.text());
        let replaced = private_file::replace(&path, &text);
        replaced.map_err(|source| MasterError::File { path, source })?;
        Self::parse(&text)
    }

    /// Leaves only the first key in `data/keys/master.key`; what others wrapped is lost for ever.
    ///
    /// # Errors
    /// See [`MasterError`].
    pub fn forget_old(mut self, data: &Path) -> Result<Self, MasterError> {
        self.0.truncate(1);
        let path = file(data);
        let replaced = private_file::replace(&path, &Zeroizing::new(self.text()));
        replaced.map_err(|source| MasterError::File { path, source })?;
        Ok(self)
    }

    fn text(&self) -> String {
        self.0.iter().map(|master| STANDARD.encode(*master.key) + "\n").collect()
    }

    /// `key` in the form that is kept; `about` says whose it is and has to be said again.
    pub(super) fn wrap(&self, key: &[u8; 32], about: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let first = &self.0[0];
        let mut wrapped = first.name.to_vec();
        wrapped.extend(cipher::seal(&first.key, about, key)?);
        Ok(wrapped)
    }

    /// The key that was wrapped, if one of these master keys did it.
    pub(super) fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let (name, sealed) = wrapped.split_at_checked(NAME_LEN)?;
        let master = self.0.iter().find(|master| master.name == name)?;
        let key = Zeroizing::new(cipher::open(&master.key, about, sealed)?);
        Some(Zeroizing::new(key.as_slice().try_into().ok()?))
    }

    /// Whether the first key wrapped it.
    pub(super) fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped.starts_with(&self.0[0].name)
    }
}

impl std::fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} master keys", self.0.len())
    }
}

enum FileError {
    Io(io::Error),
    Randomness(NoRandomness),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NoRandomness> for FileError {
    fn from(error: NoRandomness) -> Self {
        Self::Randomness(error)
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("keys").join("master.key")
}

fn new_text() -> Result<String, NoRandomness> {
    Ok(STANDARD.encode(*Zeroizing::new(ids::secret()?)) + "\n")
}

fn decode(word: &str) -> Option<MasterKey> {
    let decoded = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|form| form.decode(word).ok());
    Some(MasterKey::new(decoded?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_master_key_is_made_once_and_for_the_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let first = MasterKeys::load_or_create(data.path()).unwrap();
        let path = file(data.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let wrapped = first.wrap(&[7; 32], b"about").unwrap();
        let again = MasterKeys::load_or_create(data.path()).unwrap();
        assert_eq!(again.unwrap(&wrapped, b"about").as_deref(), Some(&[7; 32]));
        assert!(again.unwrap(&wrapped, b"another").is_none());
        for damaged in ["", "x", "c2hvcnQ=", "\n,"] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(MasterKeys::load_or_create(data.path()), Err(MasterError::Damaged)));
        }
    }

    #[test]
    fn one_that_is_gone_is_not_made_anew() {
        let data = tempfile::tempdir().unwrap();
        MasterKeys::load_or_create(data.path()).unwrap();
        Binding::in_folder(data.path()).write("a store").unwrap();
        MasterKeys::load_or_create(data.path()).unwrap();
        std::fs::remove_file(file(data.path())).unwrap();
        for made in [MasterKeys::load_or_create(data.path()), MasterKeys::load(data.path())] {
            assert!(matches!(made, Err(MasterError::Lost(_))), "{made:?}");
        }
        assert!(!file(data.path()).exists());
    }

    #[test]
    fn after_a_renewal_the_old_key_still_unwraps_until_it_is_forgotten() {
        let data = tempfile::tempdir().unwrap();
        let first = MasterKeys::load_or_create(data.path()).unwrap();
        let old = first.wrap(&[7; 32], b"").unwrap();
        let both = MasterKeys::renew(data.path()).unwrap();
        let new = both.wrap(&[8; 32], b"").unwrap();
        assert!(!both.is_current(&old) && both.is_current(&new));
        assert!(both.unwrap(&old, b"").is_some() && first.unwrap(&new, b"").is_none());
        both.forget_old(data.path()).unwrap();
        let last = MasterKeys::load_or_create(data.path()).unwrap();
        assert!(last.unwrap(&old, b"").is_none() && last.unwrap(&new, b"").is_some());
    }
}
