//! What is personal, as facts carry it: unreadable without the person's key (AC-3).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ciphertext under the key of one person, in base64url. Made and opened outside of the domain,
/// which only passes it on. Once the key is destroyed nobody reads it again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps ciphertext that is already in its text form.
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text form.
    pub fn as_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealed")
    }
}
