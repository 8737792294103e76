//! Checks bearer tokens.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::WWW_AUTHENTICATE;
use domain::{Scope, Time, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};

use super::barred::Barred;
use super::cache::{Cache, Verified};
use super::caller::Caller;
use super::keys::{AUDIENCE, Claims, ISSUER, Keys};
use super::services::{ServiceCaller, ServiceError, Services};
use crate::clock::Clock;
use crate::http::Problem;
use crate::identity::Bar;

/// How much another machine's clock may be ahead of this one's. There is no grace after `exp`.
const LEEWAY_MS: u64 = 5_000;

/// Tokens of this product have some 400 bytes; nothing longer is worth a look.
const MAX_TOKEN: usize = 2_048;

const REMEMBERED: usize = 1 << 17;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no `Authorization`.
    #[error("A bearer token is needed.")]
    Missing,
    /// It is not one token of the form that is issued here: other claims, roles or algorithm.
    #[error("The bearer token is not one of this service.")]
    Malformed,
    /// Its signature is not ours.
    #[error("The bearer token's signature is not valid.")]
    Forged,
    /// It was issued by or for someone else.
    #[error("The bearer token is for another service.")]
    Foreign,
    /// Its time is over.
    #[error("The bearer token has expired.")]
    Expired,
    /// Its time has not come.
    #[error("The bearer token is not valid yet.")]
    NotYetValid,
    /// Its bearer was erased since, lost roles or sessions, or it is older than so many of those that
    /// none is told apart.
    #[error("The bearer token was revoked.")]
    Revoked,
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let problem = Self::unauthorized(error.to_string());
        if error == AuthError::Missing {
            return problem;
        }
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        problem.header(WWW_AUTHENTICATE, challenge)
    }
}

/// Verifies tokens; remembers those that passed until they expire. Cloning shares the memory.
#[derive(Clone)]
pub struct Auth(Arc<Verifier>);

struct Verifier {
    keys: Keys,
    validation: Validation,
    clock: Arc<dyn Clock>,
    cache: Cache,
    barred: Barred,
    services: Services,
}

impl Auth {
    /// A verifier of tokens signed with `keys`.
    pub fn new(keys: &Keys, clock: Arc<dyn Clock>) -> Self {
        Self::remembering(keys, clock, REMEMBERED)
    }

    pub(super) fn remembering(keys: &Keys, clock: Arc<dyn Clock>, tokens: usize) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // By our clock, in `within_time`, also for tokens remembered.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let (keys, cache) = (keys.clone(), Cache::new(tokens));
        let (barred, services) = (Barred::default(), Services::default());
        Self(Arc::new(Verifier { keys, validation, clock, cache, barred, services }))
    }

    /// Who bears `token`.
    ///
    /// # Errors
    /// See [`AuthError`]; as a [`Problem`] each is 401.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let now = self.0.clock.now();
        self.0.keys.look(now);
        // What another key verified is looked at again: it may be forgotten by now.
        let generation = self.0.keys.generation();
        let known = self.0.cache.get(token).filter(|known| known.generation == generation);
        if let Some(verified) = known {
            return self.0.in_force(verified, now);
        }
        let verified = self.0.check(token, now)?;
        let caller = self.0.in_force(verified, now)?;
        self.0.cache.put(token, verified, now);
        Ok(caller)
    }

    /// Which service bears `token`, if it may do what needs `scope`.
    pub(super) fn service(&self, token: &str, scope: Scope) -> Result<ServiceCaller, ServiceError> {
        self.0.services.find(token, scope, self.now())
    }

    pub(super) fn services(&self) -> &Services {
        &self.0.services
    }

    pub(super) fn barred(&self) -> &Barred {
        &self.0.barred
    }

    /// Has tokens refused from now on by this process. Others learn it from the store.
    pub fn bar(&self, bar: Bar) {
        self.0.barred.add(bar);
    }

    /// What a token of `user` may be issued at that is made of what is read of them from now on: not
    /// earlier than what is known to be over, whoever's clock said when that was.
    pub fn moment(&self, user: UserId) -> Time {
        self.0.barred.before(user).map_or(self.now(), |before| self.now().max(before))
    }

    pub(super) fn now(&self) -> Time {
        self.0.clock.now()
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.0.cache.len()
    }
}

impl Verifier {
    fn check(&self, token: &str, now: Time) -> Result<Verified, AuthError> {
        if token.len() > MAX_TOKEN {
            return Err(AuthError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Malformed)?;
        if !is_understood(&header) {
            return Err(AuthError::Malformed);
        }
        let kid = header.kid.ok_or(AuthError::Malformed)?;
        if self.keys.ring().verifying(&kid).is_none() {
            // Another process may have signed with a key that came a moment ago.
            self.keys.look_again(now);
        }
        // Before the keys, so that it never names later ones than those that verified.
        let generation = self.keys.generation();
        let ring = self.keys.ring();
        let key = ring.verifying(&kid).ok_or(AuthError::Forged)?;
        let claims: Claims = jsonwebtoken::decode(token, key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => AuthError::Forged,
                ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => AuthError::Foreign,
                _ => AuthError::Malformed,
            })?
            .claims;
        Ok(Verified {
            caller: Caller { user: claims.sub, roles: claims.roles, with_anothers: false },
            generation,
            not_before: Time::from_ms(claims.nbf.saturating_mul(1000)),
            issued: claims.issued(),
            expires: Time::from_ms(claims.exp.saturating_mul(1000)),
        })
    }

    /// Who bears it, if it counts at this moment.
    fn in_force(&self, verified: Verified, now: Time) -> Result<Caller, AuthError> {
        if now >= verified.expires {
            return Err(AuthError::Expired);
        }
        if now.plus_ms(LEEWAY_MS) < verified.not_before {
            return Err(AuthError::NotYetValid);
        }
        if self.barred.has(verified.caller.user, verified.issued) {
            return Err(AuthError::Revoked);
        }
        Ok(verified.caller)
    }
}

/// Whether it is a token of the kind that is issued here, and asks for nothing more to be understood:
/// there is nothing that this does (RFC 7515, 4.1.11).
fn is_understood(header: &Header) -> bool {
    let is_token = |typ: &str| ["JWT", "at+jwt"].iter().any(|it| it.eq_ignore_ascii_case(typ));
    header.crit.is_none() && header.typ.as_deref().is_none_or(is_token)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_token_of_another_kind_is_refused_though_the_key_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keys = Keys::load_or_create(folder.path(), clock.clone()).unwrap();
        let now_s = clock.now().as_ms() / 1000;
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": UserId::from_u128(7), "roles": [],
            "iat": now_s, "nbf": now_s, "exp": now_s + 900, "jti": "1",
        });
        let (auth, ring) = (Auth::new(&keys, clock), keys.ring());
        let signed = |typ: Option<&str>, crit: Option<&[&str]>| {
            let crit = crit.map(|names| names.iter().map(ToString::to_string).collect());
            let header = Header { typ: typ.map(str::to_owned), crit, ..ring.header.clone() };
            auth.verify(&jsonwebtoken::encode(&header, &claims, &ring.signing).unwrap())
        };
        for typ in [None, Some("JWT"), Some("jwt"), Some("at+jwt")] {
            assert!(signed(typ, None).is_ok(), "{typ:?}");
            assert_eq!(signed(typ, Some(&["exp"])), Err(AuthError::Malformed), "{typ:?}");
            assert_eq!(signed(typ, Some(&[])), Err(AuthError::Malformed), "{typ:?}");
        }
        for typ in ["", "logout+jwt", "dpop+jwt", "JWE"] {
            assert_eq!(signed(Some(typ), None), Err(AuthError::Malformed), "{typ}");
        }
    }
}
