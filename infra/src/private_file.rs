//! Files with secrets: for their owner alone, there whole or not at all.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::ids;

/// What is in the file at `path`; what `make` gives, if there is no file yet. Processes that ask
/// together agree.
///
/// # Errors
/// It cannot be read or written, or `make` fails.
pub(crate) fn read_or_create<E: From<io::Error>>(
    path: &Path,
    make: impl FnOnce() -> Result<String, E>,
) -> Result<String, E> {
    Ok(match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path, &make()?)?;
            // Another process may have been first: its secret is the one that counts.
            read(path)?
        }
        read => read?,
    })
}

/// What is in the file at `path`.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    keep_private(path)?;
    Ok(text)
}

/// Writes a new file so that it is there whole or not at all, and never replaces one.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let draft = draft(path, text)?;
    let placed = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        placed => placed,
    };
    fs::remove_file(&draft)?;
    placed?;
    sync_folder(path)
}

/// Puts `text` in the place of what is in the file, in one step.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    fs::rename(draft(path, text)?, path)?;
    sync_folder(path)
}

/// Makes the folder, for its owner alone, if there is none.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn draft(path: &Path, text: &str) -> io::Result<PathBuf> {
    make_folder(folder(path))?;
    let draft = path.with_extension(format!("{:016x}.new", ids::random_u64()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        fs::remove_file(&draft)?;
        return Err(error);
    }
    Ok(draft)
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(folder(path))?.sync_all()
}

/// Takes from everyone but the owner what they may do with the file.
pub(crate) fn keep_private(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could read the secret; no longer");
    fs::set_permissions(path, Permissions::from_mode(0o600))
}
