//! `DELETE /users/me` (AC-3).

use axum::extract::State;
use axum::http::StatusCode;
use infra::auth::Caller;
use infra::http::{AtPosition, Problem, ProblemDocument};

use crate::state::CommandState;

/// Be forgotten
///
/// Destroys the key under which everything personal is kept, for ever; asked again, it is so already.
/// Tickets stay valid: they name nobody. Whoever has published events that are not over cancels them first
/// (their ids are in `details`), and the last admin lets another person be one.
#[utoipa::path(
    delete, path = "/api/v1/users/me", tag = "accounts",
    responses(
        (status = 204, description = "Nothing personal can be read any more"),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "EVENTS_NOT_OVER, LAST_ADMIN", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn erase_me(
    State(state): State<CommandState>,
    caller: Caller,
) -> Result<AtPosition<StatusCode>, Problem> {
    let position = state.0.accounts.erase_oneself(caller).await?;
    Ok(AtPosition(position, StatusCode::NO_CONTENT))
}
