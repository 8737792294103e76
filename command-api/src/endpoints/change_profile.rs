//! `PUT /users/me` (AC-1).

use axum::extract::State;
use axum::response::Response;
use infra::auth::Caller;
use infra::http::{IdempotencyKey, Json, Problem, ProblemDocument};

use super::account_body::{AccountAnswer, ProfileBody, account};
use crate::state::CommandState;

/// Change what is known of oneself
///
/// Replaces all of it; the address stays.
#[utoipa::path(
    put, path = "/api/v1/users/me", tag = "accounts", request_body = ProfileBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body: the first answer again")),
    responses(
        (status = 200, description = "It is changed", body = AccountAnswer),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn change_profile(
    State(state): State<CommandState>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<ProfileBody>,
) -> Result<Response, Problem> {
    let accounts = &state.0.accounts;
    account(&accounts.change_profile(caller.user, &body.into(), key.as_deref()).await?)
}
