//! `POST /auth/refresh` (AC-1, AC-2).

use axum::extract::State;
use axum::response::Response;
use infra::http::{Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SecretText, TokenAnswer, tokens};
use crate::state::CommandState;

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshBody {
    refresh_token: SecretText,
}

/// Stay logged in
///
/// Spends the refresh token and gives new tokens. One that was spent before ends the session, because
/// somebody has a copy of it, and every access token that the person has.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "accounts", request_body = RefreshBody,
    responses(
        (status = 200, description = "They are logged in", body = TokenAnswer),
        (status = 401, description = "SESSION_OVER", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_LOGINS, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    )
)]
pub(crate) async fn refresh(
    State(state): State<CommandState>,
    Json(body): Json<RefreshBody>,
) -> Result<Response, Problem> {
    let opened = state.0.accounts.refresh(&body.refresh_token.take()).await?;
    Ok(tokens(&opened))
}
