//! Why something was not done with an account, and how that looks to a client.

use domain::EventId;
use domain::account::Refusal;
use domain::seating::Invalid;
use infra::auth::IssueError;
use infra::http::Problem;
use infra::identity::{StoreError, VaultError};
use infra::ids::NoRandomness;
use infra::passwords::PasswordError;

use crate::refusal::problem;
use crate::runtime::{Failure, Unread};

/// Why something was not done with an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Address or password is wrong, or the account is locked or not verified: it is not said which.
    #[error("the log-in was refused")]
    LoginRefused,
    /// The refresh token is not one, or not any more.
    #[error("the session is over")]
    SessionOver,
    /// The code is not one, or not any more.
    #[error("the code is not valid")]
    CodeNotValid,
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// The provider does not say that the address is theirs.
    #[error("the address is not verified")]
    EmailNotVerified,
    /// The account may do too much to be had by way of the provider.
    #[error("the account is not linked to the log-in")]
    NotLinked,
    /// Published events of theirs are not over, and would be left without an organizer.
    #[error("{} of their events are published and not over, the first {}", .0.len(), first(.0))]
    EventsNotOver(Vec<EventId>),
    /// Whoever orders it is no admin any more.
    #[error("whoever orders it is no admin any more")]
    NoAdmin,
    /// Nobody else is an admin.
    #[error("nobody else is an admin")]
    LastAdmin,
    /// The key was used for something else (BK-6).
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A value cannot be accepted.
    #[error("{0}")]
    Invalid(Invalid),
    /// Too many passwords wait.
    #[error("too many wait to log in")]
    Busy,
    /// The person has another export under way, or very many people have.
    #[error("another export is under way")]
    ExportUnderWay,
    /// The log is away.
    #[error("the log cannot be reached")]
    LogUnavailable,
    /// The log cannot be written, for this reason, in words that are safe to tell.
    #[error("the log cannot be written: {0}")]
    LogUnwritable(String),
    /// A record of the account is not what the product wrote.
    #[error("a record of the account is not as it was written: an operator has to mend the log")]
    Damaged,
    /// The keys are away.
    #[error(transparent)]
    Store(StoreError),
    /// A fault of ours.
    #[error("an account cannot be used")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn first(events: &[EventId]) -> String {
    events.first().map(EventId::to_string).unwrap_or_default()
}

impl From<Unread> for AccountError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Away => Self::LogUnavailable,
            Unread::Damaged => Self::Damaged,
        }
    }
}

impl From<VaultError> for AccountError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => Self::Store(error),
            // Somebody set it up wrongly, and can set it up rightly.
            VaultError::Foreign | VaultError::Unknown => Self::Store(StoreError(error.into())),
            // Their account says so too, or will in a moment.
            VaultError::Erased => Self::NotFound,
            error => Self::Fault(error.into()),
        }
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PasswordError> for AccountError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy | PasswordError::Stopped => Self::Busy,
            error => Self::Fault(error.into()),
        }
    }
}

impl From<Invalid> for AccountError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<NoRandomness> for AccountError {
    fn from(error: NoRandomness) -> Self {
        Self::Fault(error.into())
    }
}

impl From<IssueError> for AccountError {
    fn from(error: IssueError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<serde_json::Error> for AccountError {
    fn from(error: serde_json::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// The refusal, if an aggregate said no.
///
/// # Errors
/// It was not asked: the log is away.
pub(super) fn refused<R>(failure: Failure<R>) -> Result<R, AccountError> {
    match failure {
        Failure::Refused(refusal) => Ok(refusal),
        Failure::Overloaded | Failure::Unavailable => Err(AccountError::LogUnavailable),
        Failure::Unwritable(reason) => Err(AccountError::LogUnwritable(reason)),
        Failure::Damaged => Err(AccountError::Damaged),
    }
}

impl From<Failure<Refusal>> for AccountError {
    fn from(failure: Failure<Refusal>) -> Self {
        match refused(failure) {
            Ok(Refusal::NotFound) => Self::NotFound,
            Ok(Refusal::KeyReused) => Self::KeyReused,
            Ok(Refusal::Locked { .. } | Refusal::NotVerified | Refusal::OtherPassword) => {
                Self::LoginRefused
            }
            // Whoever registers looks at this before.
            Ok(Refusal::Exists) => Self::Busy,
            Err(error) => error,
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let detail = |text: &'static str| text;
        match error {
            AccountError::LoginRefused => problem(
                "LOGIN_REFUSED",
                "Email or password is wrong, the email is not verified, or there were too many \
                 failures: then it is possible again after 15 minutes.",
            ),
            AccountError::SessionOver => {
                problem("SESSION_OVER", detail("The refresh token is not valid. Log in again."))
            }
            AccountError::CodeNotValid => {
                let text =
                    "The code was used, has expired, is none, or belongs to another password.";
                problem("CODE_NOT_VALID", detail(text))
            }
            AccountError::NotFound => {
                problem("ACCOUNT_NOT_FOUND", detail("There is no such account."))
            }
            AccountError::EmailNotVerified => problem(
                "EMAIL_NOT_VERIFIED",
                "The provider does not say that the address is yours. Verify it there, or register here.",
            ),
            AccountError::NotLinked => problem(
                "ACCOUNT_NOT_LINKED",
                "The account may do more than buy tickets: log in with its password, or ask for one by mail.",
            ),
            AccountError::EventsNotOver(events) => problem(
                "EVENTS_NOT_OVER",
                "You have published events that are not over, and people who have tickets for them. \
                 Cancel them first, or ask the operator to let them go on without you.",
            )
            .details(events_shown(&events)),
            AccountError::NoAdmin => Self::forbidden(
                "You are no admin any more. Another admin, or `evently admin create`, can make you one.",
            ),
            AccountError::LastAdmin => problem(
                "LAST_ADMIN",
                "Nobody would be an admin any more. Let another person be one first.",
            ),
            AccountError::KeyReused => crate::refusal::key_reused(),
            AccountError::Invalid(what) => crate::refusal::invalid(&what),
            AccountError::Busy => {
                problem("TOO_MANY_LOGINS", detail("Too many log in at once. Nothing was done."))
                    .retry_after_s(2)
            }
            AccountError::ExportUnderWay => {
                problem("EXPORT_UNDER_WAY", detail("Another export of yours is under way, or too many are. Come again."))
                    .retry_after_s(5)
            }
            AccountError::LogUnavailable => log_unavailable("The log cannot be reached"),
            AccountError::LogUnwritable(reason) => {
                log_unavailable(&format!("The log cannot be written: {reason}"))
            }
            AccountError::Damaged => crate::refusal::history_damaged(),
            AccountError::Store(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the identity store is away");
                let text = "Accounts cannot be reached at the moment. Try again.";
                problem("IDENTITY_UNAVAILABLE", detail(text)).retry_after_s(2)
            }
            AccountError::Fault(error) => Self::internal(&*error),
        }
    }
}

/// How many, and the first of them.
fn events_shown(events: &[EventId]) -> serde_json::Value {
    const SHOWN: usize = 20;
    let first: Vec<_> = events.iter().take(SHOWN).map(EventId::to_string).collect();
    serde_json::json!({"count": events.len(), "event_ids": first})
}

/// Most of what is asked of accounts has no `Idempotency-Key`.
fn log_unavailable(what: &str) -> Problem {
    let detail = format!(
        "{what}. Nothing was done. Once it can be, ask again in the same way: a code or a password is \
         still good for it."
    );
    problem("LOG_UNAVAILABLE", detail).retry_after_s(2)
}
