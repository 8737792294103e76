//! What a person tells of themselves. Never in a fact as it is: only sealed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::seating::Invalid;
use crate::text::check_text;

/// An email address that can be written to: `local@domain`, ASCII, at most 254 bytes (RFC 5321).
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

const EMAIL: &str = "an address like ada@example.org, of at most 254 ASCII characters";

impl Email {
    /// The address as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one address have in common: providers do not tell case apart.
    pub fn normal(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Email {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let sound = text.len() <= 254
            && text.rsplit_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len())
                    && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
                    && domain.contains('.')
                    && domain.split('.').all(is_label)
            });
        Invalid::unless(sound, || "email".to_owned(), EMAIL)?;
        Ok(Self(text.to_owned()))
    }
}

/// Nothing of it in logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }
}

/// RFC 5322, `atext`.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What a person is called and how they like to be spoken to. Its JSON is what is sealed in facts:
/// fields are added, never renamed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// As they want to be called.
    pub name: String,
    /// To call them on the day of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// A language tag (BCP 47) like `de-AT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl Profile {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// A field that does not.
    pub fn check(&self) -> Result<(), Invalid> {
        check_text("name", &self.name, 200)?;
        if let Some(phone) = &self.phone {
            let sound = (3..=32).contains(&phone.len())
                && phone.bytes().all(|byte| byte.is_ascii_digit() || b"+-(). /".contains(&byte));
            let problem = "3 to 32 digits, spaces and the characters + - ( ) . /";
            Invalid::unless(sound, || "phone".to_owned(), problem)?;
        }
        if let Some(language) = &self.language {
            let sound = (2..=35).contains(&language.len())
                && language.split('-').all(|part| {
                    (1..=8).contains(&part.len())
                        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
                });
            Invalid::unless(sound, || "language".to_owned(), "a language tag like de-AT")?;
        }
        Ok(())
    }
}

/// Nothing of it in logs.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a profile")
    }
}

/// Whether a password is worth its name (NIST SP 800-63B: length counts, composition does not).
///
/// # Errors
/// It is too short, or longer than anybody types.
pub fn check_password(field: &str, password: &str) -> Result<(), Invalid> {
    let sound = password.chars().count() >= 10 && password.len() <= 256;
    let problem = "at least 10 characters long and at most 256 bytes";
    Invalid::unless(sound, || field.to_owned(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_can_be_written_to() {
        for good in ["ada@example.org", "Ada.L+tickets@mail.example.co", "o'hara@x-y.at"] {
            let email: Email = good.parse().unwrap();
            assert_eq!(email.as_str(), good);
            assert_eq!(email.normal(), good.to_lowercase());
        }
        let long = format!("{}@example.org", "x".repeat(65));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example",
            "a b@example.org",
            "a@b@example.org",
            "ada@-x.org",
            "ada@x..org",
            ".ada@x.org",
            "ada@x.org\r\nBcc: eve@x.org",
            "ädä@x.org",
            "<ada@x.org>",
            &long,
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_personal_is_not_shown_by_accident() {
        let email: Email = "ada@example.org".parse().unwrap();
        let profile = Profile { name: "Ada".into(), phone: None, language: None };
        assert!(!format!("{email:?} {profile:?}").to_lowercase().contains("ada"));
    }

    #[test]
    fn a_profile_is_sealed_in_a_form_that_stays() {
        let (phone, language) = (Some("+43 1 234".into()), Some("de-AT".into()));
        let most = Profile { name: "Ada".into(), phone, language };
        let least = Profile { phone: None, language: None, ..most.clone() };
        for (profile, stored) in [
            (most, r#"{"name":"Ada","phone":"+43 1 234","language":"de-AT"}"#),
            (least, r#"{"name":"Ada"}"#),
        ] {
            profile.check().unwrap();
            assert_eq!(serde_json::to_string(&profile).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Profile>(stored).unwrap(), profile);
        }
        let wrong = [
            Profile { name: " ".into(), phone: None, language: None },
            Profile { name: "A".into(), phone: Some("call me".into()), language: None },
            Profile { name: "A".into(), phone: None, language: Some("de_AT".into()) },
        ];
        assert!(wrong.iter().all(|profile| profile.check().is_err()));
    }

    #[test]
    fn a_password_has_some_length() {
        assert!(check_password("password", "öäüöäüöäüö").is_ok());
        assert!(check_password("password", "123456789").is_err());
        assert!(check_password("password", &"x".repeat(257)).is_err());
    }
}
