//! A person's account (AC-1, AC-2). What is personal in it stays sealed: nothing here reads it.

mod facts;
mod person;
#[cfg(test)]
mod tests;

pub use facts::{
    AccountErased, AccountLocked, AccountRegistered, EmailVerified, Fact, LoginFailed, LoginLinked,
    LoginSucceeded, PasswordCause, PasswordChanged, ProfileChanged, RoleGranted, RoleRevoked,
    schemas,
};
pub use person::{Email, Profile, check_password};

use crate::{Aggregate, Request, Role, Roles, Sealed, Time, UserId};

/// Wrong passwords in a row that lock an account (AC-2).
pub const FAILURES_TO_LOCK: u32 = 5;

/// How long it is locked then, in seconds (AC-2).
pub const LOCK_S: u64 = 15 * 60;

// State and evolve

/// An account as its facts tell it.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Whose it is; `None` as long as it does not exist.
    pub user: Option<UserId>,
    /// The person is forgotten: what is sealed cannot be read any more.
    pub is_erased: bool,
    /// The address.
    pub email: Option<Sealed>,
    /// What is known of the person.
    pub profile: Option<Sealed>,
    /// The password's hash.
    pub password: Option<Sealed>,
    /// Since when it is that one; sessions from before are over.
    pub password_since: Time,
    /// Whether the address was shown to be theirs.
    pub is_verified: bool,
    /// Where else they log in.
    pub logins: Vec<Sealed>,
    /// Where else they did until another password was asked for by mail.
    pub former_logins: Vec<Sealed>,
    /// What they may be.
    pub roles: Roles,
    /// What they might ever be.
    pub ever: Roles,
    /// Since when there is an account.
    pub registered_at: Time,
    failures: u32,
    locked_until: Time,
    requests: Vec<(UserId, Request)>,
}

impl Account {
    /// Whose it is, as long as it is in use.
    pub fn in_use(&self) -> Option<UserId> {
        self.user.filter(|_| !self.is_erased)
    }

    fn forget_failures(&mut self) {
        self.failures = 0;
        self.locked_until = Time::default();
    }
}

// Commands and decide

/// What somebody said of themselves when they registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// A [`Profile`] as JSON.
    pub profile: Sealed,
    /// The password's hash as a PHC string.
    pub password: Option<Sealed>,
}

/// What can be asked of an account.
#[derive(Debug, Clone)]
pub enum Command {
    /// Make it.
    Register {
        /// The id it gets.
        user: UserId,
        /// The address.
        email: Sealed,
        /// What was said.
        credentials: Credentials,
    },
    /// The address is theirs. Of several who registered with it, the one who verified it counts.
    VerifyEmail(Credentials),
    /// Let whoever logs in so elsewhere have the account, whose address they showed to be theirs. If
    /// nobody had yet, they count, and not who began the account.
    LinkLogin {
        /// Issuer and subject as JSON.
        login: Sealed,
        /// What is theirs if nobody had shown yet that the address is.
        credentials: Credentials,
    },
    /// Somebody gave a password.
    LogIn {
        /// The hash it was compared with, which takes a while.
        known: Option<Sealed>,
        /// Whether it is the right one.
        matches: bool,
    },
    /// Take another password.
    ChangePassword {
        /// Its hash.
        password: Sealed,
        /// The one they showed to know; `None` if they showed that the address is theirs.
        known: Option<Sealed>,
        /// What is known of them if nobody had shown yet that the address is theirs: what is there was
        /// said by whoever began the account.
        profile: Option<Sealed>,
        /// The command's key.
        request: Option<Request>,
    },
    /// Replace what is known of the person.
    ChangeProfile {
        /// What is known from now on.
        profile: Sealed,
        /// The command's key.
        request: Option<Request>,
    },
    /// Let the person be other things.
    ChangeRoles {
        /// What they may be.
        grant: Vec<Role>,
        /// What they may no longer be.
        revoke: Vec<Role>,
        /// The admin; `None` for the command line.
        by: Option<UserId>,
        /// Why.
        reason: Sealed,
        /// The command's key.
        request: Option<Request>,
    },
    /// Forget the person.
    Erase {
        /// Who asks; `None` for the command line.
        by: Option<UserId>,
    },
}

/// Why an account says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such account, or the person is forgotten.
    NotFound,
    /// There is one already.
    Exists,
    /// Too many wrong passwords.
    Locked {
        /// Until when.
        until: Time,
    },
    /// Nobody has shown yet that the address is theirs.
    NotVerified,
    /// There is another password since the one that was shown was looked at.
    OtherPassword,
    /// The key was used for something else (BK-6).
    KeyReused,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Id = UserId;
    type Fact = Fact;
    type Command = Command;
    type Refusal = Refusal;

    fn evolve(&mut self, at: Time, fact: &Fact) {
        match fact {
            Fact::AccountRegistered(fact) => {
                self.user = Some(fact.user);
                self.email = Some(fact.email.clone());
                self.profile = Some(fact.profile.clone());
                self.password.clone_from(&fact.password);
                self.roles = Roles::of(&fact.roles);
                self.ever = self.roles;
                self.registered_at = at;
            }
            Fact::EmailVerified(_) => self.is_verified = true,
            Fact::PasswordChanged(fact) => {
                self.password = Some(fact.password.clone());
                self.password_since = at;
                self.forget_failures();
                // Whoever asks for it by mail may do so because somebody else is in.
                if fact.cause == PasswordCause::Reset {
                    self.former_logins.append(&mut self.logins);
                }
            }
            Fact::LoginFailed(fact) => self.failures = fact.failures,
            Fact::AccountLocked(fact) => {
                // When the lock opens there are as many tries as before.
                self.failures = 0;
                self.locked_until = fact.until;
            }
            Fact::LoginSucceeded(_) => self.forget_failures(),
            Fact::LoginLinked(fact) => self.logins.push(fact.login.clone()),
            Fact::ProfileChanged(fact) => self.profile = Some(fact.profile.clone()),
            Fact::RoleGranted(fact) => {
                self.roles.insert(fact.role);
                self.ever.insert(fact.role);
            }
            Fact::RoleRevoked(fact) => self.roles.remove(fact.role),
            Fact::AccountErased(_) => self.is_erased = true,
        }
        self.requests.extend(fact.request().map(|(by, request)| (by, request.clone())));
    }

    fn decide(&self, command: &Command, now: Time) -> Result<Vec<Fact>, Refusal> {
        if let Command::Register { user, email, credentials } = command {
            return self.register(*user, email, credentials);
        }
        let Some(user) = self.user else { return Err(Refusal::NotFound) };
        if let Command::Erase { by } = command {
            let erased = AccountErased { user, by: *by };
            return Ok(if self.is_erased { vec![] } else { vec![erased.into()] });
        }
        if self.is_erased {
            return Err(Refusal::NotFound);
        }
        match command {
            Command::Register { .. } | Command::Erase { .. } => Ok(vec![]),
            Command::VerifyEmail(credentials) => Ok(self.verify(user, credentials)),
            Command::LinkLogin { login, credentials } => {
                let mut facts = self.verify(user, credentials);
                facts.push(LoginLinked { user, login: login.clone() }.into());
                Ok(facts)
            }
            Command::LogIn { known, matches } => {
                self.still_has(known.as_ref())?;
                self.log_in(user, *matches, now)
            }
            Command::ChangePassword { password, known, profile, request } => {
                let (known, profile) = (known.as_ref(), profile.as_ref());
                self.change_password(user, password, known, profile, request.as_ref())
            }
            Command::ChangeProfile { profile, request } => {
                if self.repeated(Some(user), request.as_ref())? {
                    return Ok(vec![]);
                }
                let (profile, request) = (profile.clone(), request.clone());
                Ok(vec![ProfileChanged { user, profile, request }.into()])
            }
            Command::ChangeRoles { grant, revoke, by, reason, request } => {
                if self.repeated(*by, request.as_ref())? {
                    return Ok(vec![]);
                }
                Ok(self.change_roles(user, grant, revoke, *by, reason, request.as_ref()))
            }
        }
    }
}

impl Account {
    fn register(
        &self,
        user: UserId,
        email: &Sealed,
        said: &Credentials,
    ) -> Result<Vec<Fact>, Refusal> {
        if self.user.is_some() {
            return Err(Refusal::Exists);
        }
        let (email, profile) = (email.clone(), said.profile.clone());
        let (password, roles) = (said.password.clone(), vec![Role::Attendee]);
        Ok(vec![AccountRegistered { user, email, profile, password, roles }.into()])
    }

    fn verify(&self, user: UserId, said: &Credentials) -> Vec<Fact> {
        if self.is_verified {
            return vec![];
        }
        let mut facts = vec![EmailVerified { user }.into()];
        if let Some(password) =
            said.password.clone().filter(|it| Some(it) != self.password.as_ref())
        {
            let cause = PasswordCause::RegisteredAgain;
            facts.push(PasswordChanged { user, password, cause, request: None }.into());
        }
        if self.profile.as_ref() != Some(&said.profile) {
            let profile = said.profile.clone();
            facts.push(ProfileChanged { user, profile, request: None }.into());
        }
        facts
    }

    /// Whether the password is the one that was looked at.
    fn still_has(&self, known: Option<&Sealed>) -> Result<(), Refusal> {
        if self.password.as_ref() == known { Ok(()) } else { Err(Refusal::OtherPassword) }
    }

    fn log_in(&self, user: UserId, matches: bool, now: Time) -> Result<Vec<Fact>, Refusal> {
        if now < self.locked_until {
            return Err(Refusal::Locked { until: self.locked_until });
        }
        if !matches {
            let failures = self.failures + 1;
            // One record, as any log-in that is refused leaves: see `crate::attempt`.
            return Ok(vec![match failures < FAILURES_TO_LOCK {
                true => LoginFailed { user, failures }.into(),
                false => AccountLocked { user, until: now.plus_s(LOCK_S) }.into(),
            }]);
        }
        if !self.is_verified {
            return Err(Refusal::NotVerified);
        }
        Ok(if self.failures > 0 { vec![LoginSucceeded { user }.into()] } else { vec![] })
    }

    fn change_password(
        &self,
        user: UserId,
        password: &Sealed,
        known: Option<&Sealed>,
        profile: Option<&Sealed>,
        request: Option<&Request>,
    ) -> Result<Vec<Fact>, Refusal> {
        if self.repeated(Some(user), request)? {
            return Ok(vec![]);
        }
        let is_reset = known.is_none();
        if !is_reset {
            self.still_has(known)?;
        }
        let mut facts = vec![];
        if is_reset && !self.is_verified {
            facts.push(EmailVerified { user }.into());
            let strangers =
                profile.filter(|profile| self.profile.as_ref() != Some(profile)).cloned();
            facts.extend(
                strangers
                    .map(|profile| Fact::from(ProfileChanged { user, profile, request: None })),
            );
        }
        let cause = if is_reset { PasswordCause::Reset } else { PasswordCause::Changed };
        let (password, request) = (password.clone(), request.cloned());
        facts.push(PasswordChanged { user, password, cause, request }.into());
        Ok(facts)
    }

    fn change_roles(
        &self,
        user: UserId,
        grant: &[Role],
        revoke: &[Role],
        by: Option<UserId>,
        reason: &Sealed,
        request: Option<&Request>,
    ) -> Vec<Fact> {
        let granted = grant.iter().filter(|role| !self.roles.has(**role)).map(|role| {
            let (role, reason, request) = (*role, reason.clone(), request.cloned());
            Fact::from(RoleGranted { user, role, by, reason, request })
        });
        let revoked = revoke.iter().filter(|role| self.roles.has(**role)).map(|role| {
            let (role, reason, request) = (*role, reason.clone(), request.cloned());
            Fact::from(RoleRevoked { user, role, by, reason, request })
        });
        granted.chain(revoked).collect()
    }

    /// Whether `request` was carried out before.
    fn repeated(&self, by: Option<UserId>, request: Option<&Request>) -> Result<bool, Refusal> {
        let Some(by) = by else { return Ok(false) };
        match crate::request::find(&self.requests, by, request) {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(Refusal::KeyReused),
        }
    }
}
