//! `POST /auth/login` (AC-1, AC-2).

use axum::extract::State;
use axum::response::Response;
use infra::http::{Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SecretText, TokenAnswer, tokens};
use crate::state::CommandState;

/// Who they say they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginBody {
    #[schema(format = Email, example = "ada@example.org")]
    email: String,
    password: SecretText,
}

/// Log in
///
/// Wrong password, unknown address, address not verified and too many failures are one answer: five
/// wrong passwords in a row lock an account for 15 minutes.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "accounts", request_body = LoginBody,
    responses(
        (status = 200, description = "They are logged in", body = TokenAnswer),
        (status = 401, description = "LOGIN_REFUSED", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_LOGINS, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    )
)]
pub(crate) async fn log_in(
    State(state): State<CommandState>,
    Json(body): Json<LoginBody>,
) -> Result<Response, Problem> {
    let (email, password) = (body.email.parse().ok(), body.password.take());
    if let Some(email) = &email {
        state.count_try(email)?;
    }
    let opened = state.0.accounts.log_in(email, password).await?;
    Ok(tokens(&opened))
}
