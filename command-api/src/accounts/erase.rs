//! Forgetting a person (AC-3). Every step can be done again, and is after a crash.

use domain::UserId;
use domain::account::{Account, Command};
use domain::email_claim::{self, EmailClaim};
use infra::identity::{PersonKey, VaultError};
use infra::log::Position;

use super::{AccountError, Accounts, Opened, origin};
use crate::runtime::Failure;

impl Accounts {
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
            self.vault.store().begin_erasing(user).await?;
        }
        let command = Command::Erase { by };
        let done = self.execute::<Account>(user, command, origin(by)).await?;
        self.finish_erasing(user).await?;
        Ok(done.position)
    }

    /// Finishes what was begun and broken off.
    pub(super) async fn finish_erasures(&self) -> Result<(), AccountError> {
        for user in self.vault.store().erasing().await? {
            // A mark without an account is of one who never came to be.
            match self.erase(user, None).await {
                Ok(_) => tracing::info!(%user, "an erasure that was broken off is finished"),
                Err(AccountError::NotFound) => self.vault.destroy_person(user).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn finish_erasing(&self, user: UserId) -> Result<(), AccountError> {
        let key = match self.vault.person(user).await {
            Err(VaultError::Erased) => return Ok(()),
            key => key?,
        };
        let store = self.vault.store();
        store.close_sessions(user).await?;
        store.drop_codes(user).await?;
        self.release_address(user, key).await?;
        let forgotten = self.mailer.forget(user).await;
        forgotten.map_err(|error| AccountError::Fault(error.into()))?;
        Ok(self.vault.destroy_person(user).await?)
    }

    /// With its secret gone nobody finds the address's stream again: that sets it free. The fact
    /// only says so.
    async fn release_address(&self, user: UserId, key: PersonKey) -> Result<(), AccountError> {
        let (account, position) = self.look::<Account>(user).await?;
        let email = Opened { user, account, key, position }.email()?;
        let Some(address) = self.vault.address(&email).await? else { return Ok(()) };
        let (claim, _) = self.look::<EmailClaim>(address).await?;
        if claim.holder != Some(user) {
            return Ok(());
        }
        self.vault.destroy_address(&email).await?;
        let release = email_claim::Command::Release(user);
        match self.execute::<EmailClaim>(address, release, origin(None)).await {
            Ok(_) => Ok(()),
            Err(Failure::Unwritable(reason)) => Err(AccountError::LogUnwritable(reason)),
            Err(_) => Err(AccountError::LogUnavailable),
        }
    }
}
