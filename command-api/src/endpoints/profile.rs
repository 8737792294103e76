//! `GET /users/me` (AC-1).

use axum::extract::State;
use axum::response::Response;
use infra::auth::Caller;
use infra::http::{Problem, ProblemDocument};

use super::account_body::{AccountAnswer, account};
use crate::state::CommandState;

/// One's own account
#[utoipa::path(
    get, path = "/api/v1/users/me", tag = "accounts",
    responses(
        (status = 200, description = "As the log has it now", body = AccountAnswer),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn profile(
    State(state): State<CommandState>,
    caller: Caller,
) -> Result<Response, Problem> {
    account(&state.0.accounts.of(caller.user).await?)
}
