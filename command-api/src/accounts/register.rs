//! Registering, and showing that the address is one's own.

use std::sync::Arc;

use domain::account::{Account, Command, Credentials, Email, Profile, Refusal, check_password};
use domain::email_claim::{self, EmailClaim};
use domain::{EmailHash, Sealed, UserId};
use infra::identity::{Field, Purpose, TokenHash, VaultError};
use infra::passwords::Passwords;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::refused;
use super::sessions::Proven;
use super::{AccountError, Accounts, Opened, Steps, Tokens, mails, origin};
use crate::runtime::Failure;

/// How often an address may be forgotten while somebody registers with it.
const ATTEMPTS: u32 = 3;

/// What somebody says of themselves when they register.
pub struct NewAccount {
    /// The address.
    pub email: Email,
    /// In clear; only its hash is kept.
    pub password: Zeroizing<String>,
    /// What else is known of them.
    pub profile: Profile,
}

/// The same, with the password as it is kept.
struct Hashed {
    email: Email,
    hash: Zeroizing<String>,
    profile: Profile,
}

impl Hashed {
    async fn of(new: NewAccount, passwords: &Passwords) -> Result<Self, AccountError> {
        let NewAccount { email, password, profile } = new;
        let hash = Zeroizing::new(passwords.hash(password).await?);
        Ok(Self { email, hash, profile })
    }
}

/// What a code brings back: what was said when it was asked for. Sealed.
#[derive(Serialize, Deserialize)]
struct Said {
    profile: Sealed,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Sealed>,
}

/// An account that was made, or the one that the address has already.
struct Registered {
    user: UserId,
    said: Credentials,
    /// Whether the address was shown to be theirs before.
    is_verified: bool,
}

impl Accounts {
    /// Registers somebody. Whatever comes of it is told to the address and not to who asks.
    ///
    /// # Errors
    /// A value cannot be accepted, or something is away; never that the address is known.
    pub(crate) async fn register(self: &Arc<Self>, new: NewAccount) -> Result<(), AccountError> {
        new.profile.check()?;
        check_password("password", &new.password)?;
        let steps = Steps::begin(self.discretion);
        let hashed = Hashed::of(new, &self.passwords).await;
        let registered = match hashed {
            Ok(new) => {
                let accounts = self.clone();
                // An address claimed by who went away half-way would be nobody's: an account by which it
                // can be forgotten comes after it.
                self.to_its_end(async move { accounts.register_hashed(new, steps).await }).await
            }
            Err(error) => Err(error),
        };
        steps.next().await;
        registered
    }

    async fn register_hashed(
        self: Arc<Self>,
        new: Hashed,
        steps: Steps,
    ) -> Result<(), AccountError> {
        let email = new.email.clone();
        let Registered { user, said, is_verified } = self.make(new, &steps).await?;
        if is_verified {
            self.mail(user, email, mails::ALREADY_REGISTERED, String::new());
            return Ok(());
        }
        let said = Said { profile: said.profile, password: said.password };
        let payload = serde_json::to_string(&said)?;
        self.mail_code(user, email, Purpose::VerifyEmail, payload).await
    }

    /// Makes an account for the address, unless there is one. Either way two records are written, each
    /// at the next of these steps.
    async fn make(&self, new: Hashed, steps: &Steps) -> Result<Registered, AccountError> {
        let Hashed { email, hash, profile } = new;
        let newcomer = UserId::from_u128(infra::ids::time_ordered(self.clock.now()));
        let user = self.claim(&email, newcomer, steps).await?;
        let key = self.vault.make_person(user).await?;
        let said = Credentials {
            profile: Self::seal_profile(&key, &profile)?,
            password: Some(key.seal(Field::Password, hash.as_bytes())?),
        };
        let email = key.seal(Field::Email, email.as_str().as_bytes())?;
        let command = Command::Register { user, email, credentials: said.clone() };
        let (known, _) = self.look::<Account>(user).await?;
        steps.next().await;
        // What is known already is not asked for again, so that either way one record is written now.
        let registered = match known.user {
            Some(_) => Err(Failure::Refused(Refusal::Exists)),
            None => self.execute::<Account>(user, command, origin(None)).await,
        };
        match registered {
            Ok(_) => {}
            Err(Failure::Refused(Refusal::Exists)) => self.cover_if(steps).await?,
            Err(failure) => return Err(failure.into()),
        }
        Ok(Registered { user, said, is_verified: known.is_verified })
    }

    /// Claims the address for `user`; whose it is then. At the next of these steps there is a record of
    /// it either way. Whoever claimed it before and did not come to the end has their account made by
    /// whoever comes next.
    pub(super) async fn claim(
        &self,
        email: &Email,
        user: UserId,
        steps: &Steps,
    ) -> Result<UserId, AccountError> {
        for _ in 0..ATTEMPTS {
            let address = self.vault.make_address(email).await?;
            let (known, _) = self.look::<EmailClaim>(address).await?;
            steps.next().await;
            let holder = match known.holder {
                Some(holder) => holder,
                None => self.claim_stream(address, user).await?,
            };
            if holder != user {
                self.cover_if(steps).await?;
            }
            // What was forgotten meanwhile nobody would find again.
            if self.vault.address(email).await? == Some(address) {
                return Ok(holder);
            }
        }
        Err(AccountError::Busy)
    }

    async fn claim_stream(&self, address: EmailHash, user: UserId) -> Result<UserId, AccountError> {
        let command = email_claim::Command::Claim(user);
        match self.execute::<EmailClaim>(address, command, origin(None)).await {
            Ok(_) => Ok(user),
            Err(failure) => {
                let email_claim::Refusal::Taken { holder } = refused(failure)?;
                Ok(holder)
            }
        }
    }

    /// Takes the code from a mail, and the password that was given with the registration which that
    /// mail is about: the address is theirs, and they are logged in. A code alone says nothing of who
    /// registered: whoever reads the mail may not have.
    pub(crate) async fn verify_email(
        &self,
        code: &str,
        password: Zeroizing<String>,
    ) -> Result<Tokens, AccountError> {
        let (hash, now) = (TokenHash::of(code), self.clock.now());
        let found = self.vault.store().code(hash, Purpose::VerifyEmail, now).await?;
        let (user, payload) = found.ok_or(AccountError::CodeNotValid)?;
        let said: Said = serde_json::from_str(&payload)?;
        let key = match self.vault.person(user).await {
            Err(VaultError::Erased) => return Err(AccountError::CodeNotValid),
            key => key?,
        };
        let stored = said.password.as_ref();
        let stored = stored.map(|sealed| key.open_text(Field::Password, sealed)).transpose()?;
        if !self.passwords.is_right(password, stored).await? {
            return Err(AccountError::CodeNotValid);
        }
        let Said { profile, password } = said;
        let command = Command::VerifyEmail(Credentials { profile, password: password.clone() });
        let proven = match self.execute::<Account>(user, command, origin(Some(user))).await {
            // Somebody who registered otherwise may have been first.
            Ok(done) if done.seen.password == password => {
                Proven { user, account: done.seen, position: done.position }
            }
            Ok(_) | Err(Failure::Refused(_)) => return Err(AccountError::CodeNotValid),
            Err(failure) => return Err(failure.into()),
        };
        let tokens = self.open_session(&proven).await?;
        // Only now: what failed before can be asked again. Of several at once one has it.
        let store = self.vault.store();
        if store.take_code(hash).await? {
            return Ok(tokens);
        }
        store.close_session(TokenHash::of(&tokens.refresh)).await?;
        Err(AccountError::CodeNotValid)
    }

    /// The account that has this address, made if there is none, and verified if it is not; for the
    /// command line. Whether the password that was given is the account's.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn provide(&self, new: NewAccount) -> Result<(UserId, bool), AccountError> {
        new.profile.check()?;
        check_password("password", &new.password)?;
        let Registered { user, said, .. } =
            self.make(Hashed::of(new, &self.passwords).await?, &Steps::none()).await?;
        let password = said.password.clone();
        // Also an account that a stranger began with this address, or that was begun before a crash.
        let verify = Command::VerifyEmail(said);
        let done = self.execute::<Account>(user, verify, origin(None)).await?;
        Ok((user, done.seen.password == password))
    }

    /// Changes what is known of a person.
    pub(crate) async fn change_profile(
        &self,
        user: UserId,
        profile: &Profile,
        key: Option<&str>,
    ) -> Result<Opened, AccountError> {
        profile.check()?;
        let before = self.of(user).await?;
        let request = before.request(key, "change-profile", profile)?;
        let profile = Self::seal_profile(&before.key, profile)?;
        let command = Command::ChangeProfile { profile, request: request.clone() };
        let done = self.execute::<Account>(user, command, origin(Some(user))).await?;
        if done.facts.is_empty()
            && let Some(request) = request
        {
            return self.right_after(before, &request).await;
        }
        Ok(Opened { user, account: done.seen, key: before.key, position: done.position })
    }
}
