//! `GET /auth/oidc/callback` (AC-1).

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::response::Response;
use infra::http::{Problem, ProblemDocument, Query};
use infra::oidc::Returned;
use serde::Deserialize;
use utoipa::IntoParams;

use super::account_body::{TokenAnswer, tokens};
use super::oidc_login::{cookie, cookie_name, explain, refused};
use crate::state::CommandState;

/// What the provider sends along (RFC 6749, 4.1.2; RFC 9207). Others are passed over, as it says there.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    /// To be spent once.
    code: Option<String>,
    /// Of the log-in that was begun in this browser.
    state: Option<String>,
    /// Which provider.
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Come back from the provider
///
/// Where the provider sends the browser. Logs in whose log-in it is; whoever comes for the first time gets
/// the account of their address if the provider says that it is theirs, or a new one. Counts once, in the
/// browser in which the log-in was begun.
#[utoipa::path(
    get, path = "/api/v1/auth/oidc/callback", tag = "accounts", params(CallbackQuery),
    responses(
        (status = 200, description = "They are logged in", body = TokenAnswer),
        (status = 401, description = "OIDC_REFUSED, LOGIN_REFUSED", body = ProblemDocument),
        (status = 404, description = "OIDC_NOT_OFFERED", body = ProblemDocument),
        (status = 409, description = "EMAIL_NOT_VERIFIED, ACCOUNT_NOT_LINKED",
            body = ProblemDocument),
        (status = 503, description = "OIDC_UNAVAILABLE, TOO_MANY_LOGINS, LOG_UNAVAILABLE, \
            HISTORY_DAMAGED, IDENTITY_UNAVAILABLE", body = ProblemDocument),
    )
)]
pub(crate) async fn oidc_callback(
    State(state): State<CommandState>,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<Response, Problem> {
    let provider = state.provider()?;
    let kept = kept(&headers, cookie_name(provider)).ok_or_else(refused)?;
    let returned = query.state.as_deref().ok_or_else(refused)?;
    // Before anything that it says is believed, also that it failed.
    provider.check(kept, returned).map_err(explain)?;
    if let Some(error) = query.error {
        let known = error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let error = if known && error.len() < 64 { &error } else { "another" };
        tracing::info!(error, "somebody was not let in by the provider");
        return Err(refused());
    }
    let code = query.code.as_deref().ok_or_else(refused)?;
    let returned = Returned { kept, state: returned, code, iss: query.iss.as_deref() };
    let identity = provider.finish(returned).await.map_err(explain)?;
    let opened = state.0.accounts.log_in_as(identity).await?;
    let mut answer = tokens(&opened);
    answer.headers_mut().append(SET_COOKIE, cookie(provider, "", 0)?);
    Ok(answer)
}

/// What the browser kept, if it is there once.
fn kept<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        _ => None,
    }
}
