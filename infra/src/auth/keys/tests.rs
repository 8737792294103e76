use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::clock::SystemClock;

fn load(data: &Path) -> Result<Keys, KeyError> {
    Keys::load_or_create(data, Arc::new(SystemClock))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_made_once_and_for_the_owner_alone() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("keys");
    let first = load(data.path()).unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("signing.pem")), 0o600);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(load(data.path()).unwrap().jwks(), first.jwks());

    fs::set_permissions(folder.join("signing.pem"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(load(data.path()).unwrap().jwks(), first.jwks());
    assert_eq!(mode(&folder.join("signing.pem")), 0o600);
}

#[test]
fn processes_that_start_together_agree_on_one_key() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let all: Vec<JwkSet> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load(data).unwrap().jwks())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|jwks| *jwks == all[0]));
    assert_eq!(fs::read_dir(data.join("keys")).unwrap().count(), 1);
}

#[test]
fn a_damaged_key_is_refused_and_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("keys").join("signing.pem");
    load(data.path()).unwrap();
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----"] {
        fs::write(&path, damaged).unwrap();
        let error = load(data.path()).unwrap_err().to_string();
        assert!(error.contains("signing.pem") && error.contains("restore it"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn one_that_is_gone_is_not_made_anew_but_when_that_is_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("keys").join("signing.pem");
    let known = || Keys::load(data.path(), Arc::new(SystemClock));
    let first = load(data.path()).unwrap();
    assert_eq!(known().unwrap().jwks(), first.jwks());
    fs::remove_file(&path).unwrap();
    let lost = known().unwrap_err().to_string();
    assert!(lost.contains("signing.pem is missing") && lost.contains("rotate-signing"), "{lost}");
    assert!(!path.exists());
    Keys::rotate(data.path(), true).unwrap();
    assert_eq!(known().unwrap().jwks().keys.len(), 1);
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("keys"), "a file").unwrap();
    assert!(matches!(load(data.path()), Err(KeyError::File { .. })));
}
