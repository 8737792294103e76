//! Why admins did what they did to others, opened for those who may read the log. In the log it stays
//! sealed with the key of the person it is about, and nobody opens it any more once that person is erased
//! (AC-3).

use std::sync::{Arc, OnceLock};

use domain::{Fact, Sealed, UserId};

use super::{Field, MasterError, Vault, VaultError};
use crate::shapes::{AuditRecord, OpenedReason};

/// How the keys of persons are come by.
type Keys = dyn Fn() -> Result<Vault, MasterError> + Send + Sync;

/// Opens reasons, where the keys of persons are at hand. Cloning shares it.
#[derive(Clone, Default)]
pub struct Reasons {
    keys: Option<Arc<Keys>>,
    vault: Arc<OnceLock<Vault>>,
}

impl Reasons {
    /// By the keys that `keys` comes by, asked for when there is something to open, and again as long as
    /// there are none: another process may make them.
    pub fn by(keys: impl Fn() -> Result<Vault, MasterError> + Send + Sync + 'static) -> Self {
        Self { keys: Some(Arc::new(keys)), vault: Arc::default() }
    }

    /// Puts the reason beside each record that has one sealed. By default nothing is opened.
    pub async fn open(&self, records: &mut [AuditRecord]) {
        if self.keys.is_none() {
            return;
        }
        for record in records {
            if let Some((sealed, whose)) = sealed(record) {
                record.reason = Some(OpenedReason(self.text(whose, &sealed).await));
            }
        }
    }

    /// Nothing, if the person was erased or the keys are away.
    async fn text(&self, whose: UserId, sealed: &Sealed) -> Option<String> {
        let vault = self.vault()?;
        let opened = match vault.person(whose).await {
            Ok(key) => key.open_text(Field::Reason, sealed),
            Err(error) => Err(error),
        };
        match opened {
            Ok(text) => Some(text.to_string()),
            Err(VaultError::Erased) => None,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a reason cannot be opened");
                None
            }
        }
    }

    fn vault(&self) -> Option<&Vault> {
        if let Some(vault) = self.vault.get() {
            return Some(vault);
        }
        match (self.keys.as_ref()?)() {
            Ok(vault) => Some(self.vault.get_or_init(|| vault)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "reasons cannot be opened here: the master key is missing");
                None
            }
        }
    }
}

/// What is sealed of a record's reason, and with whose key.
fn sealed(record: &AuditRecord) -> Option<(Sealed, UserId)> {
    if !record.stream.starts_with("admin-") && !record.stream.starts_with("account-") {
        return None;
    }
    let data = record.data.get().as_bytes();
    // One that cannot be read is shown as it is.
    let fact = Fact::decode(&record.stream, &record.kind, record.version, data).ok()??;
    let (whose, sealed) = fact.reason()?;
    Some((sealed.clone(), whose))
}
