//! How the inventory's facts look in an answer.

use domain::BookingId;
use domain::Time;
use domain::inventory::{Confirmed, Fact, Line, Reserved};
use infra::http::Problem;
use infra::log::{Position, Record};
use infra::shapes::{Booking, BookingStatus, HistoryEntry, LineItem, Ticket};

use crate::runtime::{Done, Seen};
use crate::state::CommandState;

/// The answer to a reserve: a pure function of the fact, so that a repetition gives it again.
pub(crate) fn reserved(fact: &Reserved, position: Position) -> Booking {
    Booking {
        booking_id: fact.booking,
        reference: fact.booking.reference(),
        event_id: fact.booking.event,
        user_id: fact.user,
        status: BookingStatus::Held,
        expires_at: Some(fact.expires_at),
        line_items: items(&fact.lines),
        subtotal: fact.subtotal_minor,
        discount: fact.discount_minor,
        total: fact.total_minor,
        currency: fact.currency,
        tickets: vec![],
        refund: None,
        history: None,
        position: Some(position.0),
    }
}

/// The answer to a confirm.
pub(crate) fn confirmed(
    fact: &Confirmed,
    history: Vec<HistoryEntry>,
    position: Position,
) -> Booking {
    let line_items = items(&fact.lines);
    let subtotal = line_items.iter().map(|item| item.amount).sum();
    Booking {
        booking_id: fact.booking,
        reference: fact.booking.reference(),
        event_id: fact.booking.event,
        user_id: fact.user,
        status: BookingStatus::Confirmed,
        expires_at: None,
        line_items,
        subtotal,
        discount: subtotal - fact.total_minor,
        total: fact.total_minor,
        currency: fact.currency,
        tickets: Ticket::all(fact.booking, &fact.lines),
        refund: None,
        history: Some(history),
        position: Some(position.0),
    }
}

fn items(lines: &[Line]) -> Vec<LineItem> {
    lines.iter().map(LineItem::from).collect()
}

/// A fact of an inventory as it stands in the log.
pub(crate) struct Stored {
    pub(crate) fact: Fact,
    pub(crate) at: Time,
    pub(crate) position: Position,
    pub(crate) kind: std::sync::Arc<str>,
}

impl CommandState {
    /// The fact of a booking's inventory at `revision`.
    pub(crate) async fn stored(
        &self,
        event: domain::EventId,
        revision: u64,
    ) -> Result<Stored, Problem> {
        let stream = domain::inventory::stream(event);
        let records = self.0.log.read_stream(&stream, revision, 1).await;
        let records = records.map_err(|error| {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "a stored answer cannot be read");
            crate::refusal::problem("LOG_UNAVAILABLE", "The log cannot be read. Try again.")
                .retry_after_s(2)
        })?;
        let record = records.into_iter().next().ok_or_else(|| {
            crate::refusal::problem("LOG_UNAVAILABLE", "The log is behind. Try again.")
                .retry_after_s(1)
        })?;
        decode(&record).map_err(|error| Problem::internal(&error))
    }

    /// What a command brought about, now or when it was carried out first.
    pub(crate) async fn outcome(
        &self,
        event: domain::EventId,
        done: Done<Fact, Seen>,
    ) -> Result<(Fact, Position), Problem> {
        match (done.facts.into_iter().next(), done.seen.done_at) {
            (Some(fact), _) => Ok((fact, done.position)),
            (None, Some(revision)) => {
                let stored = self.stored(event, revision).await?;
                Ok((stored.fact, stored.position))
            }
            (None, None) => Err(unexpected()),
        }
    }

    /// The facts at these revisions, of the booking `id` only.
    pub(crate) async fn story(
        &self,
        id: BookingId,
        revisions: &[u64],
    ) -> Result<Vec<Stored>, Problem> {
        let mut story = Vec::with_capacity(revisions.len());
        for revision in revisions {
            let stored = self.stored(id.event, *revision).await?;
            if stored.fact.booking() == Some(id) {
                story.push(stored);
            }
        }
        Ok(story)
    }
}

fn decode(record: &Record) -> Result<Stored, domain::FactError> {
    use domain::StoredFact as _;
    let fact = Fact::decode(&record.kind, record.version, &record.data)?;
    let (at, position, kind) = (record.at, record.position, record.kind.clone());
    Ok(Stored { fact, at, position, kind })
}

/// The inventory answered with what the command cannot bring about: a fault of ours.
pub(crate) fn unexpected() -> Problem {
    #[derive(Debug, thiserror::Error)]
    #[error("an inventory answered with facts that the command cannot bring about")]
    struct Unexpected;
    Problem::internal(&Unexpected)
}
