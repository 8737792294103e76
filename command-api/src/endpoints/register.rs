//! `POST /auth/register` (AC-1).

use axum::extract::State;
use axum::http::StatusCode;
use domain::account::{Email, Profile};
use infra::http::{AtPosition, Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SecretText, SentAnswer, sent};
use crate::accounts::{AccountError, NewAccount};
use crate::state::CommandState;

/// Somebody new.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterBody {
    /// Where the code is sent.
    #[schema(format = Email, example = "ada@example.org")]
    email: String,
    /// At least 10 characters.
    password: SecretText,
    /// As they want to be called.
    name: String,
    /// Digits, spaces and `+ - ( ) . /`.
    phone: Option<String>,
    /// A language tag (BCP 47) like `de-AT`.
    language: Option<String>,
}

/// Register
///
/// The same answer whether the address is known or not: a code, or that there is an account already,
/// is written to it. Whoever shows the code and this password at `/auth/email/verify` is logged in.
#[utoipa::path(
    post, path = "/api/v1/auth/register", tag = "accounts", request_body = RegisterBody,
    responses(
        (status = 202, description = "What came of it is written to the address", body = SentAnswer),
        (status = 422, description = "INVALID", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_LOGINS, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    )
)]
pub(crate) async fn register(
    State(state): State<CommandState>,
    Json(body): Json<RegisterBody>,
) -> Result<(StatusCode, AtPosition<Json<SentAnswer>>), Problem> {
    let RegisterBody { email, password, name, phone, language } = body;
    let email: Email = email.parse().map_err(AccountError::Invalid)?;
    state.count_mail("register", &email)?;
    let profile = Profile { name, phone, language };
    let accounts = &state.0.accounts;
    accounts.register(NewAccount { email, password: password.take(), profile }).await?;
    Ok((StatusCode::ACCEPTED, sent(accounts.head().await?)))
}
