//! `PUT /users/me/password` (AC-1).

use axum::extract::State;
use axum::response::Response;
use infra::auth::Caller;
use infra::http::{IdempotencyKey, Json, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_body::{SecretText, TokenAnswer, tokens};
use crate::state::CommandState;

/// The password as it is and as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePasswordBody {
    current_password: SecretText,
    /// At least 10 characters.
    new_password: SecretText,
}

/// Change one's password
///
/// Every session ends but the one that begins with the answer, and every access token from before: here at
/// once, on every other node within a second. A wrong password counts as a failed log-in.
#[utoipa::path(
    put, path = "/api/v1/users/me/password", tag = "accounts", request_body = ChangePasswordBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: changed once; new tokens each time")),
    responses(
        (status = 200, description = "It is changed", body = TokenAnswer),
        (status = 401, description = "LOGIN_REFUSED", body = ProblemDocument),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "TOO_MANY_LOGINS, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn change_password(
    State(state): State<CommandState>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<ChangePasswordBody>,
) -> Result<Response, Problem> {
    let (current, new) = (body.current_password.take(), body.new_password.take());
    let accounts = &state.0.accounts;
    Ok(tokens(&accounts.change_password(caller.user, current, new, key.as_deref()).await?))
}
