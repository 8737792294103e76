//! Orders of admins and operators: written down before they are carried out, so that none is carried out
//! without.

use std::sync::Arc;

use domain::administration::{self, Administration, Fact, Order};
use domain::seating::Invalid;
use domain::{Aggregate as _, Request, Sealed, UserId};
use infra::clock::Clock;
use infra::identity::{Field, IdentityStore, VaultError};
use infra::log::Log;

use super::error::refused;
use super::{AccountError, Accounts, origin};
use crate::runtime::{Failure, Job, Unit};

/// Sees that a reason says something, and nothing else than what auditors see.
pub(super) fn check_reason(reason: &str) -> Result<(), Invalid> {
    domain::text::check_text("reason", reason, 500)
}

/// Who orders something to be done with what is another's, and why: what all such orders say.
#[derive(Debug)]
pub(crate) struct Ordered {
    /// The admin.
    pub(crate) by: UserId,
    /// Whose it is, unless they were erased.
    pub(crate) owner: Option<UserId>,
    /// Why. Sealed with the owner's key, or the admin's if there is no owner any more.
    pub(crate) reason: Sealed,
    /// The command's key.
    pub(crate) request: Option<Request>,
}

/// Writes down what was ordered, unless it is there already.
///
/// # Errors
/// [`AccountError::KeyReused`], or the log is away: then nothing is to be carried out.
pub async fn write_down(
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    order: Fact,
) -> Result<(), AccountError> {
    let (stream, origin) = (Administration::stream(order.subject()), origin(order.by()));
    let job = Job { command: Order(order), origin };
    let outcomes = Unit::<Administration>::new(log, clock, stream).process(&[job], |_| {}).await;
    match outcomes.into_iter().next().unwrap_or(Err(Failure::Unavailable)) {
        Ok(_) => Ok(()),
        Err(failure) => {
            let administration::Refusal::KeyReused = refused(failure)?;
            Err(AccountError::KeyReused)
        }
    }
}

impl Accounts {
    /// Where keys of services are kept, if it is the store of this installation.
    ///
    /// # Errors
    /// It is another one, or away.
    pub async fn store(&self) -> Result<&dyn IdentityStore, AccountError> {
        self.vault.settle().await?;
        Ok(self.vault.store())
    }

    /// Writes down what was ordered, unless it is there already.
    ///
    /// # Errors
    /// As [`write_down`].
    pub async fn write_down(&self, order: Fact) -> Result<(), AccountError> {
        write_down(self.log.clone(), self.clock.clone(), order).await
    }

    /// Writes down what an admin is about to do with what is `owner`'s, as `order` says it of who and why.
    ///
    /// If this fails nothing is to be done, and nothing is. If the deed fails afterwards, the order stays:
    /// it was ordered, and the stream of what it is about says that it was not done.
    pub(crate) async fn order(
        &self,
        by: UserId,
        owner: UserId,
        reason: Option<&str>,
        request: Option<Request>,
        order: impl FnOnce(Ordered) -> Fact,
    ) -> Result<(), AccountError> {
        let given = || "reason".to_owned();
        let missing = || Invalid::new(given(), "given: it is another's, and you do it as an admin");
        let reason = reason.ok_or_else(missing)?;
        check_reason(reason)?;
        let (owner, key) = match self.vault.make_person(owner).await {
            Ok(key) => (Some(owner), key),
            Err(VaultError::Erased) => (None, self.vault.make_person(by).await?),
            Err(error) => return Err(error.into()),
        };
        let reason = key.seal(Field::Reason, reason.as_bytes())?;
        self.write_down(order(Ordered { by, owner, reason, request })).await
    }
}
