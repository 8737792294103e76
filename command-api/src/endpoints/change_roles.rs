//! `POST /admin/users/{user_id}/roles` (AC-1).

use axum::extract::State;
use domain::UserId;
use infra::auth::{Caller, Role};
use infra::http::{AtPosition, IdempotencyKey, Json, Path, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::RoleChange;
use crate::state::CommandState;

/// What somebody may be from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolesBody {
    /// `attendee`, `organizer`, `admin`, `box_office`, `auditor`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    grant: Vec<Role>,
    /// The same.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    revoke: Vec<Role>,
    /// Why; kept with who did it.
    reason: String,
}

/// What somebody may be.
#[derive(Serialize, ToSchema)]
pub(crate) struct RolesAnswer {
    /// `usr_...`
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = Vec<String>)]
    roles: Vec<&'static str>,
    /// Where in the log the command is.
    position: u64,
}

/// Grant and revoke roles
///
/// A role that is granted is in force with the person's next access token, at most 15 minutes later. With
/// one that is revoked the tokens end that say so: here at once, on every other node within a second.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{user_id}/roles", tag = "accounts",
    request_body = RolesBody,
    params(
        ("user_id" = String, Path, description = "`usr_...`"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key and body: the first answer again"),
    ),
    responses(
        (status = 200, description = "They are changed", body = RolesAnswer),
        (status = 403, description = "FORBIDDEN: for admins", body = ProblemDocument),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 409, description = "LAST_ADMIN", body = ProblemDocument),
        (status = 422, description = "INVALID, IDEMPOTENCY_KEY_REUSED", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, HISTORY_DAMAGED, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn change_roles(
    State(state): State<CommandState>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Path(user): Path<UserId>,
    Json(body): Json<RolesBody>,
) -> Result<AtPosition<Json<RolesAnswer>>, Problem> {
    let RolesBody { grant, revoke, reason } = body;
    let (change, by) = (RoleChange { grant, revoke, reason }, Some(caller.user));
    let opened = state.0.accounts.order_roles(user, change, by, key).await?;
    let (roles, position) = (opened.roles().map(Role::name).collect(), opened.position());
    let answer = RolesAnswer { user_id: user, roles, position: position.0 };
    Ok(AtPosition(position, Json(answer)))
}
