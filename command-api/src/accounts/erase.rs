//! Forgetting a person (AC-3). Every step can be done again, and is after a crash.

use std::sync::Arc;

use domain::account::{Account, Command, Email};
use domain::administration::{ErasureGround, ErasureOrdered};
use domain::email_claim::{self, EmailClaim};
use domain::{Role, UserId};
use infra::auth::Caller;
use infra::identity::{Bar, PersonKey, VaultError};
use infra::log::Position;

use super::error::refused;
use super::left_behind::{Leaving, SELLERS};
use super::{AccountError, Accounts, Opened, origin};

impl Accounts {
    /// Whose an address is.
    ///
    /// # Errors
    /// Nobody's, or something is away.
    pub async fn holder(&self, email: &Email) -> Result<UserId, AccountError> {
        let opened = self.by_email(email).await?;
        opened.map(|opened| opened.user()).ok_or(AccountError::NotFound)
    }

    /// Forgets an address with which somebody began to register and came no further, as in a crash: there
    /// is no account to erase.
    ///
    /// # Errors
    /// Nothing is known of the address, or there is an account, or something is away.
    pub async fn forget_claim(&self, email: &Email) -> Result<(), AccountError> {
        let address = self.vault.address(email).await?.ok_or(AccountError::NotFound)?;
        let (claim, _) = self.look::<EmailClaim>(address).await?;
        let Some(user) = claim.holder else {
            return Ok(self.vault.destroy_address(email, address).await?);
        };
        let (account, _) = self.look::<Account>(user).await?;
        if account.user.is_some() {
            return Err(AccountError::NotFound);
        }
        self.release(email, user).await?;
        Ok(self.vault.destroy_person(user).await?)
    }

    /// Forgets who asks for it, also if they do not wait for it.
    ///
    /// # Errors
    /// [`AccountError::EventsNotOver`], [`AccountError::LastAdmin`]; see [`Self::erase`].
    pub(crate) async fn erase_oneself(
        self: &Arc<Self>,
        caller: Caller,
    ) -> Result<Position, AccountError> {
        let (accounts, user) = (self.clone(), caller.user);
        self.to_its_end(async move {
            let _leaving = accounts.leaves_nobody_behind(caller).await?;
            accounts.erase(user, Some(user)).await
        })
        .await
    }

    /// People who have tickets would have nobody to turn to, and the platform nobody who runs it. Keeps
    /// other admins from leaving, if it is one who leaves.
    async fn leaves_nobody_behind(
        &self,
        caller: Caller,
    ) -> Result<Option<Leaving<'_>>, AccountError> {
        let user = caller.user;
        let (account, _) = self.look::<Account>(user).await?;
        if account.in_use().is_none() {
            return Ok(None);
        }
        let leaving = match account.roles.has(Role::Admin) {
            true => Some(self.leaves_an_admin(user).await?),
            false => None,
        };
        // What an account was never allowed, a token of the operator's making may say.
        if account.ever.has_any(SELLERS) || caller.roles.has_any(SELLERS) {
            let events = self.events_of(user).await?;
            if !events.is_empty() {
                return Err(AccountError::EventsNotOver(events));
            }
        }
        Ok(leaving)
    }

    /// Forgets a person for ever; where in the log it says so.
    ///
    /// # Errors
    /// There is no such account, or something is away: what was begun is then finished later.
    pub async fn erase(&self, user: UserId, by: Option<UserId>) -> Result<Position, AccountError> {
        let (account, _) = self.look::<Account>(user).await?;
        if account.user.is_none() {
            return Err(AccountError::NotFound);
        }
        if !account.is_erased {
            self.has_key(user).await?;
            self.vault.store().begin_erasing(user).await?;
        }
        let command = Command::Erase { by };
        let done = self.execute::<Account>(user, command, origin(by)).await?;
        self.finish_erasing(user).await?;
        Ok(done.position)
    }

    /// The key that is to be destroyed has to be at hand, or nothing would be forgotten.
    async fn has_key(&self, user: UserId) -> Result<(), AccountError> {
        match self.vault.person(user).await {
            // Somebody else erases them too, and was quicker.
            Ok(_) | Err(VaultError::Erased) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The same of somebody who did not ask for it here, as the operator says, and why. Published events
    /// of theirs that are not over go on without them if they `leave` them: then admins look after these.
    ///
    /// # Errors
    /// [`AccountError::EventsNotOver`] if they do not leave them; see [`Self::erase`].
    pub async fn erase_by_order(
        &self,
        user: UserId,
        ground: ErasureGround,
        leave: bool,
    ) -> Result<Position, AccountError> {
        let (account, _) = self.look::<Account>(user).await?;
        // Who is erased already, or is none, is not to be erased.
        if account.in_use().is_some() {
            let events = self.events_of(user).await?;
            if !leave && !events.is_empty() {
                return Err(AccountError::EventsNotOver(events));
            }
            self.has_key(user).await?;
            let (by, ground, reason) = (None, Some(ground), None);
            self.write_down(ErasureOrdered { user, by, ground, events, reason }.into()).await?;
        }
        self.erase(user, None).await
    }

    /// Finishes what was begun and broken off. Who cannot be forgotten now keeps nobody else from it.
    pub(super) async fn finish_erasures(&self) -> Result<(), AccountError> {
        let mut outcome = Ok(());
        for user in self.vault.store().erasing().await? {
            match self.finish_erasure(user).await {
                Ok(()) => tracing::info!(%user, "an erasure that was broken off is finished"),
                Err(error) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(error = cause, %user, "somebody is not erased yet; tried again");
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome
    }

    async fn finish_erasure(&self, user: UserId) -> Result<(), AccountError> {
        match self.erase(user, None).await {
            // A mark without an account is of one who never came to be.
            Err(AccountError::NotFound) => {
                self.vault.destroy_person(user).await?;
                Ok(self.vault.store().end_erasing(user).await?)
            }
            erased => erased.map(drop),
        }
    }

    async fn finish_erasing(&self, user: UserId) -> Result<(), AccountError> {
        let store = self.vault.store();
        // First of all: whatever else cannot be done yet, nobody acts in their name any more.
        self.bar(Bar::all(user, self.clock.now())).await?;
        match self.vault.person(user).await {
            Ok(key) => {
                store.close_sessions(user).await?;
                store.drop_codes(user).await?;
                let (account, _) = self.look::<Account>(user).await?;
                let logins = [account.former_logins, account.logins].concat();
                self.release_logins(user, &logins, &[], &key).await?;
                self.release_address(user, key).await?;
                self.forget_mails(user).await?;
            }
            // Broken off after that.
            Err(VaultError::Erased) => {}
            Err(error) => return Err(error.into()),
        }
        self.vault.destroy_person(user).await?;
        // Who writes a mail looks for the key afterwards. If it was there still, the mail is here.
        self.forget_mails(user).await?;
        Ok(store.end_erasing(user).await?)
    }

    async fn forget_mails(&self, user: UserId) -> Result<(), AccountError> {
        let forgotten = self.mailer.forget(user).await;
        forgotten.map_err(|error| AccountError::Fault(error.into()))
    }

    /// With its secret gone nobody finds the address's stream again: that sets it free. The fact
    /// only says so.
    async fn release_address(&self, user: UserId, key: PersonKey) -> Result<(), AccountError> {
        let (account, position) = self.look::<Account>(user).await?;
        let email = Opened { user, account, key, position }.email()?;
        self.release(&email, user).await
    }

    async fn release(&self, email: &Email, user: UserId) -> Result<(), AccountError> {
        let Some(address) = self.vault.address(email).await? else { return Ok(()) };
        let (claim, _) = self.look::<EmailClaim>(address).await?;
        if claim.holder != Some(user) {
            return Ok(());
        }
        self.vault.destroy_address(email, address).await?;
        let release = email_claim::Command::Release(user);
        match self.execute::<EmailClaim>(address, release, origin(None)).await {
            Ok(_) => Ok(()),
            Err(failure) => refused(failure).and(Err(AccountError::LogUnavailable)),
        }
    }
}
