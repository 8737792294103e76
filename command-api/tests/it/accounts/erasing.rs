//! `DELETE /users/me`, `GET /users/me/export` (AC-3).

use std::collections::BTreeSet;

use domain::account::Account;
use domain::{Aggregate, UserId};
use infra::identity::{Kept, KeyId, VaultError};
use infra::log::chain::ChainVerifier;
use infra::log::{Log, Position};
use serde_json::json;

use super::{Guest, Member, PASSWORD, count, grep, holding};
use crate::support::{Node, Terms, World, eventually};

const PERSONAL: [&str; 4] = ["lovelace", "ada@example", "ada=40example", "+44 1234"];

async fn forget(guest: &Guest, member: &Member) {
    guest.ask_as("DELETE", "/users/me", None, Some(&member.access), None).await.expect(204);
}

/// Nobody finds anything of the person, and the log is as it was written.
async fn is_forgotten(world: &World, user: UserId) {
    let found = grep(world.folder.path(), &PERSONAL);
    assert!(found.is_empty(), "{found:?}");
    assert!(matches!(world.vault.person(user).await, Err(VaultError::Erased)));
    assert!(matches!(world.vault.make_person(user).await, Err(VaultError::Erased)));
    assert_eq!(world.vault.store().erasing().await.unwrap(), []);
    let mut chain = ChainVerifier::new().without_gaps();
    for record in world.log.read_all(Position(0), usize::MAX >> 1).await.unwrap() {
        chain.verify(&record).unwrap();
    }
}

/// Somebody with everything that can be personal.
async fn ada(world: &World, guest: &Guest) -> Member {
    let member = guest.join(world, "ada@example.org", "Ada Lovelace").await;
    let body = json!({"name": "Countess Lovelace", "phone": "+44 1234"});
    guest.ask_as("PUT", "/users/me", Some(body), Some(&member.access), Some("k")).await.expect(200);
    member
}

#[tokio::test]
async fn who_is_erased_cannot_be_found_and_the_log_still_verifies() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    let before = world.log.read_all(Position(0), 1_000).await.unwrap();
    assert!(!grep(world.folder.path(), &PERSONAL).is_empty(), "nothing to be forgotten");
    let email = "ada@example.org".parse().unwrap();
    let address = world.vault.address(&email).await.unwrap().unwrap();
    let key = KeyId::Person(member.user);
    let Some(Kept::Wrapped(key)) = world.vault.store().key(key).await.unwrap() else { panic!() };
    assert!(!holding(world.folder.path(), &key).is_empty(), "no key to be destroyed");

    forget(&guest, &member).await;
    is_forgotten(&world, member.user).await;
    // Not even wrapped: neither in free pages nor in the write-ahead log.
    assert_eq!(holding(world.folder.path(), &key), BTreeSet::new());
    assert_eq!(world.log.read_all(Position(0), before.len()).await.unwrap(), before);
    // Not even who guesses the address finds its stream.
    assert_eq!(world.vault.address(&email).await.unwrap(), None);
    guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    guest.me(&member).await.refused(404, "ACCOUNT_NOT_FOUND");
    let export = guest.ask_as("GET", "/users/me/export", None, Some(&member.access), None).await;
    export.refused(404, "ACCOUNT_NOT_FOUND");
    // Asked again it is so already.
    forget(&guest, &member).await;
    assert_eq!(count(&world, "AccountErased").await, 1);

    // The address is free, and whoever has it now is somebody else.
    let next = guest.join(&world, "ada@example.org", "Another").await;
    assert_ne!(next.user, member.user);
    assert_ne!(world.vault.address(&email).await.unwrap(), Some(address));
    node.stop().await;
}

#[tokio::test]
async fn an_erasure_that_was_broken_off_is_finished_by_the_next_start() {
    // After the mark; after the fact; after the address.
    for broken_off in 0..3 {
        let world = World::new();
        let node = world.start().await;
        let guest = Guest::at(&world, &node);
        let member = ada(&world, &guest).await;
        node.stop().await;
        world.vault.store().begin_erasing(member.user).await.unwrap();
        if broken_off >= 1 {
            append_erased(&world, member.user).await;
        }
        if broken_off >= 2 {
            let email = "ada@example.org".parse().unwrap();
            world.vault.destroy_address(&email).await.unwrap();
        }
        let node: Node = world.start().await;
        eventually(async || world.vault.store().erasing().await.unwrap().is_empty()).await;
        is_forgotten(&world, member.user).await;
        assert_eq!(count(&world, "AccountErased").await, 1);
        node.stop().await;
    }
}

async fn append_erased(world: &World, user: UserId) {
    use domain::StoredFact;
    use domain::account::{AccountErased, Fact};
    use infra::clock::Clock;
    use infra::log::{Expected, NewRecord};
    let fact = Fact::from(AccountErased { user, by: Some(user) });
    let record = NewRecord {
        id: uuid::Uuid::from_u128(1),
        kind: fact.kind().into(),
        version: fact.version(),
        at: world.clock.now(),
        metadata: "{}".to_owned(),
        data: fact.encode().into(),
    };
    let stream = Account::stream(user);
    world.log.append(&stream, Expected::Any, vec![record]).await.unwrap();
}

#[tokio::test]
async fn an_export_has_all_that_is_held_and_nothing_of_others() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    let sale = world.sale(&node, Terms::default()).await;
    let buyer = world.somebody(&node, member.user, &[infra::auth::Role::Attendee]);
    let booking = buyer.hold(&sale.reserve(2)).await;
    buyer.pay(&booking, "tok_success").await.expect(200);
    let other = world.buyer(&node);
    let foreign = other.hold(&sale.reserve(1)).await;
    other.pay(&foreign, "tok_success").await.expect(200);

    let export = guest.ask_as("GET", "/users/me/export", None, Some(&member.access), None).await;
    let export = export.expect(200);
    let body = export.json();
    assert_eq!(body["account"]["email"], "ada@example.org");
    assert_eq!(body["account"]["name"], "Countess Lovelace");
    assert_eq!(body["account"]["phone"], "+44 1234");
    assert_eq!(body["sessions"].as_array().unwrap().len(), 1);
    let kinds = body["records"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "EmailClaimed",
            "AccountRegistered",
            "EmailVerified",
            "ProfileChanged",
            "Reserved",
            "PaymentStarted",
            "Confirmed"
        ]
    );
    let text = String::from_utf8(export.body.to_vec()).unwrap();
    assert!(!text.contains(&other.user.to_string()) && !text.contains(&foreign));
    node.stop().await;
}
