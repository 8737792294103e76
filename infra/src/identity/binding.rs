//! Which identity store the keys of an installation are in.
//!
//! The master key lies in a folder, and what it wraps may lie in a database. Whoever names another
//! database, or none, would find an empty store there, take everybody for erased, and throw away a
//! master key that the real store needs. So the folder has the store's name beside the master key.

use std::io;
use std::path::{Path, PathBuf};

use crate::private_file;

/// Keeps names of stores apart from every other use of BLAKE3.
const NAME: &str = "evently 2026-11 name of an identity store";

/// The name of the store that has this index key, which every store makes for itself.
pub(super) fn name(index: &[u8; 32]) -> String {
    let hash = blake3::derive_key(NAME, index);
    blake3::Hash::from(hash).to_hex()[..32].to_owned()
}

/// The file `keys/identity.store`, with the name of the one store that belongs here.
#[derive(Debug)]
pub(super) struct Binding(PathBuf);

impl Binding {
    pub(super) fn in_folder(shared: &Path) -> Self {
        Self(shared.join("keys").join("identity.store"))
    }

    /// Whether a store was used from here before.
    pub(super) fn is_there(&self) -> bool {
        self.0.exists()
    }

    /// The name, if a store was used from here before.
    pub(super) fn read(&self) -> io::Result<Option<String>> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes the name unless there is one; which one there is then.
    pub(super) fn write(&self, name: &str) -> io::Result<String> {
        let noted =
            private_file::read_or_create(&self.0, || Ok::<_, io::Error>(format!("{name}\n")));
        Ok(noted?.trim().to_owned())
    }
}
