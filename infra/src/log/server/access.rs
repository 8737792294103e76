//! Who may ask.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::refusal::Refusal;

/// The one user of a log server and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

/// The text is not like `user:password`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected credentials like user:password")]
pub struct CredentialsError;

impl std::str::FromStr for Credentials {
    type Err = CredentialsError;

    /// Everything after the first colon is the password.
    fn from_str(text: &str) -> Result<Self, CredentialsError> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Ok(Self { user: user.to_owned(), password: password.to_owned() })
            }
            _ => Err(CredentialsError),
        }
    }
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a call has to bring.
pub(super) struct Access(Option<blake3::Hash>);

impl Access {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        let token = |Credentials { user, password }| format!("{user}:{password}");
        Self(credentials.map(|credentials| blake3::hash(token(credentials).as_bytes())))
    }

    /// Lets a call pass or not.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(expected) = self.0 else { return Ok(()) };
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|header| header.to_str().ok())
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, token)| STANDARD.decode(token.trim()).ok());
        // Hashes are compared in constant time.
        match given {
            Some(given) if blake3::hash(&given) == expected => Ok(()),
            Some(_) => Err(Refusal::unauthenticated("the user or the password is wrong")),
            None => Err(Refusal::unauthenticated("user and password are asked for (basic)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(credentials: Option<&str>, header: Option<&str>) -> bool {
        let credentials = credentials.map(|text| text.parse().unwrap());
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.parse().unwrap());
        }
        Access::new(credentials).check(&headers).is_ok()
    }

    #[test]
    fn only_the_user_with_the_password_passes() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let right = basic("ops:s3cret:1");
        assert!(passes(None, None) && passes(None, Some("Bearer x")));
        assert!(passes(Some("ops:s3cret:1"), Some(&right)));
        assert!(passes(Some("ops:s3cret:1"), Some(&right.replace("Basic", "basic"))));
        for wrong in [
            None,
            Some(basic("ops:s3cret")),
            Some(basic("ops")),
            Some(basic("OPS:s3cret:1")),
            Some(right.replace("Basic", "Bearer")),
            Some("Basic".to_owned()),
            Some("Basic !!!".to_owned()),
        ] {
            assert!(!passes(Some("ops:s3cret:1"), wrong.as_deref()), "{wrong:?}");
        }
    }

    #[test]
    fn credentials_are_a_user_and_a_password_that_is_never_shown() {
        let credentials: Credentials = "ops:s3cret".parse().unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials { user: \"ops\", .. }");
        for wrong in ["", "ops", "ops:", ":s3cret"] {
            assert_eq!(wrong.parse::<Credentials>(), Err(CredentialsError), "{wrong}");
        }
    }
}
