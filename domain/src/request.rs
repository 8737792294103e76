//! The client's `Idempotency-Key`, kept in the log with what it caused (BK-6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::UserId;

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// A command's key and what was asked under it. Stored in the fact that carried the command out,
/// so that a repetition finds the first answer on any node, also after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Request {
    /// The `Idempotency-Key` as the client sent it: 1 to 255 visible ASCII characters.
    pub key: String,
    /// What was asked: the same key with another body is refused.
    pub body: Fingerprint,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be 1 to 255 visible ASCII characters")]
pub struct RequestError;

impl Request {
    /// A request under `key`; `body` is the operation's name and its parsed content.
    pub fn new(key: &str, body: &[u8]) -> Result<Self, RequestError> {
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        let sound = visible && (1..=MAX_KEY).contains(&key.len());
        sound.then(|| Self { key: key.to_owned(), body: Fingerprint::of(body) }).ok_or(RequestError)
    }

    /// 128 bits that stand for this person's key. Two people may use the same key.
    pub fn identity(&self, user: UserId) -> u128 {
        let mut text = [0; 16 + MAX_KEY];
        let length = self.key.len().min(MAX_KEY);
        text[..16].copy_from_slice(&user.as_u128().to_be_bytes());
        text[16..16 + length].copy_from_slice(&self.key.as_bytes()[..length]);
        let hash = blake3::hash(&text[..16 + length]);
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_be_bytes(bits)
    }
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
            *place = b"0123456789abcdef"[(self.0 >> (4 * digit) & 15) as usize];
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
    let same_key = |(by, before): &&(UserId, Request)| *by == user && before.key == request.key;
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
    fn strange_keys_are_refused() {
        for key in ["", "with space", "tab\t", "ünï", &"x".repeat(256)] {
            assert_eq!(Request::new(key, b""), Err(RequestError), "{key}");
        }
    }
}
