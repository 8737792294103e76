//! Who may know whom, and what the domain must not know.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The folders of the product and which of the others each may depend on.
const LAW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("infra", &["domain"]),
    ("command-api", &["domain", "infra"]),
    ("projections", &["domain", "infra"]),
    ("query-api", &["domain", "infra"]),
    ("evently", &["domain", "infra", "command-api", "projections", "query-api"]),
    ("bench", &["domain", "infra", "command-api", "projections", "query-api", "evently"]),
];

/// All that the domain builds on.
const FOUNDATIONS: &[&str] =
    &["blake3", "chrono", "schemars", "serde", "serde_json", "thiserror", "uuid"];

/// Runtimes, databases, servers, clocks and randomness; also by way of others' features.
const FOREIGN: &[&str] = &[
    "async-std",
    "axum",
    "fastrand",
    "futures",
    "getrandom",
    "hyper",
    "iana-time-zone",
    "mio",
    "rand",
    "rand_core",
    "reqwest",
    "rusqlite",
    "smol",
    "sqlx",
    "tokio",
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(cargo).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// For each folder of the workspace, the packages it names as dependencies, of any kind.
fn workspace() -> BTreeMap<String, Vec<Value>> {
    let metadata = cargo(&["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let named = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().clone();
        (package["name"].as_str().unwrap().to_owned(), dependencies)
    };
    packages.iter().map(named).collect()
}

fn names(dependencies: &[Value]) -> impl Iterator<Item = &str> {
    dependencies.iter().map(|dependency| dependency["name"].as_str().unwrap())
}

#[test]
fn nobody_knows_whom_the_law_does_not_name() {
    let workspace = workspace();
    for (folder, dependencies) in &workspace {
        let law = LAW.iter().find(|(name, _)| name == folder);
        let (_, allowed) = law.unwrap_or_else(|| panic!("the law does not know {folder}"));
        let ours = names(dependencies).filter(|name| workspace.contains_key(*name));
        for other in ours.filter(|other| other != folder) {
            assert!(allowed.contains(&other), "{folder} must not depend on {other}");
        }
    }
}

#[test]
fn the_domain_builds_on_little() {
    let workspace = workspace();
    let is_built_on = |dependency: &&Value| dependency["kind"].is_null();
    let dependencies: Vec<Value> =
        workspace["domain"].iter().filter(is_built_on).cloned().collect();
    for name in names(&dependencies) {
        assert!(FOUNDATIONS.contains(&name), "the domain does not need {name}");
    }
}

#[test]
fn the_domain_has_no_runtime_no_database_no_clock_and_no_randomness() {
    let tree = cargo(&["tree", "--offline", "-p", "domain", "-e", "normal", "--prefix", "none"]);
    let mut names = tree.lines().filter_map(|line| line.split_whitespace().next());
    assert_eq!(names.next(), Some("domain"));
    for name in names {
        let foreign = FOREIGN.contains(&name) || name.starts_with("tokio-");
        assert!(!foreign, "the domain depends on {name}");
    }
}

#[test]
fn the_domain_asks_nothing_of_the_machine() {
    let asking =
        ["std::time", "std::fs", "std::net", "std::thread", "std::env", "std::io", ".await"];
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let asked = asking.iter().find(|asking| text.contains(**asking));
            assert_eq!(asked, None, "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 20, "only {files} files were looked at");
}
