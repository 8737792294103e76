//! `GET /auth/oidc/login` (AC-1).

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use infra::http::{Problem, ProblemDocument};
use infra::oidc::{OidcError, Provider};

use crate::refusal::problem;
use crate::state::CommandState;

/// How long a log-in may take, in seconds.
const TTL_S: u32 = 600;

/// Log in at the provider
///
/// For a browser: sends it to the provider, with a cookie that it brings back to `/auth/oidc/callback`. No
/// other site can send the cookie, and no script reads it.
#[utoipa::path(
    get, path = "/api/v1/auth/oidc/login", tag = "accounts",
    responses(
        (status = 303, description = "To the provider", headers(
            ("Location" = String, description = "Where to log in"),
            ("Set-Cookie" = String, description = "What the browser brings back"),
        )),
        (status = 404, description = "OIDC_NOT_OFFERED", body = ProblemDocument),
        (status = 503, description = "OIDC_UNAVAILABLE", body = ProblemDocument),
    )
)]
pub(crate) async fn oidc_login(State(state): State<CommandState>) -> Result<Response, Problem> {
    let provider = state.provider()?;
    let begun = provider.begin().await.map_err(explain)?;
    let cookie = cookie(provider, &begun.kept, TTL_S)?;
    let location = HeaderValue::try_from(begun.url);
    let location = location.map_err(|error| Problem::internal(&error))?;
    let headers = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (LOCATION, location),
        (SET_COOKIE, cookie),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// Over TLS no other host of the domain can set it (RFC 6265bis, 4.1.3.2).
pub(super) fn cookie_name(provider: &Provider) -> &'static str {
    if provider.is_secure() { "__Host-evently-oidc" } else { "evently-oidc" }
}

/// `Lax`, so that it comes along when the provider sends the browser back, and with nothing that another
/// site does behind the person's back.
pub(super) fn cookie(provider: &Provider, value: &str, ttl_s: u32) -> Result<HeaderValue, Problem> {
    let secure = if provider.is_secure() { "; Secure" } else { "" };
    let name = cookie_name(provider);
    let text = format!("{name}={value}; Path=/; Max-Age={ttl_s}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie = HeaderValue::try_from(text).map_err(|error| Problem::internal(&error))?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// Why it did not work, without what the provider said.
pub(super) fn explain(error: OidcError) -> Problem {
    let cause: &dyn std::error::Error = &error;
    match error {
        OidcError::Unavailable(_) => {
            tracing::warn!(error = cause, "nobody logs in at the provider");
            let detail = "The provider to log in at does not answer. Try again.";
            problem("OIDC_UNAVAILABLE", detail).retry_after_s(2)
        }
        OidcError::Foreign(_) | OidcError::Refused(_) => {
            tracing::info!(error = cause, "a log-in at the provider was refused");
            refused()
        }
        OidcError::Randomness(error) => Problem::internal(&error),
    }
}

pub(super) fn refused() -> Problem {
    let detail =
        "The log-in was broken off, has been used, or was begun in another browser. Begin again.";
    problem("OIDC_REFUSED", detail)
}
