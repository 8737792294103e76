//! `GET /users/me/export` (AC-3).

use axum::extract::State;
use axum::response::Response;
use domain::Time;
use infra::auth::Caller;
use infra::http::{Json, Problem, ProblemDocument};
use infra::shapes::AuditRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::account_body::{AccountAnswer, personal};
use crate::accounts::Export;
use crate::state::CommandState;

/// All that is held on a person.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportAnswer {
    account: AccountAnswer,
    /// Devices that are logged in.
    sessions: Vec<SessionShown>,
    /// Why roles were changed.
    role_changes: Vec<ReasonShown>,
    /// Every record of the log that names the person or one of their bookings. What is sealed in them
    /// stands in clear above.
    records: Vec<AuditRecord>,
}

/// A device that is logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionShown {
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
    #[schema(value_type = String, format = DateTime)]
    used_at: Time,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// Why a role was changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReasonShown {
    /// Of the record.
    position: u64,
    reason: String,
}

/// Take out all that is held on oneself
#[utoipa::path(
    get, path = "/api/v1/users/me/export", tag = "accounts",
    responses(
        (status = 200, description = "As the log has it now", body = ExportAnswer),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 503, description = "LOG_UNAVAILABLE, IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn export_me(
    State(state): State<CommandState>,
    caller: Caller,
) -> Result<Response, Problem> {
    let Export { account, sessions, reasons, records } =
        state.0.accounts.export(caller.user).await?;
    let sessions = sessions.into_iter().map(|session| SessionShown {
        opened_at: session.opened_at,
        used_at: session.used_at,
        expires_at: session.expires_at,
    });
    let role_changes = reasons.into_iter();
    let role_changes =
        role_changes.map(|(position, reason)| ReasonShown { position: position.0, reason });
    Ok(personal(Json(ExportAnswer {
        account: AccountAnswer::of(&account)?,
        sessions: sessions.collect(),
        role_changes: role_changes.collect(),
        records,
    })))
}
