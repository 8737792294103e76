//! How the domain's refusals look to a client: stable codes with numbers.

use axum::http::StatusCode;
use domain::seating::Invalid;
use domain::{event, inventory, venue};
use infra::http::{Code, Problem};
use serde_json::{Value, json};

use crate::runtime::Failure;

/// The codes of this crate, for the API document.
pub const CODES: &[Code] = &[
    code(401, "LOGIN_REFUSED", "Email or password is wrong, or not verified, or locked for now."),
    code(
        401,
        "OIDC_REFUSED",
        "The log-in at the provider was broken off, is another's, or is spent.",
    ),
    code(401, "SESSION_OVER", "The refresh token is not valid any more; log in again."),
    code(404, "ACCOUNT_NOT_FOUND", "There is no such account, or the person was erased."),
    code(404, "OIDC_NOT_OFFERED", "There is no provider to log in at."),
    code(404, "EVENT_NOT_FOUND", "There is no such event, or it is not published."),
    code(404, "VENUE_NOT_FOUND", "There is no such venue."),
    code(404, "TIER_NOT_FOUND", "The event has no such tier."),
    code(404, "SEAT_NOT_FOUND", "The event has no such seat."),
    code(404, "BOOKING_NOT_FOUND", "There is no such booking, or it is somebody else's."),
    code(404, "NOT_WAITING", "The person is not on the event's waitlist."),
    code(409, "EVENT_CANCELLED", "The event does not take place."),
    code(409, "EVENT_STARTED", "The event has begun."),
    code(409, "EVENT_ENDED", "The event is over."),
    code(409, "ALREADY_PUBLISHED", "The event was published before."),
    code(409, "VENUE_CHANGED", "The draft does not fit its venue as it is now; change it first."),
    code(409, "ALREADY_EXISTS", "The id is in use."),
    code(409, "CAPACITY_BELOW_SOLD", "More is sold or held than the tier would have."),
    code(409, "SALE_NOT_OPEN", "The tier's sale has not begun."),
    code(409, "SALE_CLOSED", "The tier's sale is over."),
    code(409, "LIMIT_PER_BOOKING", "More tickets than one booking can have."),
    code(409, "TOO_MANY_HOLDS", "The person holds as much of the event as one can without paying."),
    code(409, "TOO_MANY_LAPSED", "The person let too many holds of the event go in a day."),
    code(409, "LIMIT_PER_USER", "More tickets than one person can have for the event."),
    code(409, "INSUFFICIENT_SEATS", "Not so many tickets are left."),
    code(409, "SEAT_TAKEN", "Somebody else has the seat."),
    code(409, "HOLD_EXPIRED", "The hold died at its deadline; what was charged is paid back."),
    code(409, "ALREADY_CANCELLED", "It was cancelled before."),
    code(409, "ALREADY_CONFIRMED", "The booking was confirmed before."),
    code(409, "PAYMENT_IN_PROGRESS", "The payment provider is being asked for this booking."),
    code(409, "PAYMENT_DECLINED", "The provider declined; a hold goes on until its deadline."),
    code(409, "PAYMENT_FAILED", "The payment never arrived; a hold goes on to its deadline."),
    code(409, "TICKETS_AVAILABLE", "There is no need to wait: so many can be bought now."),
    code(409, "NEVER_ENOUGH", "So many tickets can never become free."),
    code(409, "ALREADY_WAITING", "The person waits for this event already, or has an offer."),
    code(409, "EMAIL_NOT_VERIFIED", "The provider does not say that the address is theirs."),
    code(409, "EVENTS_NOT_OVER", "Published events of the person are not over."),
    code(409, "LAST_ADMIN", "Nobody else is an admin."),
    code(409, "ACCOUNT_NOT_LINKED", "The account may do more than buy; its password is needed."),
    code(
        409,
        "CODE_NOT_VALID",
        "The code from the mail was used, has expired, is none, or belongs to another password.",
    ),
    code(422, "IDEMPOTENCY_KEY_REUSED", "The key was used for another request."),
    code(422, "NOTHING_WANTED", "No tickets were asked for."),
    code(422, "SEAT_TWICE", "A seat is named twice."),
    code(503, "TOO_MANY_WAITING", "Too many commands wait for this event; nothing was done."),
    code(
        503,
        "HISTORY_DAMAGED",
        "What happened to it before is not as it was written; an operator has to mend the log.",
    ),
    code(503, "LOG_UNAVAILABLE", "The log is away; ask again with the same Idempotency-Key."),
    code(503, "TOO_MANY_LOGINS", "Too many log in at once; nothing was done."),
    code(
        503,
        "EXPORT_UNDER_WAY",
        "Another export of the person is under way, or very many are; come again.",
    ),
    code(503, "OIDC_UNAVAILABLE", "The provider to log in at does not answer."),
    code(503, "IDENTITY_UNAVAILABLE", "What accounts need beside the log is away."),
    code(
        503,
        "PAYMENT_PENDING",
        "The provider has not answered yet; nothing has to be done for it to.",
    ),
    code(503, "PAYMENT_UNAVAILABLE", "The provider cannot be reached; nothing was charged."),
];

const fn code(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { code, status, meaning }
}

/// The problem with one of this crate's codes.
pub(crate) fn problem(name: &'static str, detail: impl Into<String>) -> Problem {
    let listed = CODES.iter().find(|code| code.code == name);
    let status = listed.and_then(|code| StatusCode::from_u16(code.status).ok());
    Problem::new(status.unwrap_or(StatusCode::CONFLICT), name, detail.into())
}

fn failure<R>(failure: Failure<R>, refused: impl FnOnce(R) -> Problem) -> Problem {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::Overloaded => {
            let detail = "Too many commands wait for this event. Nothing was done; try again.";
            problem("TOO_MANY_WAITING", detail).retry_after_s(1)
        }
        Failure::Unavailable => log_unavailable("The log cannot be reached"),
        Failure::Unwritable(reason) => {
            log_unavailable(&format!("The log cannot be written: {reason}"))
        }
        Failure::Damaged => history_damaged(),
    }
}

pub(crate) fn log_unavailable(what: &str) -> Problem {
    let detail =
        format!("{what}. Try again with the same Idempotency-Key; nothing will be done twice.");
    problem("LOG_UNAVAILABLE", detail).retry_after_s(2)
}

pub(crate) fn history_damaged() -> Problem {
    let detail = "What happened to it before is not as it was written. Nothing was done, and nothing can be until \
                  an operator has mended the log.";
    problem("HISTORY_DAMAGED", detail).retry_after_s(60)
}

/// What hides clients' keys is not known: nothing can be stored under one.
pub(crate) fn no_identity() -> Problem {
    let detail = "Requests with an Idempotency-Key cannot be taken at the moment. Try again.";
    problem("IDENTITY_UNAVAILABLE", detail).retry_after_s(2)
}

pub(crate) fn invalid(Invalid { field, problem }: &Invalid) -> Problem {
    Problem::invalid(field, &format!("must be {problem}"))
}

pub(crate) fn key_reused() -> Problem {
    problem(
        "IDEMPOTENCY_KEY_REUSED",
        "This Idempotency-Key was used for another request. Take a new key for a new request.",
    )
}

pub(crate) fn venue(refused: Failure<venue::Refusal>) -> Problem {
    use venue::Refusal as R;
    failure(refused, |refusal| match refusal {
        R::NotFound => problem("VENUE_NOT_FOUND", "There is no such venue."),
        R::Exists => problem("ALREADY_EXISTS", "There is a venue with this id."),
        R::NotYours => Problem::forbidden("The venue belongs to another organizer."),
        R::KeyReused => key_reused(),
        R::Invalid(what) => invalid(&what),
    })
}

pub(crate) fn event(refused: Failure<event::Refusal>) -> Problem {
    use event::Refusal as R;
    failure(refused, |refusal| match refusal {
        R::NotFound => problem("EVENT_NOT_FOUND", "There is no such event."),
        R::Exists => problem("ALREADY_EXISTS", "There is an event with this id."),
        R::NotYours => Problem::forbidden("The event belongs to another organizer."),
        R::KeyReused => key_reused(),
        R::AlreadyCancelled => problem("ALREADY_CANCELLED", "The event was cancelled before."),
        R::AlreadyPublished => problem("ALREADY_PUBLISHED", "The event was published before."),
        R::Started => problem("EVENT_STARTED", "The event has begun or is over."),
        R::VenueChanged(what) => venue_changed(&what),
        R::Invalid(what) => invalid(&what),
    })
}

fn venue_changed(Invalid { field, problem: what }: &Invalid) -> Problem {
    let detail = format!(
        "The event does not fit its venue as it is now: {field} must be {what}. Change the event, \
         then publish it."
    );
    let details = json!({"field": field, "problem": format!("must be {what}")});
    problem("VENUE_CHANGED", detail).details(details)
}

pub(crate) fn inventory(refused: Failure<inventory::Refusal>) -> Problem {
    failure(refused, |refusal| {
        let (code, detail, details) = explain(&refusal);
        let problem = problem(code, detail);
        if details.is_null() { problem } else { problem.details(details) }
    })
}

/// So many of what `one` of them is called.
fn count(number: u32, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

fn are(number: u32) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// Code, sentence and numbers of an inventory's refusal.
#[expect(clippy::too_many_lines, reason = "one table: a row for each refusal")]
fn explain(refusal: &inventory::Refusal) -> (&'static str, String, Value) {
    use inventory::Refusal as R;
    let text = str::to_owned;
    match refusal {
        R::EventNotFound => ("EVENT_NOT_FOUND", text("There is no such event."), Value::Null),
        R::EventCancelled => ("EVENT_CANCELLED", text("The event was cancelled."), Value::Null),
        R::EventStarted { starts_at } => (
            "EVENT_STARTED",
            format!("The event began at {starts_at}."),
            json!({"starts_at": starts_at}),
        ),
        R::EventEnded { ends_at } => (
            "EVENT_ENDED",
            format!("The event was over at {ends_at}."),
            json!({"ends_at": ends_at}),
        ),
        R::TierNotFound => ("TIER_NOT_FOUND", text("The event has no such tier."), Value::Null),
        R::SeatNotFound { seat } => (
            "SEAT_NOT_FOUND",
            format!("The event has no seat {seat}. A seat is named section-row-seat: A-12-7."),
            json!({"seat": seat}),
        ),
        R::SeatTwice { seat } => {
            ("SEAT_TWICE", format!("Seat {seat} is named twice."), json!({"seat": seat}))
        }
        R::NothingWanted => ("NOTHING_WANTED", text("Ask for at least one ticket."), Value::Null),
        R::SaleNotOpen { opens_at } => (
            "SALE_NOT_OPEN",
            format!("The sale opens at {opens_at}."),
            json!({"opens_at": opens_at}),
        ),
        R::SaleClosed { closed_at } => (
            "SALE_CLOSED",
            format!("The sale closed at {closed_at}."),
            json!({"closed_at": closed_at}),
        ),
        R::LimitPerBooking { requested, limit } => (
            "LIMIT_PER_BOOKING",
            format!(
                "A booking can have {} of this kind; {requested} were asked for.",
                count(*limit, "ticket")
            ),
            json!({"requested": requested, "limit": limit}),
        ),
        R::LimitPerUser { requested, owned, limit } => (
            "LIMIT_PER_USER",
            format!(
                "One person can have {}; you have {owned} and want {requested}.",
                count(*limit, "ticket")
            ),
            json!({"requested": requested, "owned": owned, "limit": limit}),
        ),
        R::TooManyHolds { holding, limit } => (
            "TOO_MANY_HOLDS",
            format!(
                "You hold {} of this event: pay for one or give one back.",
                count(*holding, "booking")
            ),
            json!({"holding": holding, "limit": limit}),
        ),
        R::TooManyLapsed { limit, until } => (
            "TOO_MANY_LAPSED",
            format!(
                "You let {} of this event go; there can be another at {until}.",
                count(*limit, "hold")
            ),
            json!({"limit": limit, "until": until}),
        ),
        R::InsufficientSeats { requested, available } => (
            "INSUFFICIENT_SEATS",
            format!(
                "{} {} asked for; {available} {} left.",
                count(*requested, "ticket"),
                if *requested == 1 { "was" } else { "were" },
                are(*available),
            ),
            json!({"requested": requested, "available": available}),
        ),
        R::SeatTaken { seat } => {
            ("SEAT_TAKEN", format!("Seat {seat} is taken."), json!({"seat": seat}))
        }
        R::BookingNotFound => ("BOOKING_NOT_FOUND", text("There is no such booking."), Value::Null),
        R::BookingExists => ("TOO_MANY_WAITING", text("Nothing was done; try again."), Value::Null),
        R::HoldExpired { expired_at } => (
            "HOLD_EXPIRED",
            format!("The hold died at {expired_at}. Reserve again."),
            json!({"expired_at": expired_at}),
        ),
        R::AlreadyCancelled => {
            ("ALREADY_CANCELLED", text("The booking was cancelled before."), Value::Null)
        }
        R::AlreadyConfirmed => {
            ("ALREADY_CONFIRMED", text("The booking was confirmed before."), Value::Null)
        }
        R::PaymentInProgress => (
            "PAYMENT_IN_PROGRESS",
            text("The payment provider is being asked for this booking. Wait for its answer."),
            Value::Null,
        ),
        R::KeyReused => (
            "IDEMPOTENCY_KEY_REUSED",
            text("This Idempotency-Key was used for another request. Take a new key."),
            Value::Null,
        ),
        R::TicketsAvailable { requested, available } => (
            "TICKETS_AVAILABLE",
            format!("{} can be bought now: reserve instead.", count(*available, "ticket")),
            json!({"requested": requested, "available": available}),
        ),
        R::NeverEnough { requested, capacity } => (
            "NEVER_ENOUGH",
            format!(
                "{} can never become free: there {} {capacity} at all.",
                count(*requested, "ticket"),
                are(*capacity),
            ),
            json!({"requested": requested, "capacity": capacity}),
        ),
        R::AlreadyWaiting => (
            "ALREADY_WAITING",
            text("You wait for this event already, or have an offer to confirm."),
            Value::Null,
        ),
        R::NotWaiting => {
            ("NOT_WAITING", text("You are not on this event's waitlist."), Value::Null)
        }
        R::CapacityBelowSold { tier, requested, sold, held } => (
            "CAPACITY_BELOW_SOLD",
            format!(
                "Tier {tier} has {sold} sold and {held} held; its capacity cannot be {requested}."
            ),
            json!({"tier_id": tier, "requested": requested, "sold": sold, "held": held}),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_told_of_as_if_it_were_several() {
        use inventory::Refusal as R;
        let until = domain::Time::from_ms(0);
        let said = |refusal| explain(&refusal).1;
        for (refusal, sentence) in [
            (
                R::InsufficientSeats { requested: 1, available: 0 },
                "1 ticket was asked for; 0 are left.",
            ),
            (
                R::InsufficientSeats { requested: 2, available: 1 },
                "2 tickets were asked for; 1 is left.",
            ),
            (
                R::LimitPerBooking { requested: 2, limit: 1 },
                "A booking can have 1 ticket of this kind; 2 were asked for.",
            ),
            (
                R::LimitPerUser { requested: 2, owned: 0, limit: 1 },
                "One person can have 1 ticket; you have 0 and want 2.",
            ),
            (
                R::TicketsAvailable { requested: 1, available: 1 },
                "1 ticket can be bought now: reserve instead.",
            ),
            (
                R::NeverEnough { requested: 2, capacity: 1 },
                "2 tickets can never become free: there is 1 at all.",
            ),
        ] {
            assert_eq!(said(refusal), sentence);
        }
        assert!(
            said(R::TooManyHolds { holding: 1, limit: 1 }).starts_with("You hold 1 booking of")
        );
        assert!(said(R::TooManyLapsed { limit: 1, until }).starts_with("You let 1 hold of"));
    }

    #[test]
    fn every_code_is_listed_once_with_its_status() {
        for (index, entry) in CODES.iter().enumerate() {
            assert!(StatusCode::from_u16(entry.status).is_ok_and(|s| s.as_u16() >= 400));
            let later = &CODES[index + 1..];
            assert!(later.iter().all(|other| other.code != entry.code), "{}", entry.code);
        }
        let problem = inventory(Failure::Refused(inventory::Refusal::InsufficientSeats {
            requested: 5,
            available: 3,
        }));
        assert_eq!(
            (problem.status(), problem.code()),
            (StatusCode::CONFLICT, "INSUFFICIENT_SEATS")
        );
    }
}
