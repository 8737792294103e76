//! What can have happened to an account. The stored contract: frozen once written. Whatever tells
//! something of a person is sealed with that person's key (AC-3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::{Request, Role, Sealed, Time, UserId};

/// Somebody has an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRegistered {
    /// The new account.
    pub user: UserId,
    /// The address, as it was typed.
    pub email: Sealed,
    /// A [`Profile`](super::Profile) as JSON.
    pub profile: Sealed,
    /// The password's hash as a PHC string; absent for who logs in elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Sealed>,
    /// What they may be from the start.
    pub roles: Vec<Role>,
}

/// Whoever has the account has shown that they read what is sent to its address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailVerified {
    /// Which account.
    pub user: UserId,
}

/// What brought a new password about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordCause {
    /// Its owner, who knew the old one.
    Changed,
    /// Its owner, who reads what is sent to the address.
    Reset,
    /// Registered again before the address was verified: the one who verified it counts.
    RegisteredAgain,
}

/// There is another password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordChanged {
    /// Which account.
    pub user: UserId,
    /// The password's hash as a PHC string.
    pub password: Sealed,
    /// What brought it about.
    pub cause: PasswordCause,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// Somebody tried to log in with a wrong password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginFailed {
    /// Which account.
    pub user: UserId,
    /// How often in a row by now.
    pub failures: u32,
}

/// Somebody tried to log in with a wrong password, once too often: nobody does for a while (AC-2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountLocked {
    /// Which account.
    pub user: UserId,
    /// Until when.
    pub until: Time,
}

/// Its owner logged in after failures, which no longer count. Other log-ins leave no fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginSucceeded {
    /// Which account.
    pub user: UserId,
}

/// Its owner logs in elsewhere too: whoever has that log-in has the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginLinked {
    /// Which account.
    pub user: UserId,
    /// Issuer and subject as JSON.
    pub login: Sealed,
}

/// What is known of the person was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileChanged {
    /// Which account.
    pub user: UserId,
    /// A [`Profile`](super::Profile) as JSON.
    pub profile: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The person may be something more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleGranted {
    /// Which account.
    pub user: UserId,
    /// What.
    pub role: Role,
    /// The admin who granted it; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why. Sealed, because it may speak of the person.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The person may be something no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRevoked {
    /// Which account.
    pub user: UserId,
    /// What.
    pub role: Role,
    /// The admin who took it away; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why. Sealed, because it may speak of the person.
    pub reason: Sealed,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The person is to be forgotten; their key is destroyed next (AC-3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountErased {
    /// Which account.
    pub user: UserId,
    /// Who asked for it; absent for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

facts! {
    /// What can have happened to an account.
    Fact {
        AccountRegistered = 1,
        EmailVerified = 1,
        PasswordChanged = 1,
        LoginFailed = 1,
        AccountLocked = 1,
        LoginSucceeded = 1,
        LoginLinked = 1,
        ProfileChanged = 1,
        RoleGranted = 1,
        RoleRevoked = 1,
        AccountErased = 1,
    }
}

impl Fact {
    /// The account it is about.
    pub const fn user(&self) -> UserId {
        match self {
            Self::AccountRegistered(AccountRegistered { user, .. })
            | Self::EmailVerified(EmailVerified { user })
            | Self::PasswordChanged(PasswordChanged { user, .. })
            | Self::LoginFailed(LoginFailed { user, .. })
            | Self::AccountLocked(AccountLocked { user, .. })
            | Self::LoginSucceeded(LoginSucceeded { user })
            | Self::LoginLinked(LoginLinked { user, .. })
            | Self::ProfileChanged(ProfileChanged { user, .. })
            | Self::RoleGranted(RoleGranted { user, .. })
            | Self::RoleRevoked(RoleRevoked { user, .. })
            | Self::AccountErased(AccountErased { user, .. }) => *user,
        }
    }

    /// Why an admin wanted it, in words that are sealed with the key of the person it is about.
    pub const fn reason(&self) -> Option<(UserId, &Sealed)> {
        match self {
            Self::RoleGranted(fact) => Some((fact.user, &fact.reason)),
            Self::RoleRevoked(fact) => Some((fact.user, &fact.reason)),
            _ => None,
        }
    }

    /// The key of the command that caused it, and who gave it.
    pub fn request(&self) -> Option<(UserId, &Request)> {
        let (by, request) = match self {
            Self::PasswordChanged(fact) => (fact.user, fact.request.as_ref()),
            Self::ProfileChanged(fact) => (fact.user, fact.request.as_ref()),
            Self::RoleGranted(fact) => (fact.by?, fact.request.as_ref()),
            Self::RoleRevoked(fact) => (fact.by?, fact.request.as_ref()),
            _ => return None,
        };
        Some((by, request?))
    }
}
