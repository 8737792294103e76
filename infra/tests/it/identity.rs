//! The identity store, on every database it can be in.

use std::sync::Arc;
use std::time::Duration;

use domain::{Time, UserId};
use futures::FutureExt;
use infra::identity::{
    Bar, Field, IdentityStore as _, MasterKeys, PostgresIdentity, PromptIdentity, SqliteIdentity,
    Vault, VaultError, conformance,
};

use crate::log_server::soon;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_keys_sessions_and_codes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteIdentity::open(&folder.path().join("identity.sqlite")).unwrap();
    conformance::run(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_keys_sessions_and_codes() {
    let Some(server) = infra::postgres::testing::server() else { return };
    let pool = server.pool(8).await;
    conformance::run(Arc::new(PostgresIdentity::new(pool.clone()))).await;
    // Another node finds the tables set up, and what is in them.
    let other = PostgresIdentity::new(pool);
    assert_eq!(other.erasing().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_waited_for_once() {
    let Some(server) = infra::postgres::testing::own_server() else { return };
    let pool = server.pool(2).await;
    // The tables take their time.
    PostgresIdentity::new(pool.clone()).erasing().await.unwrap();
    let limit = Duration::from_secs(2);
    let store = PromptIdentity::new(PostgresIdentity::new(pool), limit);
    soon(async { while store.erasing().await.is_err() {} }).await;
    server.freeze();
    soon(store.erasing()).await.unwrap_err();
    let known = store.erasing().now_or_never().expect("it is not asked");
    known.unwrap_err();
    server.thaw();
    soon(async {
        while store.erasing().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_barred_in_an_old_database_is_so_with_every_token() {
    let Some(server) = infra::postgres::testing::server() else { return };
    let pool = server.pool(2).await;
    let store = PostgresIdentity::new(pool.clone());
    assert_eq!(store.erasing().await.unwrap(), []);
    // As it was before.
    let old = "ALTER TABLE identity.barred DROP COLUMN before_ms;
        DELETE FROM identity.applied WHERE version >= 4;
        INSERT INTO identity.barred
        VALUES ('00000000-0000-0000-0000-000000000007', 1800000900000);";
    sqlx::raw_sql(old).execute(&pool).await.unwrap();
    let store = PostgresIdentity::new(pool);
    let until = Time::from_ms(1_800_000_900_000);
    let bar = Bar { user: UserId::from_u128(7), before: Bar::EVER, until };
    assert_eq!(store.barred(Time::from_ms(0), 9).await.unwrap(), [bar]);
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.sqlite");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE thesis (chapter TEXT)").unwrap();
    assert!(SqliteIdentity::open(&path).is_err());
}

#[tokio::test]
async fn keys_survive_another_master_key_and_not_their_destruction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.sqlite");
    let vault = |masters| Vault::new(Arc::new(SqliteIdentity::open(&path).unwrap()), masters);
    let (ada, bob) = (UserId::from_u128(1), UserId::from_u128(2));
    let email = "Ada@Example.org".parse().unwrap();
    let first = vault(MasterKeys::load_or_create(folder.path()).unwrap());
    let sealed = first.make_person(ada).await.unwrap().seal(Field::Profile, b"Ada").unwrap();
    first.make_person(bob).await.unwrap();
    assert_eq!(first.address(&email).await.unwrap(), None);
    let address = first.make_address(&email).await.unwrap();
    let other_case = "ada@example.ORG".parse().unwrap();
    assert_eq!(first.address(&other_case).await.unwrap(), Some(address));

    let renewed = vault(MasterKeys::renew(folder.path()).unwrap());
    assert_eq!(renewed.rewrap().await.unwrap(), 4);
    assert_eq!(renewed.rewrap().await.unwrap(), 0);
    renewed.into_masters().forget_old(folder.path()).unwrap();
    let unread = first.person(ada).await;
    assert!(matches!(unread, Err(VaultError::Unreadable)), "{unread:?}");

    let last = vault(MasterKeys::load_or_create(folder.path()).unwrap());
    let key = last.person(ada).await.unwrap();
    assert_eq!(key.open(Field::Profile, &sealed).unwrap().as_slice(), b"Ada");
    assert_eq!(last.address(&email).await.unwrap(), Some(address));

    // Somebody else's by now is left alone.
    last.destroy_address(&email, domain::EmailHash([7; 32])).await.unwrap();
    assert_eq!(last.address(&email).await.unwrap(), Some(address));
    last.destroy_address(&email, address).await.unwrap();
    assert_eq!(last.address(&email).await.unwrap(), None);
    assert_ne!(last.make_address(&email).await.unwrap(), address);
    last.destroy_person(ada).await.unwrap();
    assert!(matches!(last.person(ada).await, Err(VaultError::Erased)));
    assert!(matches!(last.make_person(ada).await, Err(VaultError::Erased)));
    assert!(last.person(bob).await.is_ok());
    // Destroyed is not the same as never made.
    assert!(matches!(last.person(UserId::from_u128(3)).await, Err(VaultError::Unknown)));
}

#[tokio::test]
async fn another_store_is_not_taken_for_the_one_that_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path();
    let vault = |name: &str, masters| {
        let store = SqliteIdentity::open(&shared.join(name)).unwrap();
        Vault::new(Arc::new(store), masters).bound_to(shared)
    };
    let masters = || MasterKeys::load_or_create(shared).unwrap();
    let (ada, email) = (UserId::from_u128(1), "ada@example.org".parse().unwrap());
    // What only looks decides nothing.
    let new = vault("other", masters());
    assert!(matches!(new.person(ada).await, Err(VaultError::Unknown)));
    assert_eq!(new.address(&email).await.unwrap(), None);
    assert!(matches!(new.rewrap().await, Err(VaultError::Foreign)));
    assert!(matches!(new.people().await, Err(VaultError::Foreign)));
    let used = vault("used", masters());
    used.make_person(ada).await.unwrap();
    assert!(used.people().await.unwrap().contains(&ada));

    // One that is new, and one that has keys of its own.
    let foreign =
        Vault::new(Arc::new(SqliteIdentity::open(&shared.join("third")).unwrap()), masters());
    foreign.make_person(ada).await.unwrap();
    for name in ["other", "third"] {
        let wrong = vault(name, masters());
        for refused in [
            wrong.settle().await.unwrap_err(),
            wrong.person(ada).await.unwrap_err(),
            wrong.make_person(ada).await.unwrap_err(),
            wrong.address(&email).await.unwrap_err(),
            wrong.make_address(&email).await.unwrap_err(),
            wrong.destroy_person(ada).await.unwrap_err(),
            wrong.rewrap().await.unwrap_err(),
            wrong.people().await.unwrap_err(),
        ] {
            assert!(matches!(refused, VaultError::Foreign), "{name}: {refused:?}");
        }
    }
    // A copy of it is the same store; another master key is not the same.
    vault("used", masters()).settle().await.unwrap();
    let key = format!("{}=", "A".repeat(43));
    let stranger = vault("used", MasterKeys::parse(&key).unwrap());
    assert!(matches!(stranger.settle().await, Err(VaultError::Unreadable)));
    assert!(matches!(stranger.make_person(ada).await, Err(VaultError::Unreadable)));
}
