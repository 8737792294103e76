//! The person who asks.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{Roles, UserId};

use super::verifier::AuthError;
use crate::http::Problem;

/// Who stands behind tokens that the command line makes for what it asks of a server: the operator. No
/// person has this id.
pub const OPERATOR: UserId = UserId::from_u128(0);

/// The person who asks, as [`super::Guarded`] let them in. As an extractor: 401 if it knew of
/// nobody, or did not stand before the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// What they may be.
    pub roles: Roles,
    /// Whether the route's rule lets them do with what is another's.
    pub with_anothers: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| AuthError::Missing.into())
    }
}

/// The person who asks, or nobody if they did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeCaller(pub Option<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Caller>().copied()))
    }
}
