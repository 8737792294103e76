//! Orders of admins and operators: written down before they are carried out, so that none is carried out
//! without.

use std::sync::Arc;

use domain::administration::{
    self, Administration, BookingCancellationOrdered, EventCancellationOrdered, Fact, Order,
};
use domain::seating::Invalid;
use domain::{Aggregate as _, BookingId, EventId, Request, Sealed, UserId};
use infra::clock::Clock;
use infra::identity::{Field, IdentityStore};
use infra::log::Log;

use super::{AccountError, Accounts, origin};
use crate::runtime::{Failure, Job, Unit};

/// Sees that a reason says something, and not more than that.
pub(super) fn check_reason(reason: &str) -> Result<(), Invalid> {
    let sound = !reason.trim().is_empty() && reason.len() <= 500;
    Invalid::unless(sound, || "reason".to_owned(), "a text of 1 to 500 bytes")
}

/// Writes down what was ordered, unless it is there already.
///
/// # Errors
/// [`AccountError::KeyReused`], or the log is away: then nothing is to be carried out.
pub async fn write_down(
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    order: Fact,
    by: Option<UserId>,
) -> Result<(), AccountError> {
    let stream = Administration::stream(order.subject());
    let job = Job { command: Order(order), origin: origin(by) };
    let outcomes = Unit::<Administration>::new(log, clock, stream).process(&[job], |_| {}).await;
    match outcomes.into_iter().next().unwrap_or(Err(Failure::Unavailable)) {
        Ok(_) => Ok(()),
        Err(Failure::Refused(administration::Refusal::KeyReused)) => Err(AccountError::KeyReused),
        Err(Failure::Overloaded | Failure::Unavailable) => Err(AccountError::LogUnavailable),
        Err(Failure::Unwritable(reason)) => Err(AccountError::LogUnwritable(reason)),
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
    pub async fn write_down(&self, order: Fact, by: Option<UserId>) -> Result<(), AccountError> {
        write_down(self.log.clone(), self.clock.clone(), order, by).await
    }

    /// That an admin wants a booking cancelled which may be another's.
    pub(crate) async fn order_booking_cancelled(
        &self,
        booking: BookingId,
        by: UserId,
        reason: Option<&str>,
        request: Option<Request>,
    ) -> Result<(), AccountError> {
        let reason = self.own_words(by, reason).await?;
        let order = BookingCancellationOrdered { booking, by, reason, request };
        self.write_down(order.into(), Some(by)).await
    }

    /// The same of an event.
    pub(crate) async fn order_event_cancelled(
        &self,
        event: EventId,
        by: UserId,
        reason: Option<&str>,
        request: Option<Request>,
    ) -> Result<(), AccountError> {
        let reason = self.own_words(by, reason).await?;
        let order = EventCancellationOrdered { event, by, reason, request };
        self.write_down(order.into(), Some(by)).await
    }

    /// What an admin says, sealed as theirs.
    async fn own_words(
        &self,
        by: UserId,
        reason: Option<&str>,
    ) -> Result<Option<Sealed>, AccountError> {
        let Some(reason) = reason else { return Ok(None) };
        check_reason(reason)?;
        let key = self.vault.make_person(by).await?;
        Ok(Some(key.seal(Field::Reason, reason.as_bytes())?))
    }
}
