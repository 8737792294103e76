//! The data folder is made, recognised, and served by one process.

use std::fs;
use std::net::SocketAddr;

use infra::data_folder::{DataFolder, DataFolderError, LogError, Running};
use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};

use crate::child::Child;

fn refused(outcome: Result<DataFolder, DataFolderError>, says: &str) {
    let text = outcome.expect_err("it is refused").to_string();
    assert!(text.contains(says), "{text}");
}

#[test]
fn a_folder_is_made_and_found_again() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("some/where/data");
    refused(DataFolder::open_existing(&path), "there is no data folder at");
    assert!(!path.exists());
    let folder = DataFolder::open(&path).unwrap();
    assert_eq!(folder.log(), path.join("log.sqlite"));
    fs::write(folder.log(), "a log").unwrap();
    assert_eq!(DataFolder::open(&path).unwrap(), folder);
    assert_eq!(DataFolder::open_existing(&path).unwrap(), folder);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_enter() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path().join("data")).unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn an_empty_folder_is_taken() {
    let parent = tempfile::tempdir().unwrap();
    refused(DataFolder::open_existing(parent.path()), "there is no data folder at");
    fs::create_dir(parent.path().join("lost+found")).unwrap();
    // What a crash leaves when it strikes while the folder is marked.
    fs::write(parent.path().join("evently.json.new"), "").unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    assert_eq!(DataFolder::open_existing(parent.path()).unwrap(), folder);
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let thesis = parent.path().join("thesis.txt");
    fs::write(&thesis, "years of work").unwrap();
    for (path, says) in [
        (parent.path(), "not Evently's"),
        (&thesis, "is a file, not a folder"),
        (&thesis.join("below"), "cannot be used"),
    ] {
        refused(DataFolder::open(path), says);
        refused(DataFolder::open_existing(path), says);
    }
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years of work");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn a_foreign_or_newer_marker_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let marker = parent.path().join("evently.json");
    for (text, says) in [
        ("", "not Evently's"),
        ("[]", "not Evently's"),
        (r#"{"what":"settings of something","format":1}"#, "not Evently's"),
        (r#"{"what":"data folder of Evently","format":2}"#, "has format 2"),
    ] {
        fs::write(&marker, text).unwrap();
        refused(DataFolder::open(parent.path()), says);
        refused(DataFolder::open_existing(parent.path()), says);
        assert_eq!(fs::read_to_string(&marker).unwrap(), text);
    }
    // Whoever has a log there is not told that it is somebody else's.
    fs::write(parent.path().join("log.sqlite"), "years of sales").unwrap();
    fs::write(&marker, "{").unwrap();
    for says in ["evently.json is not as Evently wrote it", "restore that one file"] {
        refused(DataFolder::open(parent.path()), says);
        refused(DataFolder::open_existing(parent.path()), says);
    }
}

/// Who lost the one small file has all else, and is not told that it is somebody else's.
#[test]
fn a_log_without_what_describes_it_is_told_from_a_foreign_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    let identity = open_log(&folder).unwrap().identity();
    let marker = parent.path().join("evently.json");
    fs::remove_file(&marker).unwrap();
    let whole = fs::read(folder.log()).unwrap();
    let anew = r#"{"what":"data folder of Evently","format":1}"#;
    for says in ["evently.json is missing", "restore that one file from a backup", anew] {
        refused(DataFolder::open(parent.path()), says);
        refused(DataFolder::open_existing(parent.path()), says);
    }
    assert!(!marker.exists() && fs::read(folder.log()).unwrap() == whole);
    // What the sentence says helps: the same log, and no other from then on.
    fs::write(&marker, anew).unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    assert_eq!(open_log(&folder).unwrap().identity(), identity);
    fs::remove_file(folder.log()).unwrap();
    let text = open_log(&folder).expect_err("it is gone").to_string();
    assert!(text.contains("is missing, though this data folder had one"), "{text}");
    // A file that only has the name says nothing.
    fs::remove_file(&marker).unwrap();
    for text in ["", "years of sales"] {
        fs::write(folder.log(), text).unwrap();
        refused(DataFolder::open(parent.path()), "not Evently's");
    }
}

#[test]
fn one_server_has_the_folder_and_others_learn_where_it_is() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    assert_eq!(folder.running().unwrap(), None);
    let mut serving = folder.serve().unwrap();
    let pid = std::process::id();
    assert_eq!(folder.running().unwrap(), Some(Running { pid, address: None }));
    let address: SocketAddr = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535".parse().unwrap();
    serving.at(address).unwrap();
    assert_eq!(folder.running().unwrap(), Some(Running { pid, address: Some(address) }));
    // A shorter text leaves nothing of the longer one.
    let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
    serving.at(address).unwrap();
    let text = folder.serve().expect_err("it is served").to_string();
    assert!(text.contains(&format!("process {pid}, at 127.0.0.1:80")), "{text}");
    drop(serving);
    assert_eq!(folder.running().unwrap(), None);
    folder.serve().unwrap();
}

#[test]
fn who_looks_does_not_keep_a_server_from_starting() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    drop(folder.serve().unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                folder.running().unwrap();
            }
        });
        let served = (0..50).all(|_| folder.serve().is_ok());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(served);
    });
}

#[test]
fn a_killed_server_leaves_the_folder_free() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    for _ in 0..3 {
        let mut child = Child::start("data_folder::child_serves", parent.path());
        assert_eq!(child.next_line().as_deref(), Some("serving"));
        let running = folder.running().unwrap().expect("it is served");
        assert_eq!(running.pid, child.pid());
        assert!(
            matches!(folder.serve(), Err(DataFolderError::Served { running: r, .. }) if r == running)
        );
        child.kill();
        assert_eq!(folder.running().unwrap(), None);
        folder.serve().unwrap();
    }
}

/// What the child of [`a_killed_server_leaves_the_folder_free`] does.
#[test]
fn child_serves() {
    let Some(folder) = Child::folder() else { return };
    let mut serving = DataFolder::open(folder).unwrap().serve().unwrap();
    serving.at("127.0.0.1:8080".parse().unwrap()).unwrap();
    Child::say("serving");
    std::thread::park();
}

fn open_log(folder: &DataFolder) -> Result<EmbeddedLog, LogError> {
    folder.open_log(EmbeddedOptions::default())
}

#[test]
fn a_log_that_is_gone_is_not_begun_anew() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    let identity = open_log(&folder).unwrap().identity();
    assert_eq!(open_log(&folder).unwrap().identity(), identity);
    assert_eq!(folder.open_log_read_only().unwrap().identity(), identity);
    fs::remove_file(folder.log()).unwrap();
    // A start anew does not forget it either.
    let folder = DataFolder::open(parent.path()).unwrap();
    for outcome in [open_log(&folder), folder.open_log_read_only()] {
        let text = outcome.expect_err("it is gone").to_string();
        assert!(text.contains("is missing, though this data folder had one"), "{text}");
    }
    assert!(!folder.log().exists());
}

#[test]
fn the_log_of_a_folder_that_does_not_name_it_is_taken_and_named() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    // As an earlier version leaves it, or a crash right after the log was made.
    let log = EmbeddedLog::open(folder.log(), EmbeddedOptions::default()).unwrap();
    let identity = log.identity();
    drop(log);
    assert_eq!(folder.open_log_read_only().unwrap().identity(), identity);
    assert_eq!(open_log(&folder).unwrap().identity(), identity);
    fs::write(folder.log(), "").unwrap();
    let text = open_log(&folder).expect_err("it is gone").to_string();
    assert!(text.contains("is empty, though this data folder had one"), "{text}");
}

#[test]
fn a_crash_before_the_log_was_made_costs_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(parent.path()).unwrap();
    fs::write(folder.log(), "").unwrap();
    open_log(&folder).unwrap();
}
