//! Every fact as each version of this program wrote it. The files are fixtures for ever: a new form
//! is a new version with a file of its own, beside the old one.
//!
//! `EVENTLY_BLESS=1 cargo test -p domain` writes files that are missing, and never touches others.

mod accounts;
mod administration;
mod inventory;
mod organizer;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use domain::{
    Aggregate, Fact, FactError, StoredFact, Time, account, administration as orders, attempt,
    email_claim, event, login_claim, venue,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A fact as one file has it.
#[derive(Clone)]
struct Golden {
    /// As in its stream's name.
    category: &'static str,
    kind: &'static str,
    version: u16,
    /// `most` has every field, `least` only those that must be there; or the name of a field that
    /// came later.
    fields: &'static str,
    fact: Fact,
}

impl Golden {
    fn file(&self) -> String {
        format!("{}-{}-{}-{}.json", self.category, self.kind, self.version, self.fields)
    }
}

/// What each file says. When a fact gets a new version, its old entries stay, with their version.
fn goldens() -> Vec<Golden> {
    [
        of("venue", organizer::venues(), Fact::Venue),
        of("event", organizer::events(), Fact::Event),
        of("inventory", inventory::facts(), Fact::Inventory),
        later("inventory", inventory::later(), Fact::Inventory),
        of("account", accounts::facts(), Fact::Account),
        of("email", accounts::claims(), Fact::Email),
        of("admin", administration::facts(), Fact::Admin),
        later("admin", administration::later(), Fact::Admin),
        of("login", accounts::logins(), Fact::Login),
        of("attempt", (vec![attempt::AttemptRefused {}.into()], vec![]), Fact::Attempt),
    ]
    .concat()
}

/// The first version of facts with fields that came later.
fn later<F: StoredFact>(
    category: &'static str,
    facts: Vec<(&'static str, F)>,
    any: fn(F) -> Fact,
) -> Vec<Golden> {
    let of = |(fields, fact): (_, F)| {
        let (kind, version) = (fact.kind(), 1);
        Golden { category, kind, version, fields, fact: any(fact) }
    };
    facts.into_iter().map(of).collect()
}

/// The first version of facts with every field and with the least.
fn of<F: StoredFact>(
    category: &'static str,
    (most, least): (Vec<F>, Vec<F>),
    any: fn(F) -> Fact,
) -> Vec<Golden> {
    let most = most.into_iter().map(|fact| ("most", fact));
    let all = most.chain(least.into_iter().map(|fact| ("least", fact)));
    all.map(|(fields, fact)| {
        let (kind, version) = (fact.kind(), 1);
        Golden { category, kind, version, fields, fact: any(fact) }
    })
    .collect()
}

#[test]
fn every_file_reads_as_the_fact_it_was_and_is_written_alike() {
    for golden in goldens() {
        let path = folder().join(golden.file());
        let (version, mut written) = (golden.fact.version(), golden.fact.encode());
        written.push(b'\n');
        let bless = std::env::var_os("EVENTLY_BLESS").is_some() && !path.exists();
        if bless && version == golden.version {
            fs::write(&path, &written).unwrap();
        }
        let stored = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stream = format!("{}-of_something", golden.category);
        let read = Fact::decode(&stream, golden.kind, golden.version, &stored);
        assert_eq!(read.unwrap().as_ref(), Some(&golden.fact), "{}", path.display());
        if version == golden.version {
            let (stored, written) = (String::from_utf8(stored), String::from_utf8(written));
            assert_eq!(stored.unwrap(), written.unwrap(), "{}", path.display());
        }
    }
}

#[test]
fn every_version_of_every_kind_has_a_file_and_every_file_a_fact() {
    let goldens: BTreeSet<String> = goldens().iter().map(Golden::file).collect();
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, goldens);
    let kinds = [
        (venue::Venue::CATEGORY, venue::Fact::KINDS),
        (event::Event::CATEGORY, event::Fact::KINDS),
        (domain::inventory::CATEGORY, domain::inventory::Fact::KINDS),
        (account::Account::CATEGORY, account::Fact::KINDS),
        (email_claim::EmailClaim::CATEGORY, email_claim::Fact::KINDS),
        (login_claim::LoginClaim::CATEGORY, login_claim::Fact::KINDS),
        (orders::Administration::CATEGORY, orders::Fact::KINDS),
        (attempt::Attempt::CATEGORY, attempt::Fact::KINDS),
    ];
    for (category, kinds) in kinds {
        for (kind, newest) in kinds {
            for version in 1..=*newest {
                let file = format!("{category}-{kind}-{version}-most.json");
                assert!(files.contains(&file), "there is no {file}");
            }
        }
    }
}

#[test]
fn what_is_no_fact_of_ours_is_told_apart() {
    let data = fs::read(folder().join("inventory-Reserved-1-most.json")).unwrap();
    let read = |stream, kind, version, data| Fact::decode(stream, kind, version, data);
    assert!(matches!(read("inventory-evt_x", "Reserved", 1, &data), Ok(Some(_))));
    assert!(matches!(read("$stats-x", "Reserved", 1, &data), Ok(None)));
    let unknown = read("inventory-evt_x", "Reserved", 2, &data);
    assert!(matches!(unknown, Err(FactError::Unknown { version: 2, .. })));
    let unknown = read("venue-ven_x", "Reserved", 1, &data);
    assert!(matches!(unknown, Err(FactError::Unknown { .. })));
    for damaged in [&data[1..], &data[..data.len() - 3], b"", b"null", b"{}", b"\xff"] {
        let damaged = read("inventory-evt_x", "Reserved", 1, damaged);
        assert!(matches!(damaged, Err(FactError::Damaged { .. })));
    }
    let message = read("inventory-evt_x", "Reserved", 2, &data).unwrap_err().to_string();
    assert!(message.contains("Reserved of version 2"), "{message}");
}

proptest::proptest! {
    #[test]
    fn degrees_are_stored_to_the_last_bit(latitude in -90.0..=90.0f64) {
        let (facts, _) = organizer::venues();
        let venue::Fact::VenueCreated(mut fact) = facts[0].clone() else { unreachable!() };
        fact.profile.latitude = Some(latitude);
        let fact = venue::Fact::from(fact);
        let read = venue::Fact::decode(fact.kind(), fact.version(), &fact.encode()).unwrap();
        proptest::prop_assert_eq!(read, fact);
    }
}

/// A moment that uses every digit.
fn at() -> Time {
    Time::from_ms(1_812_345_678_901)
}
