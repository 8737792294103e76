//! A store that nobody waits for while it is known to be away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use domain::{ServiceKeyId, Time, UserId};

use super::{
    Bar, Code, IdentityStore, Kept, KeyId, Purpose, Rotation, ServiceKey, Session, StoreError,
    TokenHash,
};

/// Between two looks whether it is there again.
const PAUSE: Duration = Duration::from_millis(250);

/// It did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("it did not answer within {} s", .0.as_secs_f32())]
struct Late(Duration);

/// It is known to be away: it was not asked.
#[derive(Debug, thiserror::Error)]
#[error("it is away")]
struct Away;

/// A store whose every call takes no longer than it may. The first that does not get an answer in time
/// finds out that it is away; those after it are refused at once, until it answers.
///
/// What a call that got no answer was to do may have been done, or be done yet.
pub struct PromptIdentity<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    limit: Duration,
    is_away: AtomicBool,
}

impl<S: IdentityStore> PromptIdentity<S> {
    /// `store`, whose answers may take as long as `limit`.
    pub fn new(store: S, limit: Duration) -> Self {
        Self(Arc::new(Inner { store, limit, is_away: AtomicBool::new(false) }))
    }

    fn store(&self) -> &S {
        &self.0.store
    }

    async fn promptly<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.0.is_away.load(Ordering::Relaxed) {
            return Err(StoreError(Away.into()));
        }
        let Ok(answer) = tokio::time::timeout(self.0.limit, call).await else {
            let late = Late(self.0.limit);
            if !self.0.is_away.swap(true, Ordering::Relaxed) {
                let error: &dyn std::error::Error = &late;
                tracing::warn!(
                    error,
                    "the identity store is away; nobody logs in until it answers"
                );
                tokio::spawn(watch(Arc::downgrade(&self.0)));
            }
            return Err(StoreError(late.into()));
        };
        answer
    }
}

/// Asks the store until it answers, or nobody needs it any more.
async fn watch<S: IdentityStore>(store: Weak<Inner<S>>) {
    while let Some(inner) = store.upgrade() {
        let asked = tokio::time::timeout(inner.limit, inner.store.key(KeyId::Index)).await;
        if matches!(asked, Ok(Ok(_))) {
            inner.is_away.store(false, Ordering::Relaxed);
            tracing::info!("the identity store answers again");
            return;
        }
        drop(inner);
        tokio::time::sleep(PAUSE).await;
    }
}

#[async_trait]
impl<S: IdentityStore> IdentityStore for PromptIdentity<S> {
    async fn key(&self, id: KeyId) -> Result<Option<Kept>, StoreError> {
        self.promptly(self.store().key(id)).await
    }

    async fn add_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<Kept, StoreError> {
        self.promptly(self.store().add_key(id, wrapped)).await
    }

    async fn remove_key(&self, id: KeyId, wrapped: Vec<u8>) -> Result<bool, StoreError> {
        self.promptly(self.store().remove_key(id, wrapped)).await
    }

    async fn destroy_person(&self, user: UserId) -> Result<(), StoreError> {
        self.promptly(self.store().destroy_person(user)).await
    }

    async fn keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<(KeyId, Vec<u8>)>, StoreError> {
        self.promptly(self.store().keys(after, limit)).await
    }

    async fn rewrap_key(&self, id: KeyId, old: Vec<u8>, new: Vec<u8>) -> Result<bool, StoreError> {
        self.promptly(self.store().rewrap_key(id, old, new)).await
    }

    async fn begin_erasing(&self, user: UserId) -> Result<(), StoreError> {
        self.promptly(self.store().begin_erasing(user)).await
    }

    async fn erasing(&self) -> Result<Vec<UserId>, StoreError> {
        self.promptly(self.store().erasing()).await
    }

    async fn end_erasing(&self, user: UserId) -> Result<(), StoreError> {
        self.promptly(self.store().end_erasing(user)).await
    }

    async fn bar(&self, bar: Bar) -> Result<(), StoreError> {
        self.promptly(self.store().bar(bar)).await
    }

    async fn barred(&self, now: Time, limit: usize) -> Result<Vec<Bar>, StoreError> {
        self.promptly(self.store().barred(now, limit)).await
    }

    async fn open_session(&self, session: Session, token: TokenHash) -> Result<(), StoreError> {
        self.promptly(self.store().open_session(session, token)).await
    }

    async fn session(&self, token: TokenHash, now: Time) -> Result<Option<Session>, StoreError> {
        self.promptly(self.store().session(token, now)).await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Time,
        expires_at: Time,
    ) -> Result<Rotation, StoreError> {
        self.promptly(self.store().rotate(old, new, now, expires_at)).await
    }

    async fn close_session(&self, token: TokenHash) -> Result<Option<UserId>, StoreError> {
        self.promptly(self.store().close_session(token)).await
    }

    async fn close_sessions(&self, user: UserId) -> Result<(), StoreError> {
        self.promptly(self.store().close_sessions(user)).await
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.promptly(self.store().sessions(user)).await
    }

    async fn put_code(&self, code: Code) -> Result<(), StoreError> {
        self.promptly(self.store().put_code(code)).await
    }

    async fn code(
        &self,
        hash: TokenHash,
        purpose: Purpose,
        now: Time,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        self.promptly(self.store().code(hash, purpose, now)).await
    }

    async fn take_code(&self, hash: TokenHash) -> Result<bool, StoreError> {
        self.promptly(self.store().take_code(hash)).await
    }

    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError> {
        self.promptly(self.store().drop_codes(user)).await
    }

    async fn add_service_key(&self, key: ServiceKey) -> Result<(), StoreError> {
        self.promptly(self.store().add_service_key(key)).await
    }

    async fn service_keys(&self) -> Result<Vec<ServiceKey>, StoreError> {
        self.promptly(self.store().service_keys()).await
    }

    async fn revoke_service_key(&self, key: ServiceKeyId, at: Time) -> Result<bool, StoreError> {
        self.promptly(self.store().revoke_service_key(key, at)).await
    }

    async fn sweep(&self, now: Time) -> Result<(), StoreError> {
        self.promptly(self.store().sweep(now)).await
    }
}
