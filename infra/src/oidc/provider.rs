//! The provider: what it says of itself, and of those who log in there.

use std::error::Error;
use std::sync::Arc;

use domain::Time;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::http::Http;
use super::{Begun, Identity, OidcError, OidcSettings, Returned, Secret};
use crate::clock::Clock;

/// How long what it says of itself is good, in milliseconds.
const GOOD_FOR_MS: u64 = 3_600_000;

/// How soon it is asked again that did not answer, or signs with a key that is not known, in
/// milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Signatures that only the provider can make. Those by our own password are none.
const SIGNED_BY: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What it says beside what the library knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Extra {
    /// Whether answers always name it (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Extra {}

type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// One provider. It is asked what it is when somebody first logs in there, and again from time to time: as
/// long as it does not answer nobody logs in there, and nothing else waits.
pub struct Provider {
    settings: OidcSettings,
    http: Http,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Time)>,
    /// When it last did not answer.
    failed_at: Option<Time>,
}

impl Provider {
    /// The provider that `settings` name; nobody is asked yet.
    ///
    /// # Errors
    /// There is no way to ask anybody.
    pub fn new(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self, OidcError> {
        let http = Http::new().map_err(unavailable)?;
        Ok(Self { settings, http, clock, known: Mutex::default() })
    }

    /// Whether what browsers keep may go over TLS alone.
    pub fn is_secure(&self) -> bool {
        self.settings.is_secure()
    }

    /// Begins a log-in.
    ///
    /// # Errors
    /// See [`OidcError`].
    pub async fn begin(&self) -> Result<Begun, OidcError> {
        let kept = Secret::make()?;
        let secret = Secret(&kept);
        let metadata = self.metadata(GOOD_FOR_MS).await?;
        let client = self.client(&metadata)?;
        let verifier = PkceCodeVerifier::new(secret.verifier());
        let (state, nonce) = (CsrfToken::new(secret.state()), Nonce::new(secret.nonce()));
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for scope in self.settings.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, _, _) = request.url();
        Ok(Begun { url: url.into(), kept })
    }

    /// Whether what came back is the answer to what this browser asked. Asks nobody.
    ///
    /// # Errors
    /// [`OidcError::Foreign`].
    pub fn check(&self, kept: &str, state: &str) -> Result<(), OidcError> {
        if Secret(kept).has_state(state) { Ok(()) } else { Err(OidcError::Foreign("state")) }
    }

    /// Who came back.
    ///
    /// # Errors
    /// See [`OidcError`].
    pub async fn finish(&self, returned: Returned<'_>) -> Result<Identity, OidcError> {
        let Returned { kept, state, code, iss } = returned;
        let secret = Secret(kept);
        self.check(kept, state)?;
        let metadata = self.metadata(GOOD_FOR_MS).await?;
        let names_itself =
            metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match iss {
            None if names_itself => return Err(OidcError::Foreign("no issuer")),
            Some(iss) if iss != metadata.issuer().as_str() => {
                return Err(OidcError::Foreign("issuer"));
            }
            _ => {}
        }
        let client = self.client(&metadata)?;
        let exchange = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let exchange = exchange.map_err(unavailable)?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(secret.verifier()));
        let tokens = exchange.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => {
                OidcError::Refused(said.error().to_string().into())
            }
            error => unavailable(error),
        })?;
        let token = tokens.id_token().ok_or_else(|| OidcError::Refused("no ID token".into()))?;
        let nonce = Nonce::new(secret.nonce());
        match self.claims(&metadata, token, &nonce) {
            Ok(claims) => Ok(identity(&claims)),
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                // It may have taken a new key since.
                let metadata = self.metadata(AGAIN_MS).await?;
                let claims = self.claims(&metadata, token, &nonce).map_err(refused)?;
                Ok(identity(&claims))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// What it says of itself, no older than this.
    async fn metadata(&self, good_for_ms: u64) -> Result<Arc<Metadata>, OidcError> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some((metadata, since)) = &known.metadata
            && now < since.plus_ms(good_for_ms)
        {
            return Ok(metadata.clone());
        }
        // Who waited while another asked in vain does not ask at once.
        if known.failed_at.is_none_or(|at| now >= at.plus_ms(AGAIN_MS)) {
            match self.discover().await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    known.metadata = Some((metadata.clone(), self.clock.now()));
                    known.failed_at = None;
                    return Ok(metadata);
                }
                Err(error) => {
                    let cause: &dyn Error = &error;
                    tracing::warn!(error = cause, "the log-in provider cannot be asked");
                    known.failed_at = Some(self.clock.now());
                }
            }
        }
        let old = known.metadata.as_ref().map(|(metadata, _)| metadata.clone());
        old.ok_or_else(|| OidcError::Unavailable("it did not say what it is".into()))
    }

    async fn discover(&self) -> Result<Metadata, OidcError> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(unavailable)?;
        Metadata::discover_async(issuer, &self.http).await.map_err(unavailable)
    }

    fn client(&self, metadata: &Metadata) -> Result<Client, OidcError> {
        let id = ClientId::new(self.settings.client_id.clone());
        let secret = self.settings.client_secret.clone().map(ClientSecret::new);
        let redirect = RedirectUrl::new(self.settings.redirect_url.clone()).map_err(unavailable)?;
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret);
        let auth = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        Ok(client.set_redirect_uri(redirect).set_auth_type(auth))
    }

    /// What the token says, if it is the provider's, for us, of this log-in and not over.
    fn claims(
        &self,
        metadata: &Metadata,
        token: &CoreIdToken,
        nonce: &Nonce,
    ) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
        let named = metadata.id_token_signing_alg_values_supported();
        let algorithms: Vec<_> = SIGNED_BY.into_iter().filter(|it| named.contains(it)).collect();
        let client = self.client(metadata);
        let client = client.map_err(|error| ClaimsVerificationError::Other(error.to_string()))?;
        let verifier = client.id_token_verifier();
        let verifier = verifier.set_allowed_algs(algorithms);
        let now = self.clock.now().as_chrono();
        let verifier = verifier.set_time_fn(move || now);
        let claims = token.claims(&verifier, nonce)?;
        // For whom it was made, if it says so (OpenID Connect Core 1.0, 3.1.3.7): the library leaves
        // that to us.
        let party = claims.authorized_party();
        if party.is_some_and(|party| **party != self.settings.client_id) {
            return Err(ClaimsVerificationError::Other(
                "it was made for another client".to_owned(),
            ));
        }
        Ok(claims.clone())
    }
}

fn identity(claims: &CoreIdTokenClaims) -> Identity {
    let verified = claims.email_verified() == Some(true);
    let email = claims.email().filter(|_| verified).and_then(|email| email.as_str().parse().ok());
    let name = claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned());
    Identity {
        issuer: claims.issuer().as_str().to_owned(),
        subject: claims.subject().as_str().to_owned(),
        verified_email: email,
        name,
    }
}

fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> OidcError {
    OidcError::Unavailable(error.into())
}

fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> OidcError {
    OidcError::Refused(error.into())
}
