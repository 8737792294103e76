//! The real identity store, with what can happen between it and those who use it.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{ServiceKeyId, Time, UserId};
use futures::FutureExt;
use futures::future::BoxFuture;
use infra::identity::{
    Bar, Code, IdentityStore, Kept, KeyId, MasterKeys, Purpose, Rotation, ServiceKey, Session,
    StoreError, TokenHash, Vault,
};
use parking_lot::Mutex;

use crate::support::World;

/// Before what something happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    OpenSession,
    Rotate,
    TakeCode,
    CloseSessions,
    DestroyPerson,
    Bar,
}

type Event = BoxFuture<'static, Result<(), StoreError>>;

pub(super) struct GatedStore {
    inner: Arc<Vault>,
    events: Mutex<VecDeque<(Gate, Event)>>,
}

/// A world whose identity store does as told.
pub(super) fn gated() -> (World, Arc<GatedStore>) {
    let mut world = World::new();
    let store = Arc::new(GatedStore::new(world.vault.clone()));
    let masters = MasterKeys::load_or_create(world.folder.path()).unwrap();
    world.vault = Arc::new(Vault::new(store.clone(), masters));
    (world, store)
}

/// As of a store that is away.
pub(super) fn away() -> StoreError {
    StoreError("as the test ordered".into())
}

impl GatedStore {
    /// The store of this vault.
    pub(super) fn new(inner: Arc<Vault>) -> Self {
        Self { inner, events: Mutex::default() }
    }

    /// Has this happen before the next call of this kind, which fails if it does.
    pub(super) fn before(
        &self,
        gate: Gate,
        event: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) {
        self.events.lock().push_back((gate, event.boxed()));
    }

    /// Whether all of it happened.
    pub(super) fn is_spent(&self) -> bool {
        self.events.lock().is_empty()
    }

    async fn pass(&self, gate: Gate) -> Result<&dyn IdentityStore, StoreError> {
        let event = self.events.lock().pop_front_if(|(next, _)| *next == gate);
        if let Some((_, event)) = event {
            event.await?;
        }
        Ok(self.store())
    }

    fn store(&self) -> &dyn IdentityStore {
        self.inner.store()
    }
}

#[async_trait]
impl IdentityStore for GatedStore {
    async fn key(&self, id: KeyId) -> Result<Option<Kept>, StoreError> {
        self.store().key(id).await
    }

    async fn add_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<Kept, StoreError> {
        self.store().add_key(id, wrapped).await
    }

    async fn remove_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<bool, StoreError> {
        self.store().remove_key(id, wrapped).await
    }

    async fn destroy_person(&self, user: UserId) -> Result<(), StoreError> {
        self.pass(Gate::DestroyPerson).await?.destroy_person(user).await
    }

    async fn keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<(KeyId, Vec<u8>)>, StoreError> {
        self.store().keys(after, limit).await
    }

    async fn rewrap_key(&self, id: KeyId, old: Vec<u8>, new: Vec<u8>) -> Result<bool, StoreError> {
        self.store().rewrap_key(id, old, new).await
    }

    async fn begin_erasing(&self, user: UserId) -> Result<(), StoreError> {
        self.store().begin_erasing(user).await
    }

    async fn erasing(&self) -> Result<Vec<UserId>, StoreError> {
        self.store().erasing().await
    }

    async fn end_erasing(&self, user: UserId) -> Result<(), StoreError> {
        self.store().end_erasing(user).await
    }

    async fn bar(&self, bar: Bar) -> Result<(), StoreError> {
        self.pass(Gate::Bar).await?.bar(bar).await
    }

    async fn barred(&self, now: Time, limit: usize) -> Result<Vec<Bar>, StoreError> {
        self.store().barred(now, limit).await
    }

    async fn open_session(&self, session: Session, token: TokenHash) -> Result<(), StoreError> {
        self.pass(Gate::OpenSession).await?.open_session(session, token).await
    }

    async fn session(&self, token: TokenHash, now: Time) -> Result<Option<Session>, StoreError> {
        self.store().session(token, now).await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Time,
        expires_at: Time,
    ) -> Result<Rotation, StoreError> {
        self.pass(Gate::Rotate).await?.rotate(old, new, now, expires_at).await
    }

    async fn close_session(&self, token: TokenHash) -> Result<Option<UserId>, StoreError> {
        self.store().close_session(token).await
    }

    async fn close_sessions(&self, user: UserId) -> Result<(), StoreError> {
        self.pass(Gate::CloseSessions).await?.close_sessions(user).await
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.store().sessions(user).await
    }

    async fn put_code(&self, code: Code) -> Result<(), StoreError> {
        self.store().put_code(code).await
    }

    async fn code(
        &self,
        hash: TokenHash,
        purpose: Purpose,
        now: Time,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        self.store().code(hash, purpose, now).await
    }

    async fn take_code(&self, hash: TokenHash) -> Result<bool, StoreError> {
        self.pass(Gate::TakeCode).await?.take_code(hash).await
    }

    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError> {
        self.store().drop_codes(user).await
    }

    async fn add_service_key(&self, key: ServiceKey) -> Result<(), StoreError> {
        self.store().add_service_key(key).await
    }

    async fn service_keys(&self) -> Result<Vec<ServiceKey>, StoreError> {
        self.store().service_keys().await
    }

    async fn revoke_service_key(&self, key: ServiceKeyId, at: Time) -> Result<bool, StoreError> {
        self.store().revoke_service_key(key, at).await
    }

    async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        self.store().sweep(now).await
    }
}
