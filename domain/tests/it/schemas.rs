//! The JSON Schema of every fact lies in `schemas/facts`, as this code says it.
//!
//! `EVENTLY_BLESS=1 cargo test -p domain` writes what has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use domain::{
    Aggregate, StoredFact, account, administration, attempt, email_claim, event, inventory,
    login_claim, venue,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/facts")
}

fn version_of(category: &str, kind: &str) -> u16 {
    let kinds = match category {
        venue::Venue::CATEGORY => venue::Fact::KINDS,
        event::Event::CATEGORY => event::Fact::KINDS,
        inventory::CATEGORY => inventory::Fact::KINDS,
        account::Account::CATEGORY => account::Fact::KINDS,
        email_claim::EmailClaim::CATEGORY => email_claim::Fact::KINDS,
        login_claim::LoginClaim::CATEGORY => login_claim::Fact::KINDS,
        administration::Administration::CATEGORY => administration::Fact::KINDS,
        attempt::Attempt::CATEGORY => attempt::Fact::KINDS,
        other => panic!("whose facts are {other}?"),
    };
    kinds.iter().find(|(name, _)| *name == kind).unwrap().1
}

/// File names and what belongs into them.
fn generated() -> BTreeMap<String, String> {
    let file = |(category, kind, schema): (&str, &str, schemars::Schema)| {
        let version = version_of(category, kind);
        let text = serde_json::to_string_pretty(&schema).unwrap();
        (format!("{category}-{kind}-{version}.json"), format!("{text}\n"))
    };
    domain::fact::schemas().into_iter().map(file).collect()
}

#[test]
fn the_schemas_are_what_the_code_says() {
    let bless = std::env::var_os("EVENTLY_BLESS").is_some();
    if bless {
        fs::create_dir_all(folder()).unwrap();
    }
    for (file, wanted) in generated() {
        let path = folder().join(&file);
        if bless {
            fs::write(&path, &wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "{file} is out of date; run EVENTLY_BLESS=1 cargo test -p domain");
    }
}

#[test]
fn no_schema_is_of_a_fact_that_does_not_exist() {
    let current = generated();
    for entry in fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if current.contains_key(&file) {
            continue;
        }
        // Older versions stay: they are still in logs.
        let mut parts = file.trim_end_matches(".json").split('-');
        let (category, kind) = (parts.next().unwrap(), parts.next().unwrap());
        let version: u16 = parts.next().and_then(|it| it.parse().ok()).unwrap();
        assert!(version < version_of(category, kind), "{file} describes nothing");
    }
}
