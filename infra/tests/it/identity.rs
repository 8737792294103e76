//! The identity store, on every database it can be in.

use std::sync::Arc;

use domain::UserId;
use infra::identity::{
    Field, MasterKeys, PostgresIdentity, SqliteIdentity, Vault, VaultError, conformance,
};

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
    assert_eq!(infra::identity::IdentityStore::erasing(&other).await.unwrap(), []);
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

    last.destroy_address(&email).await.unwrap();
    assert_eq!(last.address(&email).await.unwrap(), None);
    assert_ne!(last.make_address(&email).await.unwrap(), address);
    last.destroy_person(ada).await.unwrap();
    assert!(matches!(last.person(ada).await, Err(VaultError::Erased)));
    assert!(matches!(last.make_person(ada).await, Err(VaultError::Erased)));
    assert!(last.person(bob).await.is_ok());
}
