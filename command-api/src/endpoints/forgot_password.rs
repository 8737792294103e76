//! `POST /auth/password/forgot` (AC-1).

use axum::extract::State;
use axum::http::StatusCode;
use domain::account::Email;
use infra::http::{AtPosition, Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SentAnswer, sent};
use crate::accounts::AccountError;
use crate::state::CommandState;

/// Whose password is to be another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgotBody {
    /// Where the code is sent, if it is somebody's.
    #[schema(format = Email, example = "ada@example.org")]
    email: String,
}

/// Ask for another password
///
/// The same answer whether the address is known or not: a code is written to it if it is.
#[utoipa::path(
    post, path = "/api/v1/auth/password/forgot", tag = "accounts", request_body = ForgotBody,
    responses(
        (status = 202, description = "What came of it is written to the address", body = SentAnswer),
        (status = 422, description = "INVALID", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    )
)]
pub(crate) async fn forgot_password(
    State(state): State<CommandState>,
    Json(body): Json<ForgotBody>,
) -> Result<(StatusCode, AtPosition<Json<SentAnswer>>), Problem> {
    let accounts = &state.0.accounts;
    let email: Email = body.email.parse().map_err(AccountError::Invalid)?;
    state.count_mail("forgot", &email)?;
    accounts.forgot_password(email).await?;
    Ok((StatusCode::ACCEPTED, sent(accounts.head().await?)))
}
