//! The key pair that signs access tokens.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Role, Roles, UserId};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm,
    OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::ids::{self, NoRandomness};
use crate::private_file;

/// Who issues tokens, and for whom: tokens of other products are refused.
pub(super) const ISSUER: &str = "evently";
pub(super) const AUDIENCE: &str = "evently";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: UserId,
    pub(super) roles: Roles,
    /// Seconds since 1970, like `nbf` and `exp`.
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    /// Names this token; random.
    pub(super) jti: String,
}

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot read or write the signing key {}", path.display())]
    File {
        /// The key's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is there but is no key.
    #[error(
        "{} is not an Ed25519 private key (PKCS #8, PEM): restore it from a backup, or delete it \
         to get a new key, which makes all tokens issued so far invalid",
        path.display()
    )]
    Damaged {
        /// The key's file.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("cannot make a signing key")]
    Randomness(#[from] NoRandomness),
    /// The library refuses the key; a fault of ours.
    #[error("the signing key cannot be used")]
    Unusable(#[source] jsonwebtoken::errors::Error),
}

/// A token could not be signed; a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct IssueError(#[from] jsonwebtoken::errors::Error);

/// The Ed25519 key pair of this installation: signs tokens, and publishes what verifies them.
pub struct Keys {
    clock: Arc<dyn Clock>,
    signing: EncodingKey,
    header: Header,
    public: Jwk,
    pub(super) verifying: DecodingKey,
}

impl Keys {
    /// The key pair in `data/keys/signing.pem`; made, readable by the owner alone, if there is
    /// none.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load_or_create(data: &Path, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        let path = data.join("keys").join("signing.pem");
        let pem = match private_file::read_or_create(&path, make) {
            Ok(pem) => pem,
            Err(MakeError::File(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(KeyError::Damaged { path });
            }
            Err(MakeError::File(source)) => return Err(KeyError::File { path, source }),
            Err(MakeError::Randomness(error)) => return Err(error.into()),
        };
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| KeyError::Damaged { path })?;
        Self::new(&key, &pem, clock).map_err(KeyError::Unusable)
    }

    fn new(
        key: &SigningKey,
        pem: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        // Refused if one is installed already, which then is the one to use.
        let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
        let mut public = Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(KeyAlgorithm::EdDSA),
                ..CommonParameters::default()
            },
            algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                key_type: OctetKeyPairType::OctetKeyPair,
                curve: EllipticCurve::Ed25519,
                x: URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()),
            }),
        };
        let kid = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(kid.clone());
        Ok(Self {
            clock,
            signing: EncodingKey::from_ed_pem(pem.as_bytes())?,
            header: Header { kid: Some(kid), ..Header::new(Algorithm::EdDSA) },
            verifying: DecodingKey::from_jwk(&public)?,
            public,
        })
    }

    /// A token that says that its bearer is `user` with `roles`, valid from now for `ttl`.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn issue(&self, user: UserId, roles: &[Role], ttl: Duration) -> Result<String, IssueError> {
        let now_s = self.clock.now().as_ms().div_euclid(1000);
        self.sign(&Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            roles: Roles::of(roles),
            iat: now_s,
            nbf: now_s,
            exp: now_s.saturating_add_unsigned(ttl.as_secs()),
            jti: format!("{:032x}", ids::random_u128()),
        })
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, IssueError> {
        Ok(jsonwebtoken::encode(&self.header, claims, &self.signing)?)
    }

    /// The public key as a JSON Web Key Set (RFC 7517), for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }
}

/// Why no new key can be made.
enum MakeError {
    File(io::Error),
    Randomness(NoRandomness),
}

impl From<io::Error> for MakeError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// A new key in its text form.
fn make() -> Result<String, MakeError> {
    let key = SigningKey::from_bytes(&ids::secret().map_err(MakeError::Randomness)?);
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    Ok(pem.to_string())
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kid", &self.header.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::SystemClock;

    fn load(data: &Path) -> Result<Keys, KeyError> {
        Keys::load_or_create(data, Arc::new(SystemClock))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_for_the_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("keys");
        let first = load(data.path()).unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("signing.pem")), 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(load(data.path()).unwrap().jwks(), first.jwks());

        fs::set_permissions(folder.join("signing.pem"), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load(data.path()).unwrap().jwks(), first.jwks());
        assert_eq!(mode(&folder.join("signing.pem")), 0o600);
    }

    #[test]
    fn processes_that_start_together_agree_on_one_key() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        let all: Vec<JwkSet> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load(data).unwrap().jwks())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|jwks| *jwks == all[0]));
        assert_eq!(fs::read_dir(data.join("keys")).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("keys").join("signing.pem");
        load(data.path()).unwrap();
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() / 2], b"", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----"]
        {
            fs::write(&path, damaged).unwrap();
            let error = load(data.path()).unwrap_err().to_string();
            assert!(error.contains("signing.pem") && error.contains("restore it"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_an_error() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("keys"), "a file").unwrap();
        assert!(matches!(load(data.path()), Err(KeyError::File { .. })));
    }

    #[test]
    fn the_published_key_is_that_of_rfc_8037() {
        let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let secret = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").try_into().unwrap();
        let key = SigningKey::from_bytes(&secret);
        let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let keys = Keys::new(&key, &pem, Arc::new(SystemClock)).unwrap();
        let expected = serde_json::json!({"keys": [{
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }]});
        assert_eq!(serde_json::to_value(keys.jwks()).unwrap(), expected);
    }
}
