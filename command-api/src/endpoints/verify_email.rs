//! `POST /auth/email/verify` (AC-1).

use axum::extract::State;
use axum::response::Response;
use infra::http::{Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SecretText, TokenAnswer, tokens};
use crate::state::CommandState;

/// A code, and a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyBody {
    /// From the mail.
    code: SecretText,
    /// The one that was given when this code was asked for, at `/auth/register`.
    password: SecretText,
}

/// Show that an address is one's own
///
/// Takes the code from the mail, once, and logs in. The password shows that the code belongs to one's
/// own registration, and not to that of somebody else who gave the same address.
#[utoipa::path(
    post, path = "/api/v1/auth/email/verify", tag = "accounts", request_body = VerifyBody,
    responses(
        (status = 200, description = "They are logged in", body = TokenAnswer),
        (status = 409, description = "CODE_NOT_VALID", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_LOGINS, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    )
)]
pub(crate) async fn verify_email(
    State(state): State<CommandState>,
    Json(body): Json<VerifyBody>,
) -> Result<Response, Problem> {
    let (code, password) = (body.code.take(), body.password.take());
    let opened = state.0.accounts.verify_email(&code, password).await?;
    Ok(tokens(&opened))
}
