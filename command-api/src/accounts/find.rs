//! Finding an account, and reading what is personal in it.

use domain::account::{Account, Email, Profile};
use domain::email_claim::EmailClaim;
use domain::{Sealed, Time, UserId};
use infra::auth::Role;
use infra::identity::{Field, PersonKey};
use infra::log::Position;
use zeroize::Zeroizing;

use super::{AccountError, Accounts};

/// An account in use with its person's key.
pub(crate) struct Opened {
    pub(super) user: UserId,
    pub(super) account: Account,
    pub(super) key: PersonKey,
    pub(super) position: Position,
}

impl Opened {
    /// The person.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// The address.
    pub(crate) fn email(&self) -> Result<Email, AccountError> {
        let text = self.text(Field::Email, self.account.email.as_ref())?;
        text.map_or(Err(AccountError::NotFound), |text| Ok(text.parse()?))
    }

    /// What is known of the person.
    pub(crate) fn profile(&self) -> Result<Profile, AccountError> {
        let text = self.text(Field::Profile, self.account.profile.as_ref())?;
        text.map_or(Err(AccountError::NotFound), |text| Ok(serde_json::from_str(&text)?))
    }

    /// The password's hash, if there is a password.
    pub(super) fn password(&self) -> Result<Option<Zeroizing<String>>, AccountError> {
        self.text(Field::Password, self.account.password.as_ref())
    }

    /// Whether the address was shown to be theirs.
    pub(crate) fn is_verified(&self) -> bool {
        self.account.is_verified
    }

    /// What they may be.
    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> {
        self.account.roles.iter()
    }

    /// Since when there is an account.
    pub(crate) fn registered_at(&self) -> Time {
        self.account.registered_at
    }

    /// Where in the log its last fact is.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    fn text(
        &self,
        field: Field,
        sealed: Option<&Sealed>,
    ) -> Result<Option<Zeroizing<String>>, AccountError> {
        Ok(sealed.map(|sealed| self.key.open_text(field, sealed)).transpose()?)
    }
}

impl Accounts {
    /// A person's account.
    pub(crate) async fn of(&self, user: UserId) -> Result<Opened, AccountError> {
        let (account, position) = self.look::<Account>(user).await?;
        if account.in_use().is_none() {
            return Err(AccountError::NotFound);
        }
        Ok(Opened { user, account, key: self.vault.person(user).await?, position })
    }

    /// The account that has this address.
    pub(super) async fn by_email(&self, email: &Email) -> Result<Option<Opened>, AccountError> {
        let Some(address) = self.vault.address(email).await? else { return Ok(None) };
        let (claim, _) = self.look::<EmailClaim>(address).await?;
        let Some(holder) = claim.holder else { return Ok(None) };
        match self.of(holder).await {
            Ok(opened) => Ok(Some(opened)),
            Err(AccountError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Seals a profile.
    pub(super) fn seal_profile(key: &PersonKey, profile: &Profile) -> Result<Sealed, AccountError> {
        Ok(key.seal(Field::Profile, &Zeroizing::new(serde_json::to_vec(profile)?))?)
    }
}
