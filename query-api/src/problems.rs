//! How failures of what is read from become problems, and the codes of this side.

use axum::http::StatusCode;
use infra::http::{Code, Problem};
use infra::log::ReadError;

use crate::live::LiveError;

pub(crate) const EVENT_NOT_FOUND: &str = "EVENT_NOT_FOUND";
pub(crate) const TIER_NOT_FOUND: &str = "TIER_NOT_FOUND";
pub(crate) const VENUE_NOT_FOUND: &str = "VENUE_NOT_FOUND";
pub(crate) const BOOKING_NOT_FOUND: &str = "BOOKING_NOT_FOUND";
pub(crate) const NOT_WAITING: &str = "NOT_WAITING";
const LOG_UNAVAILABLE: &str = "LOG_UNAVAILABLE";
const HISTORY_DAMAGED: &str = "HISTORY_DAMAGED";
const DATABASE_UNAVAILABLE: &str = "DATABASE_UNAVAILABLE";
const NOT_YET_VISIBLE: &str = "NOT_YET_VISIBLE";
const TOO_MANY_STREAMS: &str = "TOO_MANY_STREAMS";

const fn code(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { code, status, meaning }
}

/// The codes of problems that query endpoints answer with beside the generic ones.
pub const CODES: &[Code] = &[
    code(404, EVENT_NOT_FOUND, "There is no such event, or not for this person, or not yet."),
    code(404, TIER_NOT_FOUND, "The event has no such tier."),
    code(404, VENUE_NOT_FOUND, "There is no such venue."),
    code(404, BOOKING_NOT_FOUND, "There is no such booking, or it belongs to someone else."),
    code(404, NOT_WAITING, "The person never waited for this event."),
    code(503, LOG_UNAVAILABLE, "The log cannot be read at the moment."),
    code(503, HISTORY_DAMAGED, "The event's history is damaged; an operator has to mend the log."),
    code(503, DATABASE_UNAVAILABLE, "The database cannot be read at the moment."),
    code(503, NOT_YET_VISIBLE, "What is read has not got to Evently-Min-Position in time."),
    code(503, TOO_MANY_STREAMS, "As many event streams are open as this server serves."),
];

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Unknown => no_event(),
            LiveError::Unavailable => log_unavailable(),
            LiveError::Damaged => history_damaged(),
        }
    }
}

pub(crate) fn no_event() -> Problem {
    Problem::not_found(EVENT_NOT_FOUND, "event")
}

fn log_unavailable() -> Problem {
    Problem::unavailable(LOG_UNAVAILABLE, "The log cannot be read at the moment.", 1)
}

fn history_damaged() -> Problem {
    const DETAIL: &str = "The event's history is damaged: an operator has to mend the log.";
    Problem::unavailable(HISTORY_DAMAGED, DETAIL, 60)
}

/// The log cannot be read.
pub(crate) fn log(error: &ReadError) -> Problem {
    let cause = &error.0;
    tracing::error!(%cause, "{error}");
    log_unavailable()
}

/// The database does not answer.
pub(crate) fn database_unavailable() -> Problem {
    const DETAIL: &str = "The database cannot be read at the moment.";
    Problem::unavailable(DATABASE_UNAVAILABLE, DETAIL, 1)
}

/// What is read is behind the position asked for (OP-4).
pub(crate) fn behind() -> Problem {
    const DETAIL: &str = "What is read has not got to the position asked for yet.";
    Problem::unavailable(NOT_YET_VISIBLE, DETAIL, 1)
}

pub(crate) fn too_many_streams() -> Problem {
    const DETAIL: &str = "As many event streams are open as this server serves.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_STREAMS, DETAIL).retry_after_s(5)
}
