//! Who logs in at another provider, and which account that is (AC-1).

use std::sync::Arc;

use domain::account::{Account, Command, Credentials, Email, Profile, Refusal};
use domain::login_claim::{self, LoginClaim};
use domain::{LoginHash, Role, Sealed, UserId};
use infra::identity::{Field, PersonKey};
use infra::oidc::Identity;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::refused;
use super::sessions::{Proven, token};
use super::{AccountError, Accounts, Opened, Steps, Tokens, mails, origin};
use crate::runtime::Failure;

/// A log-in at another provider, as it is sealed in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) issuer: String,
    pub(crate) subject: String,
}

impl Opened {
    fn may_more_than_buy(&self) -> bool {
        self.roles().any(|role| role != Role::Attendee)
    }

    /// Where else they log in.
    pub(crate) fn logins(&self) -> Result<Vec<Login>, AccountError> {
        logins(&self.account.logins, &self.key)
    }
}

/// What is known of somebody who did not say it here.
pub(super) fn nobodys_profile() -> Profile {
    Profile { name: "Guest".to_owned(), phone: None, language: None }
}

fn logins(sealed: &[Sealed], key: &PersonKey) -> Result<Vec<Login>, AccountError> {
    let open = |sealed: &Sealed| -> Result<Login, AccountError> {
        Ok(serde_json::from_str(&key.open_text(Field::Login, sealed)?)?)
    };
    sealed.iter().map(open).collect()
}

impl Accounts {
    /// Logs in whom the provider says somebody is. Whoever comes for the first time is the one whose address
    /// it is, if the provider says that they showed it to be theirs, or somebody new.
    ///
    /// # Errors
    /// [`AccountError::EmailNotVerified`], [`AccountError::NotLinked`], or something is away.
    pub(crate) async fn log_in_as(
        self: &Arc<Self>,
        identity: Identity,
    ) -> Result<Tokens, AccountError> {
        let Identity { issuer, subject, verified_email, name } = identity;
        let login = Login { issuer, subject };
        if let Some(found) = self.by_login(&login).await? {
            return self.enter(found).await;
        }
        let email = verified_email.ok_or(AccountError::EmailNotVerified)?;
        let linked = match self.by_email(&email).await? {
            Some(found) if found.is_verified() => self.link_known(found, email, &login).await?,
            _ => self.link_new(email, name, &login).await?,
        };
        // Of several who come at once one has it.
        let holder = self.claim_login(&login, linked.user).await?;
        let linked = if holder == linked.user { linked } else { self.of(holder).await? };
        self.enter(linked).await
    }

    /// Not who may do more than buy, also if they could not yet when they were linked: this trusts the
    /// provider.
    async fn enter(&self, opened: Opened) -> Result<Tokens, AccountError> {
        if opened.may_more_than_buy() {
            return Err(AccountError::NotLinked);
        }
        let Opened { user, account, position, .. } = opened;
        self.open_session(&Proven { user, account, position }).await
    }

    /// The account that somebody has who logs in so. Not as long as only the claim says so, which is
    /// released after the account: they have to show the address anew.
    async fn by_login(&self, login: &Login) -> Result<Option<Opened>, AccountError> {
        let found = self.vault.login(&login.issuer, &login.subject).await?;
        let Some(name) = found else { return Ok(None) };
        let (claim, _) = self.look::<LoginClaim>(name).await?;
        let Some(holder) = claim.holder else { return Ok(None) };
        match self.of(holder).await {
            Ok(opened) => Ok(opened.logins()?.contains(login).then_some(opened)),
            Err(AccountError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Both here and there they showed that the address is theirs: as by a mail for another password,
    /// whoever has the address has the account. They are told. Who may do more than buy is not linked so.
    async fn link_known(
        self: &Arc<Self>,
        found: Opened,
        email: Email,
        login: &Login,
    ) -> Result<Opened, AccountError> {
        if found.may_more_than_buy() {
            return Err(AccountError::NotLinked);
        }
        let (user, is_new) = (found.user, !found.logins()?.contains(login));
        let profile = found.account.profile.clone().ok_or(AccountError::NotFound)?;
        let linked = self.link(found, login, Credentials { profile, password: None }).await?;
        if is_new {
            self.mail(user, email, mails::LINKED, String::new());
        }
        Ok(linked)
    }

    /// Nobody had shown yet that the address is theirs: whoever began an account with it, and their
    /// password, count for nothing.
    async fn link_new(
        &self,
        email: Email,
        name: Option<String>,
        login: &Login,
    ) -> Result<Opened, AccountError> {
        let profile = Profile { name: name.unwrap_or_default(), ..nobodys_profile() };
        let is_said = !profile.name.trim().is_empty() && profile.check().is_ok();
        let profile = if is_said { profile } else { nobodys_profile() };
        let user = UserId::from_u128(infra::ids::time_ordered(self.clock.now()));
        let user = self.claim(&email, user, &Steps::none()).await?;
        let key = self.vault.make_person(user).await?;
        let profile = Self::seal_profile(&key, &profile)?;
        let email = key.seal(Field::Email, email.as_str().as_bytes())?;
        let credentials = Credentials { profile: profile.clone(), password: None };
        let command = Command::Register { user, email, credentials };
        let password = match self.execute::<Account>(user, command, origin(None)).await {
            Ok(_) => None,
            Err(Failure::Refused(Refusal::Exists)) => Some(self.nobodys_password(&key).await?),
            Err(failure) => return Err(failure.into()),
        };
        let opened = self.of(user).await?;
        self.link(opened, login, Credentials { profile, password }).await
    }

    /// A password that nobody knows, in place of one that somebody may know.
    async fn nobodys_password(&self, key: &PersonKey) -> Result<Sealed, AccountError> {
        let hash = Zeroizing::new(self.passwords.hash(token()?).await?);
        Ok(key.seal(Field::Password, hash.as_bytes())?)
    }

    /// Notes in the account that whoever logs in so has it. Before the log-in is claimed, so that whoever
    /// forgets the person finds it.
    async fn link(
        &self,
        opened: Opened,
        login: &Login,
        credentials: Credentials,
    ) -> Result<Opened, AccountError> {
        if opened.is_verified() && opened.logins()?.contains(login) {
            return Ok(opened);
        }
        let text = Zeroizing::new(serde_json::to_vec(login)?);
        let login = opened.key.seal(Field::Login, &text)?;
        let (user, key) = (opened.user, opened.key);
        let command = Command::LinkLogin { login, credentials };
        let done = self.execute::<Account>(user, command, origin(Some(user))).await?;
        Ok(Opened { user, account: done.seen, key, position: done.position })
    }

    async fn claim_login(&self, login: &Login, user: UserId) -> Result<UserId, AccountError> {
        let name = self.vault.make_login(&login.issuer, &login.subject).await?;
        match self.execute_claim(name, login_claim::Command::Claim(user)).await? {
            Some(holder) => Ok(holder),
            None => Ok(user),
        }
    }

    /// Whose it is instead.
    async fn execute_claim(
        &self,
        name: LoginHash,
        command: login_claim::Command,
    ) -> Result<Option<UserId>, AccountError> {
        match self.execute::<LoginClaim>(name, command, origin(None)).await {
            Ok(_) => Ok(None),
            Err(failure) => {
                let login_claim::Refusal::Taken { holder } = refused(failure)?;
                Ok(Some(holder))
            }
        }
    }

    /// With its secret gone nobody finds the stream of a log-in again, and whoever logs in so is new.
    /// But those that are `kept`.
    pub(super) async fn release_logins(
        &self,
        user: UserId,
        released: &[Sealed],
        kept: &[Sealed],
        key: &PersonKey,
    ) -> Result<(), AccountError> {
        let kept = logins(kept, key)?;
        for login in logins(released, key)?.into_iter().filter(|login| !kept.contains(login)) {
            let Login { issuer, subject } = login;
            let Some(name) = self.vault.login(&issuer, &subject).await? else { continue };
            let (claim, _) = self.look::<LoginClaim>(name).await?;
            if claim.holder == Some(user) {
                self.vault.destroy_login(&issuer, &subject, name).await?;
                self.execute_claim(name, login_claim::Command::Release(user)).await?;
            }
        }
        Ok(())
    }
}
