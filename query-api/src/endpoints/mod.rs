//! One file per query endpoint: request, response, handler, documentation.

pub(crate) mod audit_proof;
pub(crate) mod audit_records;
pub(crate) mod availability;
pub(crate) mod booking;
pub(crate) mod check_availability;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod my_bookings;
pub(crate) mod seats;
pub(crate) mod stream;
pub(crate) mod venue;
pub(crate) mod venues;
pub(crate) mod waitlist_position;

use axum::http::HeaderName;
use infra::http::POSITION_HEADER;

/// The header that says how far the view was, as a row told it (`upto`).
fn at_row(upto: Option<i64>) -> Option<[(HeaderName, u64); 1]> {
    upto.map(|upto| [(POSITION_HEADER, upto.cast_unsigned())])
}

/// A limit for SQL that shows whether there is more than a page.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Cuts what was read with [`one_more`] to a page. Whether there is more.
fn cut<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let more = items.len() > limit;
    items.truncate(limit);
    more
}
