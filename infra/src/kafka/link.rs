//! How brokers are spoken to: in plain text, or over TLS, by name and password or not.

use std::fmt;

/// What it takes to reach brokers. By default plain text, and no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Over TLS, if any.
    pub tls: Option<Tls>,
}

/// A link over TLS: the broker has to prove that it is the one whose name was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who vouches for brokers: certificates in PEM; those that the system trusts if absent.
    pub authorities: Option<String>,
    /// As whom, with SCRAM-SHA-512; as nobody in particular if absent.
    pub login: Option<Login>,
}

/// A name that brokers know, and its password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A link that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no certificate in what should have some.
    #[error("there is no certificate in it: expected PEM with -----BEGIN CERTIFICATE-----")]
    NoAuthority,
    /// The program speaks plain text alone.
    #[error(
        "this program was built without TLS for Kafka; build it with `cargo build --release -p \
         evently --features kafka-tls`, which takes make, a C++ compiler and perl"
    )]
    NotBuilt,
}

impl Link {
    /// Whether this program can speak so.
    ///
    /// # Errors
    /// It cannot, or the authorities are none.
    pub fn check(&self) -> Result<(), LinkError> {
        let Some(tls) = &self.tls else { return Ok(()) };
        if !cfg!(feature = "kafka-tls") {
            return Err(LinkError::NotBuilt);
        }
        match &tls.authorities {
            Some(pem) if !pem.contains("-----BEGIN CERTIFICATE-----") => {
                Err(LinkError::NoAuthority)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_spoken_is_what_was_built() {
        assert_eq!(Link::default().check(), Ok(()));
        let tls = Link { tls: Some(Tls::default()) };
        let of_file =
            |pem: &str| Link { tls: Some(Tls { authorities: Some(pem.to_owned()), login: None }) };
        let (built, empty) = match cfg!(feature = "kafka-tls") {
            true => (Ok(()), Err(LinkError::NoAuthority)),
            false => (Err(LinkError::NotBuilt), Err(LinkError::NotBuilt)),
        };
        assert_eq!(tls.check(), built);
        assert_eq!(of_file("-----BEGIN CERTIFICATE-----\n").check(), built);
        assert_eq!(of_file("").check(), empty);
    }

    #[test]
    fn a_password_is_never_shown() {
        let login = Login { user: "feed".to_owned(), password: "s3cret".to_owned() };
        let shown = format!("{:?}", Tls { authorities: None, login: Some(login) });
        assert!(shown.contains("feed") && !shown.contains("s3cret"), "{shown}");
    }
}
