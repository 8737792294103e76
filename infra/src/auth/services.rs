//! Services: other programs of the operator, known by a key (RFC 6750) and not by a person's token.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use domain::{Scope, ServiceKeyId, Time, UserId};
use parking_lot::RwLock;

use super::caller::{Caller, OPERATOR};
use crate::http::Problem;
use crate::identity::{ServiceKey, TokenHash};

/// How long what the store said is good if it does not answer since, in milliseconds: a key that was
/// revoked meanwhile is not to be taken for ever.
const GOOD_FOR_MS: u64 = 60_000;

/// A service that asks, as [`super::Guarded`] let it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceCaller {
    /// Which key it showed.
    pub key: ServiceKeyId,
}

/// Who asks: a person, the operator or a service. As an extractor: nobody if none was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    Person(UserId),
    /// The command line, as [`OPERATOR`].
    Operator,
    /// A service.
    Service(ServiceKeyId),
    /// Nobody who is known.
    Nobody,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(user) => user.fmt(f),
            Self::Service(key) => key.fmt(f),
            Self::Operator => f.pad("the operator"),
            Self::Nobody => f.pad("nobody"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let person = parts.extensions.get::<Caller>().map(|caller| match caller.user {
            OPERATOR => Self::Operator,
            user => Self::Person(user),
        });
        let service =
            parts.extensions.get::<ServiceCaller>().map(|service| Self::Service(service.key));
        Ok(person.or(service).unwrap_or(Self::Nobody))
    }
}

/// Why a service is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ServiceError {
    /// There is no `Authorization`.
    #[error("A service key is needed.")]
    Missing,
    /// What there is was never made or is revoked, or is something else.
    #[error("That is no service key in force.")]
    Unknown,
    /// The key is for other things.
    #[error("This needs the scope {0}.")]
    Lacking(Scope),
    /// It is not known which keys are in force.
    #[error("It cannot be seen at the moment whether the key is in force.")]
    Unseen,
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let says = error.to_string();
        let challenge = match error {
            ServiceError::Missing => return Self::unauthorized(says),
            ServiceError::Unseen => return Self::unavailable("IDENTITY_UNAVAILABLE", says, 2),
            ServiceError::Unknown => r#"Bearer error="invalid_token""#,
            ServiceError::Lacking(_) => {
                let challenge = HeaderValue::from_static(r#"Bearer error="insufficient_scope""#);
                return Self::forbidden(says).header(WWW_AUTHENTICATE, challenge);
            }
        };
        Self::unauthorized(says).header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }
}

/// The keys in force, as the store said not long ago.
#[derive(Default)]
pub(super) struct Services(RwLock<Option<Known>>);

struct Known {
    keys: HashMap<TokenHash, (ServiceKeyId, Vec<Scope>)>,
    good_until: Time,
}

impl Services {
    pub(super) fn replace(&self, keys: Vec<ServiceKey>, now: Time) {
        let in_force = keys.into_iter().filter(|key| key.revoked_at.is_none());
        let keys = in_force.map(|key| (key.hash, (key.id, key.scopes))).collect();
        let good_until = now.plus_ms(GOOD_FOR_MS);
        *self.0.write() = Some(Known { keys, good_until });
    }

    /// The service that shows `token`, if it may do what needs `scope`. Found by the hash of 256 random
    /// bits: how long that takes tells nothing of a key.
    pub(super) fn find(
        &self,
        token: &str,
        scope: Scope,
        now: Time,
    ) -> Result<ServiceCaller, ServiceError> {
        let known = self.0.read();
        let known = known.as_ref().filter(|known| now < known.good_until);
        let known = known.ok_or(ServiceError::Unseen)?;
        let (key, scopes) = known.keys.get(&TokenHash::of(token)).ok_or(ServiceError::Unknown)?;
        if scopes.contains(&scope) {
            Ok(ServiceCaller { key: *key })
        } else {
            Err(ServiceError::Lacking(scope))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_said_is_good_for_a_minute() {
        let (services, now) = (Services::default(), Time::from_ms(1_800_000_000_000));
        let (key, token) = ServiceKey::make("it", &[Scope::AuditRead], now).unwrap();
        let find = |ms| services.find(&token, Scope::AuditRead, now.plus_ms(ms));
        assert_eq!(find(0), Err(ServiceError::Unseen));
        services.replace(vec![key.clone()], now);
        assert_eq!(find(GOOD_FOR_MS - 1), Ok(ServiceCaller { key: key.id }));
        assert_eq!(find(GOOD_FOR_MS), Err(ServiceError::Unseen));
    }
}
