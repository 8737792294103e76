//! `DELETE /users/me`, `GET /users/me/export` (AC-3).

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::account::Account;
use domain::{Aggregate, UserId};
use infra::auth::Role;
use infra::identity::{
    IdentityStore as _, Kept, KeyId, MasterKeys, SqliteIdentity, Vault, VaultError,
};
use infra::log::chain::ChainVerifier;
use infra::log::{Log, Position, Record};
use serde_json::json;

use super::store::{Gate, GatedStore, gated};
use super::{Guest, Member, PASSWORD, count, grep, holding};
use crate::support::{Client, Node, Sale, Terms, World, cancel, eventually};

const PERSONAL: [&str; 4] = ["lovelace", "ada@example", "ada=40example", "+44 1234"];

async fn forget(guest: &Guest, member: &Member) {
    guest.ask_as("DELETE", "/users/me", None, Some(&member.access), None).await.expect(204);
}

/// A node on which nobody helps who finishes what was broken off: they have looked already.
async fn start_alone(world: &World, store: &GatedStore) -> Node {
    store.begin_erasing(UserId::from_u128(77)).await.unwrap();
    let node = world.start().await;
    eventually(async || store.erasing().await.unwrap().is_empty()).await;
    node
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
    // Here at once, without a look into the store.
    guest.me(&member).await.refused(401, "UNAUTHORIZED");
    // Where it is not known yet there is no account, and asked again it is so already.
    let other = world.start_on(world.log.clone(), "other.json").await;
    let there = Guest::at(&world, &other);
    there.me(&member).await.refused(404, "ACCOUNT_NOT_FOUND");
    let export = there.ask_as("GET", "/users/me/export", None, Some(&member.access), None).await;
    export.refused(404, "ACCOUNT_NOT_FOUND");
    forget(&there, &member).await;
    assert_eq!(count(&world, "AccountErased").await, 1);
    other.stop().await;

    // The address is free, and whoever has it now is somebody else.
    let next = guest.join(&world, "ada@example.org", "Another").await;
    assert_ne!(next.user, member.user);
    assert_ne!(world.vault.address(&email).await.unwrap(), Some(address));
    node.stop().await;
}

#[tokio::test]
async fn who_hangs_up_is_forgotten_all_the_same() {
    let (world, store) = gated();
    let node = start_alone(&world, &store).await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    guest.ask_and_go("DELETE", "/users/me", &member.access);
    world.until_kind("AccountErased", 1).await;
    eventually(async || store.erasing().await.unwrap().is_empty()).await;
    is_forgotten(&world, member.user).await;
    node.stop().await;
}

#[tokio::test]
async fn an_erasure_that_was_broken_off_is_finished_by_the_next_start() {
    // After the mark; after the fact; after the address; after the key.
    for broken_off in 0..4 {
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
            let address = world.vault.address(&email).await.unwrap().unwrap();
            world.vault.destroy_address(&email, address).await.unwrap();
        }
        if broken_off >= 3 {
            world.vault.destroy_person(member.user).await.unwrap();
            assert!(!grep(world.folder.path(), &PERSONAL).is_empty(), "no mail to be removed");
        }
        let node: Node = world.start().await;
        eventually(async || world.vault.store().erasing().await.unwrap().is_empty()).await;
        is_forgotten(&world, member.user).await;
        assert_eq!(count(&world, "AccountErased").await, 1);
        node.stop().await;
    }
}

#[tokio::test]
async fn who_cannot_be_forgotten_now_keeps_nobody_else_from_it() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let first = ada(&world, &guest).await;
    let second = guest.join(&world, "bob@example.org", "Bob").await;
    assert!(first.user < second.user);
    node.stop().await;
    for user in [first.user, second.user] {
        world.vault.store().begin_erasing(user).await.unwrap();
    }
    // A file where the folder of her mails should be cannot be removed like one.
    let mails = world.mail().join(first.user.to_string());
    std::fs::remove_dir_all(&mails).unwrap();
    std::fs::write(&mails, "").unwrap();
    let node: Node = world.start().await;
    eventually(async || world.vault.store().erasing().await.unwrap() == [first.user]).await;
    assert!(matches!(world.vault.person(second.user).await, Err(VaultError::Erased)));
    node.stop().await;
}

#[tokio::test]
async fn nobody_is_called_erased_whose_key_is_somewhere_else() {
    let mut world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    node.stop().await;
    let used = world.vault.clone();
    let other = SqliteIdentity::open(&world.folder.path().join("other.sqlite")).unwrap();
    let masters = MasterKeys::load_or_create(world.folder.path()).unwrap();
    world.vault = Arc::new(Vault::new(Arc::new(other), masters));
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let ask = async || guest.ask_as("DELETE", "/users/me", None, Some(&member.access), None).await;
    ask().await.refused(503, "IDENTITY_UNAVAILABLE");
    assert_eq!(count(&world, "AccountErased").await, 0);
    // Nor who is erased in the log already.
    append_erased(&world, member.user).await;
    ask().await.refused(503, "IDENTITY_UNAVAILABLE");
    node.stop().await;
    assert!(used.person(member.user).await.is_ok());
}

#[tokio::test]
async fn a_mail_that_comes_while_somebody_is_forgotten_does_not_stay() {
    let (world, store) = gated();
    let node = start_alone(&world, &store).await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    // Written after the mails were removed, and before the key is.
    let late = world.mail().join(member.user.to_string()).join("late.eml");
    store.before(Gate::DestroyPerson, async move {
        std::fs::create_dir_all(late.parent().unwrap()).unwrap();
        std::fs::write(&late, "To: ada@example.org\r\n").unwrap();
        Ok(())
    });
    forget(&guest, &member).await;
    assert!(store.is_spent());
    is_forgotten(&world, member.user).await;
    node.stop().await;
}

#[tokio::test]
async fn who_is_erased_stays_nowhere_logged_in_also_if_their_sessions_were_not_closed_yet() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    append_erased(&world, member.user).await;
    let sessions = async || world.vault.store().sessions(member.user).await.unwrap().len();
    assert_eq!(sessions().await, 1);
    guest.refresh(&member.refresh).await.refused(401, "SESSION_OVER");
    assert_eq!(sessions().await, 0);
    guest.log_in("ada@example.org", PASSWORD).await.refused(401, "LOGIN_REFUSED");
    node.stop().await;
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
        metadata: "{}".into(),
        data: fact.encode().into(),
    };
    let stream = Account::stream(user);
    world.log.append(&stream, Expected::Any, vec![record]).await.unwrap();
}

/// Who waits for a sold-out event, and holds something of another.
async fn waiting(world: &World, node: &Node, guest: &Guest) -> (Member, Sale, Client, String) {
    let sold_out = world.sale(node, Terms { places: 1, ..Terms::default() }).await;
    let other = world.sale(node, Terms { places: 1, ..Terms::default() }).await;
    let first = world.buyer(node);
    let booking = first.hold(&sold_out.reserve(1)).await;
    let member = ada(world, guest).await;
    let person = world.somebody(node, member.user, &[Role::Attendee]);
    person.send(&sold_out.join(1)).await.expect(201);
    person.hold(&other.reserve(1)).await;
    world.buyer(node).send(&sold_out.join(1)).await.expect(201);
    (member, sold_out, first, booking)
}

#[tokio::test]
async fn who_is_erased_waits_no_longer_and_holds_nothing_unpaid() {
    for is_broken_off in [false, true] {
        let world = World::new();
        let mut node = world.start().await;
        let guest = Guest::at(&world, &node);
        let (member, sold_out, first, booking) = waiting(&world, &node, &guest).await;
        let mut first = first;
        if is_broken_off {
            // Whoever erased them ended right after it, and nobody has either event in memory.
            node.stop().await;
            append_erased(&world, member.user).await;
            node = world.start().await;
            first = world.somebody(&node, first.user, &[Role::Attendee]);
        } else {
            forget(&guest, &member).await;
        }
        let given_back = world.until_kind("Cancelled", 1).await;
        let theirs = member.user.to_string();
        let is_theirs =
            |record: &Record| std::str::from_utf8(&record.data).unwrap().contains(&theirs);
        assert!(is_theirs(given_back.iter().find(|it| &*it.kind == "Cancelled").unwrap()));
        let left = world.until_kind("WaitlistLeft", 1).await;
        assert!(is_theirs(left.iter().find(|it| &*it.kind == "WaitlistLeft").unwrap()));
        // What comes back goes to who is next.
        first.send(&cancel(&booking)).await.expect(200);
        let offered = world.until_kind("Offered", 1).await;
        let offered = offered.iter().find(|it| &*it.kind == "Offered").unwrap();
        assert!(!is_theirs(offered), "{offered:?}");
        assert!(offered.stream.contains(&sold_out.event.to_string()));
        node.stop().await;
    }
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

#[tokio::test]
async fn who_takes_an_export_slowly_keeps_nobody_else_from_theirs() {
    let world = World::new();
    let node = world.start().await;
    let guest = Guest::at(&world, &node);
    let member = ada(&world, &guest).await;
    let bob = guest.join(&world, "bob@example.org", "Bob").await;
    let ask = async |member: &Member| {
        guest.ask_as("GET", "/users/me/export", None, Some(&member.access), None).await
    };
    let untaken = guest.begin("/users/me/export", &member.access).await;
    assert_eq!(untaken.status(), 200);
    // Another has theirs, and nobody has two.
    assert_eq!(ask(&bob).await.expect(200).json()["account"]["name"], "Bob");
    ask(&member).await.refused(503, "EXPORT_UNDER_WAY");
    let body = axum::body::to_bytes(untaken.into_body(), usize::MAX).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["records"].as_array().unwrap().len(), 4);
    eventually(async || ask(&member).await.status == 200).await;
    // Whoever goes away may ask again.
    eventually(async || {
        let gone = guest.begin("/users/me/export", &member.access).await;
        gone.status() == 200
    })
    .await;
    eventually(async || ask(&member).await.status == 200).await;
    node.stop().await;
}
