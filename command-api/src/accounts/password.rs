//! Other passwords: for who knows the old one, and for who reads the address's mail.

use std::sync::Arc;

use domain::account::{Account, Command, Email, check_password};
use domain::{Request, Sealed, UserId};
use infra::identity::{Field, Purpose, TokenHash};
use serde::Serialize;
use zeroize::Zeroizing;

use super::oidc::nobodys_profile;
use super::sessions::Proven;
use super::{AccountError, Accounts, Opened, Steps, Tokens, origin};

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
        self: &Arc<Self>,
        user: UserId,
        current: Zeroizing<String>,
        new: Zeroizing<String>,
        key: Option<&str>,
    ) -> Result<Tokens, AccountError> {
        check_password("new_password", &new)?;
        let before = self.of(user).await?;
        let request = before.request(key, "change-password", &(&*current, &*new))?;
        if let Some(tokens) = self.again(user, request.as_ref()).await? {
            return Ok(tokens);
        }
        match self.check_password(Some(before), current, &Steps::none()).await {
            Ok(proven) => self.set_password(user, proven.account.password, new, request).await,
            // The same request may have been first, and the password another since.
            Err(AccountError::LoginRefused) => {
                self.again(user, request.as_ref()).await?.ok_or(AccountError::LoginRefused)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a code to an address, if it is somebody's.
    pub(crate) async fn forgot_password(
        self: &Arc<Self>,
        email: Email,
    ) -> Result<(), AccountError> {
        let steps = Steps::begin(self.discretion);
        let sending = async {
            if let Some(found) = self.by_email(&email).await? {
                let purpose = Purpose::ResetPassword;
                self.mail_code(found.user, email, purpose, String::new()).await?;
            }
            Ok(())
        };
        let sent = sending.await;
        steps.next().await;
        sent
    }

    /// Takes the code from a mail and another password; every session ends, and who logs in elsewhere
    /// has to show the address anew. The code is the request's key: it is carried out once, and again
    /// only as it was.
    pub(crate) async fn reset_password(
        self: &Arc<Self>,
        code: &str,
        new: Zeroizing<String>,
    ) -> Result<Tokens, AccountError> {
        check_password("new_password", &new)?;
        let now = self.clock.now();
        let found = self.vault.store().code(TokenHash::of(code), Purpose::ResetPassword, now);
        let (user, _) = found.await?.ok_or(AccountError::CodeNotValid)?;
        let resetting = async {
            let request = self.of(user).await?.request(Some(code), "reset-password", &*new)?;
            self.set_password(user, None, new, request).await
        };
        match resetting.await {
            Err(AccountError::NotFound | AccountError::KeyReused | AccountError::LoginRefused) => {
                Err(AccountError::CodeNotValid)
            }
            set => set,
        }
    }

    /// The answer to a request that was carried out before, as long as the password is the one that
    /// it set. Sessions are no part of the answer that could be given again: a new one begins.
    async fn again(
        &self,
        user: UserId,
        request: Option<&Request>,
    ) -> Result<Option<Tokens>, AccountError> {
        let Some(request) = request else { return Ok(None) };
        let then = match self.after(user, request).await {
            Ok(then) => then,
            Err(AccountError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        // As a log-in with the new password, which stands in the request.
        let command = Command::LogIn { known: then.account.password, matches: true };
        let done = self.execute::<Account>(user, command, origin(Some(user))).await?;
        let proven = Proven { user, account: done.seen, position: then.position };
        self.enter_alone(&proven).await.map(Some)
    }

    /// Takes another password from who knows that it is `known`, or reads the mail if it is `None`.
    async fn set_password(
        self: &Arc<Self>,
        user: UserId,
        known: Option<Sealed>,
        new: Zeroizing<String>,
        request: Option<Request>,
    ) -> Result<Tokens, AccountError> {
        let hash = Zeroizing::new(self.passwords.hash(new).await?);
        let key = self.vault.person(user).await?;
        let password = key.seal(Field::Password, hash.as_bytes())?;
        let is_reset = known.is_none();
        let profile = is_reset.then(|| Self::seal_profile(&key, &nobodys_profile())).transpose()?;
        let command =
            Command::ChangePassword { password, known, profile, request: request.clone() };
        let accounts = self.clone();
        // Whoever stole the old one stays logged in if this stops half-way.
        self.to_its_end(async move {
            let done = accounts.execute::<Account>(user, command, origin(Some(user))).await?;
            if is_reset {
                // Also if it was carried out before: that may not have come as far as this.
                let Account { former_logins: former, logins, .. } = &done.seen;
                accounts.release_logins(user, former, logins, &key).await?;
            }
            if done.facts.is_empty() {
                let again = accounts.again(user, request.as_ref()).await?;
                return again.ok_or(AccountError::LoginRefused);
            }
            let (account, position) = (done.seen, done.position);
            accounts.enter_alone(&Proven { user, account, position }).await
        })
        .await
    }

    /// Ends every session and what was given in it, forgets every code, and begins a session.
    async fn enter_alone(&self, proven: &Proven) -> Result<Tokens, AccountError> {
        let store = self.vault.store();
        store.close_sessions(proven.user).await?;
        store.drop_codes(proven.user).await?;
        // Last of all: until then who is told to ask again can.
        self.bar_older(proven.user).await?;
        self.open_session(proven).await
    }
}
