//! Other passwords: for who knows the old one, and for who reads the address's mail.

use std::sync::Arc;

use domain::account::{Account, Command, Email, check_password};
use domain::{Request, UserId};
use infra::identity::{Field, Purpose, TokenHash};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{AccountError, Accounts, Opened, Tokens, origin};

impl Opened {
    /// The request under the client's idempotency key, such that it tells nothing once the person's
    /// key is gone.
    pub(super) fn request(
        &self,
        key: Option<&str>,
        operation: &str,
        body: &impl Serialize,
    ) -> Result<Option<Request>, AccountError> {
        let Some(key) = key else { return Ok(None) };
        let body = Zeroizing::new(serde_json::to_vec(&(operation, body))?);
        let request = self.key.request(key, &body);
        request.map(Some).map_err(|error| AccountError::Fault(error.into()))
    }
}

impl Accounts {
    /// Takes another password; every session ends but the one that begins with it.
    pub(crate) async fn change_password(
        &self,
        user: UserId,
        current: Zeroizing<String>,
        new: Zeroizing<String>,
        key: Option<&str>,
    ) -> Result<Tokens, AccountError> {
        check_password("new_password", &new)?;
        let before = self.of(user).await?;
        let request = before.request(key, "change-password", &(&*current, &*new))?;
        if let Some(request) = &request
            && let Ok(after) = self.after(user, request).await
        {
            // Carried out before. Sessions are no part of the answer that could be given again.
            let (roles, position) = (after.account.roles, after.position);
            return self.open_session(user, roles, position).await;
        }
        self.check_password(Some(before), current).await?;
        self.set_password(user, new, false, request).await
    }

    /// Sends a code to an address, if it is somebody's.
    pub(crate) async fn forgot_password(
        self: &Arc<Self>,
        email: Email,
    ) -> Result<(), AccountError> {
        let sending = async {
            if let Some(found) = self.by_email(&email).await? {
                let purpose = Purpose::ResetPassword;
                self.mail_code(found.user, email, purpose, String::new()).await?;
            }
            Ok(())
        };
        self.discreetly(sending).await
    }

    /// Takes the code from a mail and another password; every session ends.
    pub(crate) async fn reset_password(
        &self,
        code: &str,
        new: Zeroizing<String>,
    ) -> Result<Tokens, AccountError> {
        check_password("new_password", &new)?;
        let now = self.clock.now();
        let taken = self.vault.store().take_code(TokenHash::of(code), Purpose::ResetPassword, now);
        let (user, _) = taken.await?.ok_or(AccountError::CodeNotValid)?;
        match self.set_password(user, new, true, None).await {
            Err(AccountError::NotFound) => Err(AccountError::CodeNotValid),
            set => set,
        }
    }

    async fn set_password(
        &self,
        user: UserId,
        new: Zeroizing<String>,
        is_reset: bool,
        request: Option<Request>,
    ) -> Result<Tokens, AccountError> {
        let hash = Zeroizing::new(self.passwords.hash(new).await?);
        let key = self.vault.person(user).await?;
        let password = key.seal(Field::Password, hash.as_bytes())?;
        let command = Command::ChangePassword { password, is_reset, request };
        let done = self.execute::<Account>(user, command, origin(Some(user))).await?;
        self.vault.store().close_sessions(user).await?;
        self.vault.store().drop_codes(user).await?;
        self.open_session(user, done.seen.roles, done.position).await
    }
}
