//! Logging in elsewhere (AC-1): OpenID Connect, authorization code with PKCE, at one provider.
//!
//! Nothing of a log-in under way is kept here: the browser keeps one random secret in a cookie, and state,
//! nonce and PKCE verifier are derived from it. What comes back without that cookie is another's.

mod http;
mod provider;
mod settings;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::Email;
use zeroize::Zeroizing;

pub use provider::Provider;
pub use settings::{OidcSettings, OidcSettingsError};

use crate::ids::{self, NoRandomness};

const STATE: &str = "evently 2026-11 oidc state";
const NONCE: &str = "evently 2026-11 oidc nonce";
const VERIFIER: &str = "evently 2026-11 oidc code verifier";

/// A log-in that begins: where the browser goes, and what it keeps meanwhile.
pub struct Begun {
    /// At the provider.
    pub url: String,
    /// For a cookie that no script reads and no other site sends.
    pub kept: Zeroizing<String>,
}

/// What comes back with the browser.
pub struct Returned<'a> {
    /// What the browser kept.
    pub kept: &'a str,
    /// Of the answer (RFC 6749, 10.12).
    pub state: &'a str,
    /// To be spent once, at the provider.
    pub code: &'a str,
    /// Who says so (RFC 9207), if they say.
    pub iss: Option<&'a str>,
}

/// Who somebody is, as the provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Which provider.
    pub issuer: String,
    /// Who they are there, for ever.
    pub subject: String,
    /// Their address, if the provider says that it was shown to be theirs.
    pub verified_email: Option<Email>,
    /// As they are called there.
    pub name: Option<String>,
}

/// Why nobody is known by that.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not as it should.
    #[error("the provider cannot be asked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What came back is not the answer to what this browser asked.
    #[error("what came back is not what was asked: {0}")]
    Foreign(&'static str),
    /// The provider refuses the code, or what it says of the person does not hold.
    #[error("the provider's word does not hold")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No secret could be made.
    #[error("cannot make a secret")]
    Randomness(#[from] NoRandomness),
}

/// What one browser keeps, and what follows from it.
struct Secret<'a>(&'a str);

impl Secret<'_> {
    fn make() -> Result<Zeroizing<String>, NoRandomness> {
        let secret = Zeroizing::new(ids::secret()?);
        Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret)))
    }

    fn state(&self) -> String {
        self.derive(STATE)
    }

    fn nonce(&self) -> String {
        self.derive(NONCE)
    }

    fn verifier(&self) -> String {
        self.derive(VERIFIER)
    }

    /// 256 bits that tell nothing of the others.
    fn derive(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(blake3::derive_key(purpose, self.0.as_bytes()))
    }

    /// Whether `state` is this browser's; takes as long whether it is or not.
    fn has_state(&self, state: &str) -> bool {
        blake3::hash(state.as_bytes()) == blake3::hash(self.state().as_bytes())
    }
}
