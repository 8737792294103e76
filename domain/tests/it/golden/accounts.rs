//! What accounts and their addresses say, with every field and with the least.

use domain::account::{
    AccountErased, AccountLocked, AccountRegistered, EmailVerified, Fact, LoginFailed, LoginLinked,
    LoginSucceeded, PasswordCause, PasswordChanged, ProfileChanged, RoleGranted, RoleRevoked,
};
use domain::email_claim::{self, EmailClaimed, EmailReleased};
use domain::login_claim::{self, LoginClaimed, LoginReleased};
use domain::{Request, Role, Sealed, UserId};

use super::at;

const USER: UserId = UserId::from_u128(0x0193_4a5b_6c7d_7e8f_8123_4567_89ab_cdef);
const BY: UserId = UserId::from_u128(u128::MAX);

fn request() -> Option<Request> {
    Request::new("0b6f5d0e-Key~1", b"what was asked").ok()
}

fn sealed(text: &str) -> Sealed {
    Sealed::from_text(text.to_owned())
}

/// With every field, and with the least.
pub(super) fn facts() -> (Vec<Fact>, Vec<Fact>) {
    let (user, by, role) = (USER, Some(BY), Role::BoxOffice);
    let (email, profile, password) = (sealed("AQ-email"), sealed("AQ-profile"), sealed("AQ-hash"));
    let (reason, cause) = (sealed("AQ-reason"), PasswordCause::RegisteredAgain);
    let registered = |password, roles| AccountRegistered {
        user,
        email: email.clone(),
        profile: profile.clone(),
        password,
        roles,
    };
    let most = vec![
        registered(Some(password.clone()), Role::ALL.to_vec()).into(),
        EmailVerified { user }.into(),
        PasswordChanged { user, password: password.clone(), cause, request: request() }.into(),
        LoginFailed { user, failures: 5 }.into(),
        AccountLocked { user, until: at() }.into(),
        LoginSucceeded { user }.into(),
        ProfileChanged { user, profile: profile.clone(), request: request() }.into(),
        RoleGranted { user, role, by, reason: reason.clone(), request: request() }.into(),
        RoleRevoked { user, role, by, reason: reason.clone(), request: request() }.into(),
        LoginLinked { user, login: sealed("AQ-login") }.into(),
        AccountErased { user, by }.into(),
    ];
    let (by, request, cause) = (None, None, PasswordCause::Changed);
    let least = vec![
        registered(None, vec![]).into(),
        PasswordChanged { user, password, cause, request: None }.into(),
        ProfileChanged { user, profile: profile.clone(), request: None }.into(),
        RoleGranted { user, role, by, reason: reason.clone(), request: None }.into(),
        RoleRevoked { user, role, by, reason, request }.into(),
        AccountErased { user, by }.into(),
    ];
    (most, least)
}

/// They have no fields that may be absent.
pub(super) fn logins() -> (Vec<login_claim::Fact>, Vec<login_claim::Fact>) {
    (vec![LoginClaimed { user: USER }.into(), LoginReleased { user: USER }.into()], vec![])
}

/// They have no fields that may be absent.
pub(super) fn claims() -> (Vec<email_claim::Fact>, Vec<email_claim::Fact>) {
    (vec![EmailClaimed { user: USER }.into(), EmailReleased { user: USER }.into()], vec![])
}
