//! The person who asks.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::{Role, Roles, UserId};

use super::verifier::{Auth, AuthError};
use crate::http::Problem;

/// The person who asks, by their token. As an extractor: 401 without a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// What they may be.
    pub roles: Roles,
}

impl Caller {
    /// Nothing, if the person has any of `roles`.
    ///
    /// # Errors
    /// 403 if they have none of them.
    pub fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.roles.has_any(roles) {
            return Ok(());
        }
        let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        Err(Problem::forbidden(format!("This needs the role {}.", names.join(" or "))))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(parts)?.ok_or(AuthError::Missing)?;
        Ok(Auth::from_ref(state).verify(token)?)
    }
}

/// The person who asks, or nobody if there is no `Authorization`. A bad token is still 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeCaller(pub Option<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller
where
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Some(token) = bearer(parts)? else {
            return Ok(Self(None));
        };
        Ok(Self(Some(Auth::from_ref(state).verify(token)?)))
    }
}

/// The token in `Authorization: Bearer ...` (RFC 6750); `None` if there is no such header.
fn bearer(parts: &Parts) -> Result<Option<&str>, AuthError> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().map_err(|_| AuthError::Malformed)?,
        _ => return Err(AuthError::Malformed),
    };
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::Malformed)?;
    let token = token.trim_start();
    scheme.eq_ignore_ascii_case("bearer").then_some(Some(token)).ok_or(AuthError::Malformed)
}
