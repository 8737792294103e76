//! Numbers as SQL keeps them.

use domain::event::Tier;
use domain::inventory::CATEGORY;
use domain::{EventId, Time};
use infra::log::{Position, Record};
use sqlx::types::chrono::{DateTime, Utc};

/// A count; the domain keeps them far below the limit.
pub(crate) fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A place in a list.
pub(crate) fn ordinal(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A position's 64 bits.
pub(crate) const fn position(value: Position) -> i64 {
    value.0.cast_signed()
}

/// A moment that need not be there.
pub(crate) fn moment(value: Option<Time>) -> Option<DateTime<Utc>> {
    value.map(Time::as_chrono)
}

/// What browsing compares: without surrounding space and in lower case.
pub(crate) fn browsing_key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The event whose inventory the record belongs to; facts that name a booking or an event say the
/// same, others only this.
pub(crate) fn event_of(record: &Record) -> Option<EventId> {
    record.stream.strip_prefix(CATEGORY)?.strip_prefix('-')?.parse().ok()
}

/// The lowest and the highest price of the tiers.
pub(crate) fn prices(tiers: &[Tier]) -> (i64, i64) {
    let all = || tiers.iter().map(|tier| tier.price_minor);
    (all().min().unwrap_or(0), all().max().unwrap_or(0))
}
