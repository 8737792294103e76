//! A provider that says what a test wants it to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use infra::auth::Keys;
use infra::clock::{Clock, SystemClock};
use infra::oidc::OidcSettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

pub(super) const CLIENT: &str = "evently-test";
pub(super) const SECRET: &str = "a secret between the two";

/// Ends with this.
pub(super) struct FakeProvider {
    pub(super) issuer: String,
    shared: Arc<Shared>,
    serving: Mutex<Option<AbortOnDropHandle<()>>>,
}

struct Shared {
    issuer: String,
    folder: TempDir,
    keys: Mutex<Keys>,
    /// By code: what it is good for, once.
    codes: Mutex<HashMap<String, Grant>>,
    /// Also for who is connected already.
    is_dead: AtomicBool,
}

struct Grant {
    challenge: String,
    token: String,
}

/// How a token is signed.
#[derive(Clone, Copy)]
pub(super) enum Signed {
    Well,
    /// By the client's own secret.
    BySecret,
    /// With a key that nobody published.
    ByAnother,
    NotAtAll,
}

impl FakeProvider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(folder.path(), Arc::new(SystemClock)).unwrap();
        let (keys, codes) = (Mutex::new(keys), Mutex::default());
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            folder,
            keys,
            codes,
            is_dead: AtomicBool::new(false),
        });
        let provider = Self { issuer, shared, serving: Mutex::default() };
        provider.serve(listener);
        provider
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discover))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .layer(from_fn_with_state(self.shared.clone(), alive))
            .with_state(self.shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        *self.serving.lock() = Some(AbortOnDropHandle::new(serving));
    }

    /// Nobody answers any more.
    pub(super) fn die(&self) {
        self.shared.is_dead.store(true, Ordering::SeqCst);
        *self.serving.lock() = None;
    }

    pub(super) async fn come_back(&self) {
        self.shared.is_dead.store(false, Ordering::SeqCst);
        let address = self.issuer.trim_start_matches("http://");
        self.serve(TcpListener::bind(address).await.unwrap());
    }

    /// Signs with another key from now on.
    pub(super) fn take_another_key(&self) {
        let folder = self.shared.folder.path();
        Keys::rotate(folder, true).unwrap();
        *self.shared.keys.lock() = Keys::load_or_create(folder, Arc::new(SystemClock)).unwrap();
    }

    pub(super) fn settings(&self) -> OidcSettings {
        OidcSettings {
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(SECRET.to_owned()),
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            redirect_url: "http://127.0.0.1:1/api/v1/auth/oidc/callback".to_owned(),
        }
    }

    /// What it says of whoever logs in well.
    pub(super) fn claims(&self, nonce: &str) -> Value {
        let now_s = SystemClock.now().as_ms() / 1_000;
        json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "ada-at-the-provider", "nonce": nonce,
            "iat": now_s, "exp": now_s + 60, "email": "ada@example.org", "email_verified": true,
            "name": "Ada Lovelace",
        })
    }

    /// A code for a token with these claims.
    pub(super) fn grant(&self, challenge: &str, claims: &Value, signed: Signed) -> String {
        let code = format!("code-{:x}", infra::ids::random_u128());
        let (challenge, token) = (challenge.to_owned(), self.sign(claims, signed));
        self.shared.codes.lock().insert(code.clone(), Grant { challenge, token });
        code
    }

    fn sign(&self, claims: &Value, signed: Signed) -> String {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let ours = self.shared.folder.path();
        let other = tempfile::tempdir().unwrap();
        Keys::load_or_create(other.path(), Arc::new(SystemClock)).unwrap();
        let key = |folder: &std::path::Path| {
            let pem = std::fs::read(folder.join("keys/signing.pem")).unwrap();
            EncodingKey::from_ed_pem(&pem).unwrap()
        };
        let keys = serde_json::to_value(self.shared.keys.lock().jwks()).unwrap();
        let kid = keys["keys"][0]["kid"].as_str().map(str::to_owned);
        let header = Header { kid, ..Header::new(Algorithm::EdDSA) };
        match signed {
            Signed::Well => jsonwebtoken::encode(&header, claims, &key(ours)).unwrap(),
            Signed::ByAnother => jsonwebtoken::encode(&header, claims, &key(other.path())).unwrap(),
            Signed::BySecret => {
                let secret = EncodingKey::from_secret(SECRET.as_bytes());
                jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &secret).unwrap()
            }
            Signed::NotAtAll => {
                let whole = jsonwebtoken::encode(&header, claims, &key(ours)).unwrap();
                let claims = whole.split('.').nth(1).unwrap();
                // {"alg":"none"}
                format!("eyJhbGciOiJub25lIn0.{claims}.")
            }
        }
    }
}

async fn alive(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match shared.is_dead.load(Ordering::SeqCst) {
        true => StatusCode::BAD_GATEWAY.into_response(),
        false => next.run(request).await,
    }
}

async fn discover(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", shared.issuer);
    Json(json!({
        "issuer": shared.issuer,
        "authorization_endpoint": at("/auth"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // It names what must never be taken, too.
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(serde_json::to_value(shared.keys.lock().jwks()).unwrap())
}

async fn token(State(shared): State<Arc<Shared>>, body: String) -> (StatusCode, Json<Value>) {
    let fields: HashMap<_, _> = body.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let grant = fields.get("code").and_then(|code| shared.codes.lock().remove(*code));
    let verifier = fields.get("code_verifier").unwrap_or(&"").to_string();
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier));
    match grant.filter(|grant| grant.challenge == challenge.as_str()) {
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))),
        Some(grant) => (
            StatusCode::OK,
            Json(json!({
                "access_token": "of no use", "token_type": "Bearer", "id_token": grant.token,
            })),
        ),
    }
}
