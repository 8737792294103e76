//! The signing keys in force: one signs, all verify.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use jsonwebtoken::errors::Error;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm,
    OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};

const END: &str = "-----END PRIVATE KEY-----";

/// Why a text is not the keys of a ring.
#[derive(Debug)]
pub(super) enum RingError {
    /// It is not one or more Ed25519 private keys (PKCS #8, PEM).
    Damaged,
    /// The library refuses a key; a fault of ours.
    Unusable(Error),
}

impl From<Error> for RingError {
    fn from(error: Error) -> Self {
        Self::Unusable(error)
    }
}

/// Keys in the order of their file: the first signs, the others only verify.
pub(super) struct Ring {
    pub(super) signing: EncodingKey,
    pub(super) header: Header,
    verifying: Vec<(String, DecodingKey)>,
    public: Vec<Jwk>,
}

impl Ring {
    /// The keys of a file.
    pub(super) fn parse(text: &str) -> Result<Self, RingError> {
        // Refused if one is installed already, which then is the one to use.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let blocks = blocks(text)?;
        let first = blocks.first().ok_or(RingError::Damaged)?;
        let (mut verifying, mut public) = (vec![], vec![]);
        for block in &blocks {
            let key = SigningKey::from_pkcs8_pem(block).map_err(|_| RingError::Damaged)?;
            let (kid, jwk) = jwk(&key)?;
            verifying.push((kid, DecodingKey::from_jwk(&jwk)?));
            public.push(jwk);
        }
        let kid = verifying.first().map(|(kid, _)| kid.clone());
        Ok(Self {
            signing: EncodingKey::from_ed_pem(first.as_bytes())?,
            header: Header { kid, ..Header::new(Algorithm::EdDSA) },
            verifying,
            public,
        })
    }

    /// The key of this name, if it verifies.
    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.verifying.iter().find(|(known, _)| known == kid).map(|(_, key)| key)
    }

    /// The public keys as a JSON Web Key Set (RFC 7517).
    pub(super) fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.public.clone() }
    }
}

/// The first `limit` keys of a file, again in the form of a file.
pub(super) fn newest(text: &str, limit: usize) -> Result<String, RingError> {
    Ok(blocks(text)?.into_iter().take(limit).map(|block| block + "\n").collect())
}

fn blocks(text: &str) -> Result<Vec<String>, RingError> {
    let mut blocks: Vec<_> = text.split_inclusive(END).map(str::trim).collect();
    let rest = blocks.pop_if(|last| !last.ends_with(END));
    match rest.is_none_or(str::is_empty) {
        true => Ok(blocks.into_iter().map(str::to_owned).collect()),
        false => Err(RingError::Damaged),
    }
}

fn jwk(key: &SigningKey) -> Result<(String, Jwk), Error> {
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
    Ok((kid, public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::pkcs8::EncodePrivateKey;
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

    fn pem(secret: [u8; 32]) -> String {
        SigningKey::from_bytes(&secret).to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    }

    #[test]
    fn the_published_key_is_that_of_rfc_8037() {
        let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let secret = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").try_into().unwrap();
        let expected = serde_json::json!({"keys": [{
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }]});
        let ring = Ring::parse(&pem(secret)).unwrap();
        assert_eq!(serde_json::to_value(ring.jwks()).unwrap(), expected);
    }

    #[test]
    fn the_first_of_several_keys_signs_and_all_verify() {
        let (one, two) = (pem([1; 32]), pem([2; 32]));
        let ring = Ring::parse(&format!("{two}\n{one}")).unwrap();
        let names: Vec<_> = ring.verifying.iter().map(|(kid, _)| kid.clone()).collect();
        assert_eq!(ring.header.kid.as_ref(), names.first());
        assert!(names.iter().all(|kid| ring.verifying(kid).is_some()));
        assert_eq!(Ring::parse(&two).unwrap().header.kid, ring.header.kid);
        assert_eq!(newest(&format!("{two}{one}"), 1).unwrap(), two);
        for damaged in
            ["", " ", END, &two[1..], &format!("{two}{}", &one[..40]), &format!("x{two}")]
        {
            assert!(matches!(Ring::parse(damaged), Err(RingError::Damaged)), "{damaged}");
        }
    }
}
