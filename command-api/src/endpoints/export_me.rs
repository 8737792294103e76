//! `GET /users/me/export` (AC-3).

use std::future::ready;
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use domain::Time;
use futures::{StreamExt, stream};
use infra::auth::Caller;
use infra::http::{Problem, ProblemDocument};
use infra::shapes::AuditRecord;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::account_body::{AccountAnswer, personal};
use crate::accounts::{Export, Login, Piece};
use crate::state::CommandState;

/// All that is held on a person.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written piece by piece, and never there as a whole")]
pub(crate) struct ExportAnswer {
    account: AccountAnswer,
    /// Where else they log in.
    logins: Vec<LoginShown>,
    /// Devices that are logged in.
    sessions: Vec<SessionShown>,
    /// Every record of the log that names the person or one of their bookings. What is sealed in them
    /// stands in clear beside them.
    records: Vec<AuditRecord>,
    /// Why admins changed their roles or did something with what is theirs.
    role_changes: Vec<ReasonShown>,
}

/// What is known before the log is read.
#[derive(Serialize)]
struct Beginning {
    account: AccountAnswer,
    logins: Vec<LoginShown>,
    sessions: Vec<SessionShown>,
}

/// A log-in at another provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginShown {
    issuer: String,
    /// Who they are there.
    subject: String,
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

/// Why an admin did something.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReasonShown {
    /// Of the record.
    position: u64,
    reason: String,
}

/// Take out all that is held on oneself
///
/// The whole log is read for it, and sent as it is read: an answer that breaks off is not all. A person has
/// one under way at a time, and may ask for it a few times in a minute.
#[utoipa::path(
    get, path = "/api/v1/users/me/export", tag = "accounts",
    responses(
        (status = 200, description = "As the log has it now", body = ExportAnswer),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ProblemDocument),
        (status = 503, description = "EXPORT_UNDER_WAY, LOG_UNAVAILABLE, HISTORY_DAMAGED, \
            IDENTITY_UNAVAILABLE",
            body = ProblemDocument),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn export_me(
    State(state): State<CommandState>,
    caller: Caller,
) -> Result<Response, Problem> {
    let Export { account, sessions, pieces } = state.0.accounts.export(caller.user).await?;
    let sessions = sessions.into_iter().map(|session| SessionShown {
        opened_at: session.opened_at,
        used_at: session.used_at,
        expires_at: session.expires_at,
    });
    let logins = account.logins()?.into_iter();
    let logins = logins.map(|Login { issuer, subject }| LoginShown { issuer, subject }).collect();
    let (account, sessions) = (AccountAnswer::of(&account)?, sessions.collect());
    let beginning = json(&Beginning { account, logins, sessions });
    let mut begun = beginning.map_err(|error| Problem::internal(&error))?;
    // The object goes on.
    begun.pop();
    begun.extend(b",\"records\":[");
    let rest = stream::try_unfold(Rest::Pieces { pieces, is_first: true }, Rest::next);
    let body = stream::once(ready(Ok(Bytes::from(begun)))).chain(rest);
    Ok(personal(([(CONTENT_TYPE, "application/json")], Body::from_stream(body))))
}

/// What is still to be sent.
enum Rest {
    Pieces { pieces: mpsc::Receiver<Piece>, is_first: bool },
    Nothing,
}

impl Rest {
    async fn next(self) -> io::Result<Option<(Bytes, Self)>> {
        let Self::Pieces { mut pieces, mut is_first } = self else { return Ok(None) };
        let mut text = vec![];
        match pieces.recv().await {
            Some(Piece::Records(records)) => {
                for record in &records {
                    if !is_first {
                        text.push(b',');
                    }
                    is_first = false;
                    text.extend(json(record)?);
                }
                Ok(Some((text.into(), Self::Pieces { pieces, is_first })))
            }
            Some(Piece::Reasons(reasons)) => {
                let reasons = reasons.into_iter();
                let reasons: Vec<_> = reasons
                    .map(|(position, reason)| ReasonShown { position: position.0, reason })
                    .collect();
                text.extend(b"],\"role_changes\":");
                text.extend(json(&reasons)?);
                text.push(b'}');
                Ok(Some((text.into(), Self::Nothing)))
            }
            None => Err(io::Error::other("the log could not be read to its end")),
        }
    }
}

fn json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(value)
}
