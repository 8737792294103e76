//! `POST /auth/logout` (AC-1).

use axum::extract::State;
use axum::http::StatusCode;
use infra::http::{Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::SecretText;
use crate::state::CommandState;

/// A session to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogoutBody {
    refresh_token: SecretText,
    /// All sessions of the person, on every device.
    #[serde(default)]
    everywhere: bool,
}

/// Log out
///
/// Ends the session of the refresh token, if it has one. Its access token is valid until it expires; with
/// `everywhere` no access token is that the person has, here at once, on every other node within a second.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "accounts", request_body = LogoutBody,
    responses(
        (status = 204, description = "There is no such session any more"),
        (status = 503, description = "IDENTITY_UNAVAILABLE", body = ProblemDocument),
    )
)]
pub(crate) async fn log_out(
    State(state): State<CommandState>,
    Json(body): Json<LogoutBody>,
) -> Result<StatusCode, Problem> {
    state.0.accounts.log_out(&body.refresh_token.take(), body.everywhere).await?;
    Ok(StatusCode::NO_CONTENT)
}
