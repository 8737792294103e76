//! The client's `Idempotency-Key`, kept in the log with what it caused (BK-6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::UserId;

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// What the text begins with that stands for a key. Facts without it were written when keys were
/// stored as clients sent them.
const HIDDEN: u8 = b'h';

/// How long that text is.
const HIDDEN_LEN: usize = 33;

/// A command's key and what was asked under it. Stored in the fact that carried the command out,
/// so that a repetition finds the first answer on any node, also after a crash.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Request {
    /// Stands for the `Idempotency-Key` without telling it, as clients choose keys and what they
    /// choose may be personal; in older facts, the key as it was sent. 1 to 255 visible ASCII
    /// characters.
    pub key: String,
    /// What was asked: the same key with another body is refused.
    pub body: Fingerprint,
    /// What [`Request::identity`] was when keys were stored as they were sent.
    #[serde(skip)]
    as_sent: Option<[u8; 16]>,
}

/// Requests are what their facts say.
impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.body == other.body
    }
}

impl Eq for Request {}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be 1 to 255 visible ASCII characters")]
pub struct RequestError;

impl Request {
    /// A request under `key`, which is stored as it is; `body` is the operation's name and its
    /// parsed content.
    pub fn new(key: &str, body: &[u8]) -> Result<Self, RequestError> {
        check(key)?;
        Ok(Self { key: key.to_owned(), body: Fingerprint::of(body), as_sent: None })
    }

    /// A request of `user` under the key they `sent`, which is not stored: what stands for it is
    /// its hash keyed with `secret`, and theirs alone, so that nobody learns of another's key by
    /// sending a guess.
    pub fn hidden(
        secret: &[u8; 32],
        user: UserId,
        sent: &str,
        body: &[u8],
    ) -> Result<Self, RequestError> {
        check(sent)?;
        let of = of_person(user, sent, |text| blake3::keyed_hash(secret, text));
        let mut key = String::with_capacity(HIDDEN_LEN);
        key.push(char::from(HIDDEN));
        for byte in of {
            key.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        let as_sent = Some(of_person(user, sent, blake3::hash));
        Ok(Self { key, body: Fingerprint::of(body), as_sent })
    }

    /// 128 bits that stand for this person's key. Two people may use the same key.
    pub fn identity(&self, user: UserId) -> u128 {
        u128::from_be_bytes(of_person(user, &self.key, blake3::hash))
    }

    /// The identity of the same person's same key in facts from when keys were stored as they were
    /// sent.
    pub(crate) fn identity_as_sent(&self) -> Option<u128> {
        self.as_sent.map(u128::from_be_bytes)
    }

    /// Whether the key is not stored as it was sent.
    pub(crate) fn is_hidden(&self) -> bool {
        self.key.len() == HIDDEN_LEN && self.key.as_bytes()[0] == HIDDEN
    }

    /// Whether `user` gave this command under the key that they gave `before` under.
    pub fn has_key_of(&self, user: UserId, before: &Self) -> bool {
        self.key == before.key
            || !before.is_hidden() && self.identity_as_sent() == Some(before.identity(user))
    }

    /// Whether `user` asked the same `before`, under the same key.
    pub fn repeats(&self, user: UserId, before: &Self) -> bool {
        self.body == before.body && self.has_key_of(user, before)
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn check(key: &str) -> Result<(), RequestError> {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    let sound = visible && (1..=MAX_KEY).contains(&key.len());
    sound.then_some(()).ok_or(RequestError)
}

/// The first 128 bits of the hash of a person and their key.
fn of_person(user: UserId, key: &str, hash: impl FnOnce(&[u8]) -> blake3::Hash) -> [u8; 16] {
    let mut text = [0; 16 + MAX_KEY];
    let length = key.len().min(MAX_KEY);
    text[..16].copy_from_slice(&user.as_u128().to_be_bytes());
    text[16..16 + length].copy_from_slice(&key.as_bytes()[..length]);
    let mut bits = [0; 16];
    bits.copy_from_slice(&hash(&text[..16 + length]).as_bytes()[..16]);
    bits
}

/// 64 bits of the BLAKE3 hash of what was asked, as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of(body: &[u8]) -> Self {
        let hash = blake3::hash(body);
        let mut bits = [0; 8];
        bits.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_be_bytes(bits))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 16];
        for (place, digit) in text.iter_mut().rev().zip(0..) {
            *place = DIGITS[(self.0 >> (4 * digit) & 15) as usize];
        }
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl schemars::JsonSchema for Fingerprint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fingerprint".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9a-f]{16}$"})
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize(deserializer, "16 hexadecimal digits")
    }
}

/// Looks for `request` among those carried out before: `None` if it is new, else whether the same
/// was asked.
pub(crate) fn find(
    done: &[(UserId, Request)],
    user: UserId,
    request: Option<&Request>,
) -> Option<bool> {
    let request = request?;
    let same_key =
        |(by, before): &&(UserId, Request)| *by == user && request.has_key_of(user, before);
    done.iter().find(same_key).map(|(_, before)| before.body == request.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_one_person() {
        let request = Request::new("k-1", b"body").unwrap();
        let (one, other) = (UserId::from_u128(1), UserId::from_u128(2));
        assert_eq!(request.identity(one), request.identity(one));
        assert_ne!(request.identity(one), request.identity(other));
    }

    #[test]
    fn a_hidden_key_tells_nothing_and_is_known_again() {
        let (one, other) = (UserId::from_u128(1), UserId::from_u128(2));
        let ask = |secret, user, key, body: &str| {
            Request::hidden(&[secret; 32], user, key, body.as_bytes()).unwrap()
        };
        let asked = ask(7, one, "ada@example.org", "x");
        assert_eq!(asked.key, "hee3e7c29bb2c8f6880af2939298addf9");
        assert_eq!(ask(7, one, "ada@example.org", "x"), asked);
        for unlike in [
            ask(8, one, "ada@example.org", "x"),
            ask(7, other, "ada@example.org", "x"),
            ask(7, one, "ada@example.com", "x"),
        ] {
            assert!(!asked.has_key_of(one, &unlike), "{unlike:?}");
        }
        // The same as in facts from when it was stored as it was sent.
        let before = Request::new("ada@example.org", b"x").unwrap();
        assert!(asked.repeats(one, &before) && asked.repeats(one, &asked));
        assert!(!ask(7, one, "ada@example.org", "y").repeats(one, &before));
        assert!(ask(7, one, "ada@example.org", "y").has_key_of(one, &before));
        assert!(!asked.has_key_of(other, &before));
        // What is stored does not say how it was sent.
        let stored = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&stored).unwrap(), asked);
        assert_eq!(stored, format!(r#"{{"key":"{}","body":"{}"}}"#, asked.key, asked.body));
    }

    #[test]
    fn strange_keys_are_refused() {
        for key in ["", "with space", "tab\t", "ünï", &"x".repeat(256)] {
            assert_eq!(Request::new(key, b""), Err(RequestError), "{key}");
            let hidden = Request::hidden(&[7; 32], UserId::from_u128(1), key, b"");
            assert_eq!(hidden, Err(RequestError), "{key}");
        }
    }
}
