//! `POST /auth/password/reset` (AC-1).

use axum::extract::State;
use axum::response::Response;
use infra::http::{Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SecretText, TokenAnswer, tokens};
use crate::state::CommandState;

/// A code and what the password is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetBody {
    /// From the mail.
    code: SecretText,
    /// At least 10 characters.
    new_password: SecretText,
}

/// Take another password
///
/// Takes the code from the mail, once. Every session ends but the one that begins, and every access token
/// from before; whoever logs in at a provider has to show the address there anew.
#[utoipa::path(
    post, path = "/api/v1/auth/password/reset", tag = "accounts", request_body = ResetBody,
    responses(
        (status = 200, description = "They are logged in", body = TokenAnswer),
        (status = 409, description = "CODE_NOT_VALID", body = ProblemDocument),
        (status = 422, description = "INVALID", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_LOGINS, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    )
)]
pub(crate) async fn reset_password(
    State(state): State<CommandState>,
    Json(body): Json<ResetBody>,
) -> Result<Response, Problem> {
    let (code, new) = (body.code.take(), body.new_password.take());
    let opened = state.0.accounts.reset_password(&code, new).await?;
    Ok(tokens(&opened))
}
