//! Text that nobody gets to see by accident.

use std::fmt;

/// An address that may hold a password. Shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The scheme and what comes after the last `@` up to the query, if it looks like an address; what
/// is between, and anything else, is `***`.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str("***") };
        let place = rest.rsplit_once('@').map_or("***", |(_, place)| place);
        let place = place.split(['?', '#']).next().unwrap_or_default();
        if place == "***" {
            return write!(f, "{scheme}://***");
        }
        write!(f, "{scheme}://***@{place}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://me:s3cret@db:5432/evently", "postgres://***@db:5432/evently"),
            ("postgres://me:s3c@ret@db/evently?password=s3cret", "postgres://***@db/evently"),
            ("postgres://db/evently?user=me&password=s3cret", "postgres://***"),
            ("host=db password=s3cret", "***"),
            ("postgres://me:s3cret/@db", "postgres://***@db"),
        ] {
            let secret = Secret::from(text.to_owned());
            assert_eq!(secret.to_string(), shown);
            assert!(!format!("{secret:?}").contains("s3c"));
            assert_eq!(secret.reveal(), text);
        }
    }
}
