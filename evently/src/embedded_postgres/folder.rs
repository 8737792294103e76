//! What the embedded database keeps on the disk, and whether it can be trusted.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The database's own files.
const DATABASE: &str = "database";
/// There while the database is in use; says since which start of the machine.
const IN_USE: &str = "in-use";
/// Named so by PostgreSQL's clients.
const SOCKET: &str = ".s.PGSQL.5432";
/// What a start may take of the disk, and how many files it opens, about.
const TRIED_BYTES: usize = 32 << 20;
const TRIED_FILES: usize = 64;
/// A socket's path has at most so many bytes on every system.
const MAX_SOCKET_PATH: usize = 100;

/// The folder of the embedded database.
#[derive(Debug)]
pub(super) struct ViewsFolder {
    path: PathBuf,
    socket: PathBuf,
    /// Holds the socket where the folder's own path is too long for one; removed with this.
    _elsewhere: Option<SocketFolder>,
}

#[derive(Debug)]
struct SocketFolder(PathBuf);

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // Nothing but a socket is in it; the next start makes another.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl ViewsFolder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        make_private(path)?;
        let path = path.canonicalize()?;
        let socket = path.join(SOCKET);
        if socket.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path, socket, _elsewhere: None });
        }
        let name = format!("evently-{:016x}", infra::ids::random_u64());
        let folder = std::env::temp_dir().join(name);
        make_private(&folder)?;
        let socket = folder.join(SOCKET);
        Ok(Self { path, socket, _elsewhere: Some(SocketFolder(folder)) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// In a folder that nobody else may enter: whoever reaches it is let in.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where to connect to, as sqlx reads it: it wants a host, also beside the folder of a socket.
    pub(super) fn url(&self) -> String {
        let folder = self.socket.parent().unwrap_or(Path::new("/tmp"));
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
        let encoded = folder.as_os_str().as_bytes().iter().map(|byte| match is_plain(byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        let host: String = encoded.collect();
        format!("postgresql://postgres@localhost/template1?host={host}&port=5432&sslmode=disable")
    }

    /// Why the files cannot be trusted, if so. They need not have been on the disk when the machine
    /// went down; a process that was killed leaves them whole.
    pub(super) fn distrust(&self) -> Option<&'static str> {
        let then = fs::read_to_string(self.path.join(IN_USE)).ok()?;
        (then != machine_start()).then_some("the machine went down while it was in use")
    }

    /// From now on the files are only as good as the machine's memory.
    pub(super) fn mark_in_use(&self) -> io::Result<()> {
        let path = self.path.join(IN_USE);
        fs::write(&path, machine_start())?;
        File::open(path)?.sync_all()?;
        File::open(&self.path)?.sync_all()
    }

    /// Whether there is a database, damaged or not.
    pub(super) fn has_database(&self) -> bool {
        self.database().exists()
    }

    /// Tries to have what a database needs to start: space, and files.
    pub(super) fn try_resources(&self) -> io::Result<()> {
        let path = self.path.join("try");
        let tried = (|| {
            let files: Vec<File> =
                (0..TRIED_FILES).map(|_| File::create(&path)).collect::<Result<_, _>>()?;
            fs::write(&path, vec![1; TRIED_BYTES])?;
            files.first().map_or(Ok(()), File::sync_all)
        })();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => tried.and(Err(error)),
            _ => tried,
        }
    }

    /// Brings everything to the disk; the files are good whatever happens next.
    pub(super) fn mark_clean(&self) -> io::Result<()> {
        sync(&self.database())?;
        fs::remove_file(self.path.join(IN_USE))?;
        File::open(&self.path)?.sync_all()
    }

    /// Takes away what a first start that failed has left of a database.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.database()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves the database's files aside; those that were moved before are deleted.
    pub(super) fn set_aside(&self, why: &str) -> io::Result<()> {
        let (database, aside) = (self.database(), self.path.join("set-aside"));
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::rename(&database, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        let aside = aside.display();
        tracing::warn!(%aside, why, "the views are filled from the log again; files set aside");
        Ok(())
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Tells one start of the machine from another; empty where it cannot be told.
fn machine_start() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, ViewsFolder) {
        let folder = tempfile::tempdir().unwrap();
        let views = ViewsFolder::open(&folder.path().join("views")).unwrap();
        fs::create_dir(views.database()).unwrap();
        fs::write(views.database().join("file"), "rows").unwrap();
        (folder, views)
    }

    #[test]
    fn a_folder_in_use_when_the_machine_went_down_is_not_trusted() {
        let (_folder, views) = folder();
        assert_eq!(views.distrust(), None);
        views.mark_in_use().unwrap();
        assert_eq!(views.distrust(), None, "only the process was killed");
        fs::write(views.path().join(IN_USE), "another start").unwrap();
        assert!(views.distrust().is_some());
        views.mark_clean().unwrap();
        assert_eq!(views.distrust(), None);
    }

    #[test]
    fn what_a_start_needs_is_tried_and_leaves_nothing() {
        let (_folder, views) = folder();
        views.try_resources().unwrap();
        assert!(!views.path().join("try").exists());
        let gone = views.path().to_owned();
        fs::remove_dir_all(&gone).unwrap();
        assert_eq!(views.try_resources().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_set_aside_takes_the_place_of_what_was_before() {
        let (_folder, views) = folder();
        views.set_aside("test").unwrap();
        assert!(!views.database().exists());
        fs::create_dir(views.database()).unwrap();
        views.set_aside("test").unwrap();
        assert!(views.path().join("set-aside").read_dir().unwrap().next().is_none());
        views.set_aside("nothing is there").unwrap();
    }

    #[test]
    fn its_address_is_that_of_the_socket_whatever_the_folder_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let views = ViewsFolder::open(&folder.path().join("my views & others")).unwrap();
        let options: sqlx::postgres::PgConnectOptions = views.url().parse().unwrap();
        assert_eq!(options.get_socket().map(|it| it.as_path()), views.socket().parent());
        assert_eq!((options.get_username(), options.get_port()), ("postgres", 5432));
    }

    #[test]
    fn a_socket_has_a_short_path_in_a_private_folder() {
        let folder = tempfile::tempdir().unwrap();
        let views = ViewsFolder::open(&folder.path().join("x".repeat(150))).unwrap();
        assert!(views.socket().as_os_str().len() <= MAX_SOCKET_PATH);
        let mode = views.socket().parent().unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let elsewhere = views.socket().parent().unwrap().to_owned();
        drop(views);
        assert!(!elsewhere.exists());
    }
}
